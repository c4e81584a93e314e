package backendtest

import (
	"fmt"
	"io"

	"github.com/objmount/objmount/backend"
)

var readCases = []testCase{
	{name: "Ranges", run: ranges},
	{name: "RangeBeyondTheEnd", run: rangeBeyond},
	{name: "HeadIgnoresTheRange", run: headIgnoresRange},
	{name: "EarlyClose", run: earlyClose},
	{name: "IfMatch", needs: "GetIfMatch", run: getIfMatch},
	{name: "IfNoneMatch", run: getIfNoneMatch},
	{name: "AfterWrite", run: readAfterWrite},
}

func ranges(e *env) {
	const size = 100_000
	data := noise(10, size)
	stored := e.put("a", data)
	for _, r := range []struct {
		ask       backend.Range
		off, size int64
	}{
		{backend.Range{Off: 0, Len: 1}, 0, 1},
		{backend.Range{Off: 0, Len: size}, 0, size},
		{backend.Range{Off: 0, Len: size + 1}, 0, size},
		{backend.Range{Off: 0, Len: -1}, 0, size},
		{backend.Range{Off: 12345, Len: 54321}, 12345, 54321},
		{backend.Range{Off: size - 1, Len: 1}, size - 1, 1},
		{backend.Range{Off: size - 10, Len: -1}, size - 10, 10},
		{backend.Range{Off: size - 10, Len: 1 << 40}, size - 10, 10},
	} {
		what := fmt.Sprintf("range %+v", r.ask)
		got, body := e.get("a", backend.GetOptions{Range: &r.ask})
		e.wantBytes(what, got, data[r.off:r.off+r.size])
		if want := (backend.Range{Off: r.off, Len: r.size}); body.Range != want {
			e.Errorf("%s: answered as %+v, want %+v", what, body.Range, want)
		}
		if body.Object.Size != size || body.Object.ETag != stored.ETag {
			e.Errorf("%s: object of size %d, ETag %s", what, body.Object.Size, body.Object.ETag)
		}
	}
	if _, body := e.get("a", backend.GetOptions{}); body.Range != (backend.Range{Len: size}) {
		e.Errorf("the whole object: answered as %+v", body.Range)
	}
}

func rangeBeyond(e *env) {
	e.put("a", []byte("0123456789"))
	for _, r := range []backend.Range{{Off: 10, Len: 1}, {Off: 10, Len: -1}, {Off: 1 << 40, Len: 1 << 20}} {
		e.wantKind(fmt.Sprintf("range %+v of 10 bytes", r), e.getErr("a", backend.GetOptions{Range: &r}), backend.KindRange)
	}
}

func headIgnoresRange(e *env) {
	e.put("a", []byte("0123456789"))
	for _, r := range []backend.Range{{Off: 2, Len: 3}, {Off: 100, Len: 1}} {
		obj, err := e.store.Head(e.ctx, e.id("a"), backend.GetOptions{Range: &r})
		e.ok("Head", err)
		if obj.Size != 10 {
			e.Errorf("range %+v: size %d", r, obj.Size)
		}
	}
}

// earlyClose: bodies that are not read to their end do no harm to what follows.
func earlyClose(e *env) {
	data := noise(11, e.big(6*backend.MiB))
	e.put("a", data)
	for i := range 8 {
		body, err := e.store.Get(e.ctx, e.id("a"), backend.GetOptions{})
		e.ok("Get", err)
		first := make([]byte, 10*i)
		if _, err := io.ReadFull(body, first); err != nil {
			e.Fatalf("reading %d bytes: %v", len(first), err)
		}
		e.wantBytes("the first bytes", first, data[:len(first)])
		e.ok("Close", body.Close())
	}
	e.put("b", []byte("after"))
	e.wantContent("b", []byte("after"))
}

func getIfMatch(e *env) {
	old := e.put("a", []byte("old"))
	e.wantBytes("the right ETag", e.getMatching(old.ETag), []byte("old"))
	now := e.put("a", []byte("new"))
	opt := backend.GetOptions{IfMatch: old.ETag}
	e.wantKind("Get with a stale ETag", e.getErr("a", opt), backend.KindChanged)
	_, err := e.store.Head(e.ctx, e.id("a"), opt)
	e.wantKind("Head with a stale ETag", err, backend.KindChanged)
	opt.Range = &backend.Range{Off: 1, Len: 1}
	e.wantKind("a range with a stale ETag", e.getErr("a", opt), backend.KindChanged)
	piece, _ := e.get("a", backend.GetOptions{IfMatch: now.ETag, Range: opt.Range})
	e.wantBytes("a range with the right ETag", piece, []byte("e"))
	if _, err := e.store.Head(e.ctx, e.id("a"), backend.GetOptions{IfMatch: now.ETag}); err != nil {
		e.Errorf("Head with the right ETag: %v", err)
	}
	e.delete("a")
	e.wantKind("Get when it is gone", e.getErr("a", backend.GetOptions{IfMatch: now.ETag}), backend.KindNotExist)
	_, err = e.store.Head(e.ctx, e.id("a"), backend.GetOptions{IfMatch: now.ETag})
	e.wantKind("Head when it is gone", err, backend.KindNotExist)
}

func (e *env) getMatching(etag string) []byte {
	e.Helper()
	data, _ := e.get("a", backend.GetOptions{IfMatch: etag})
	return data
}

func getIfNoneMatch(e *env) {
	old := e.put("a", []byte("old"))
	opt := backend.GetOptions{IfNoneMatch: old.ETag}
	e.wantKind("Get of the same", e.getErr("a", opt), backend.KindNotModified)
	_, err := e.store.Head(e.ctx, e.id("a"), opt)
	e.wantKind("Head of the same", err, backend.KindNotModified)
	e.put("a", []byte("new"))
	data, _ := e.get("a", opt)
	e.wantBytes("Get of another", data, []byte("new"))
	if _, err := e.store.Head(e.ctx, e.id("a"), opt); err != nil {
		e.Errorf("Head of another: %v", err)
	}
	e.delete("a")
	e.wantKind("Get when it is gone", e.getErr("a", opt), backend.KindNotExist)
}

// readAfterWrite: every change is seen at once, by Get, Head and List.
func readAfterWrite(e *env) {
	for i := range 5 {
		data := noise(uint64(20+i), int64(100+i))
		stored := e.put("a", data)
		if obj := e.wantContent("a", data); obj.ETag != stored.ETag {
			e.Errorf("round %d: Get sees ETag %s, want %s", i, obj.ETag, stored.ETag)
		}
		objects, _, _ := e.list(backend.ListInput{})
		if len(objects) != 1 || objects[0].ETag != stored.ETag || objects[0].Size != int64(len(data)) {
			e.Errorf("round %d: List sees %+v", i, objects)
		}
		e.delete("a")
		e.wantGone("a")
		if _, names, _ := e.list(backend.ListInput{}); len(names) != 0 {
			e.Errorf("round %d: List still sees %q", i, names)
		}
	}
}
