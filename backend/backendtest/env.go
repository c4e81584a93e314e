package backendtest

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc64"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/objmount/objmount/backend"
)

// id names an object of the subtest.
func (e *env) id(name string) backend.ObjectID {
	return backend.ObjectID{Bucket: e.bucket, Key: e.prefix + name}
}

// input is a Put of data under name.
func (e *env) input(name string, data []byte) backend.PutInput {
	return backend.PutInput{Bucket: e.bucket, Key: e.prefix + name, Body: bytes.NewReader(data), Size: int64(len(data))}
}

// put stores data and ends the subtest when that fails.
func (e *env) put(name string, data []byte) backend.Object {
	e.Helper()
	return e.putInput(e.input(name, data))
}

func (e *env) putInput(in backend.PutInput) backend.Object {
	e.Helper()
	obj, err := e.store.Put(e.ctx, in)
	if err != nil {
		e.Fatalf("Put: %v", err)
	}
	e.checkETag(obj.ETag)
	if obj.Size != in.Size {
		e.Errorf("Put answers size %d, want %d", obj.Size, in.Size)
	}
	return obj
}

func (e *env) checkETag(etag string) {
	e.Helper()
	if etag == "" || strings.ContainsAny(etag, "\" ") || strings.HasPrefix(etag, "W/") {
		e.Errorf("bad ETag %q", etag)
	}
}

// get reads a whole answer and ends the subtest when that fails.
func (e *env) get(name string, opt backend.GetOptions) ([]byte, *backend.Body) {
	e.Helper()
	body, err := e.store.Get(e.ctx, e.id(name), opt)
	if err != nil {
		e.Fatalf("Get %q: %v", name, err)
	}
	defer body.Close()
	data, err := readAll(body)
	if err != nil {
		e.Fatalf("reading %q: %v", name, err)
	}
	return data, body
}

// readAll reads a body to its end, whatever it says of its length.
func readAll(body *backend.Body) ([]byte, error) {
	var buf bytes.Buffer
	if n := body.Range.Len; n > 0 && n < 64*backend.MiB {
		buf.Grow(int(n) + bytes.MinRead)
	}
	_, err := buf.ReadFrom(body)
	return buf.Bytes(), err
}

// getErr returns the error of a Get, closing a body that should not be there.
func (e *env) getErr(name string, opt backend.GetOptions) error {
	body, err := e.store.Get(e.ctx, e.id(name), opt)
	if err == nil {
		body.Close()
	}
	return err
}

func (e *env) head(name string) backend.Object {
	e.Helper()
	obj, err := e.store.Head(e.ctx, e.id(name), backend.GetOptions{})
	if err != nil {
		e.Fatalf("Head %q: %v", name, err)
	}
	return obj
}

func (e *env) delete(name string) {
	e.Helper()
	if err := e.store.Delete(e.ctx, backend.DeleteInput{Bucket: e.bucket, Key: e.prefix + name}); err != nil {
		e.Fatalf("Delete %q: %v", name, err)
	}
}

// wantContent checks what is stored under name and returns it.
func (e *env) wantContent(name string, want []byte) backend.Object {
	e.Helper()
	body, err := e.store.Get(e.ctx, e.id(name), backend.GetOptions{})
	if err != nil {
		e.Fatalf("Get %q: %v", name, err)
	}
	defer body.Close()
	buf := make([]byte, 128<<10)
	for rest := want; ; {
		n, err := io.ReadFull(body, buf)
		if n > len(rest) || !bytes.Equal(buf[:n], rest[:n]) {
			e.Fatalf("%q: other bytes from offset %d on, or too many; want %d", name, len(want)-len(rest), len(want))
		}
		if rest = rest[n:]; err == io.EOF || err == io.ErrUnexpectedEOF && len(rest) == 0 {
			if len(rest) > 0 {
				e.Fatalf("%q ends %d bytes early, without an error", name, len(rest))
			}
			break
		}
		if err != nil {
			e.Fatalf("reading %q: %v", name, err)
		}
	}
	if body.Object.Size != int64(len(want)) {
		e.Errorf("%q has size %d, want %d", name, body.Object.Size, len(want))
	}
	return body.Object
}

func (e *env) wantBytes(what string, got, want []byte) {
	e.Helper()
	if bytes.Equal(got, want) {
		return
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	e.Errorf("%s: %d bytes, want %d; they differ from byte %d on", what, len(got), len(want), at)
}

func (e *env) wantGone(name string) {
	e.Helper()
	_, err := e.store.Head(e.ctx, e.id(name), backend.GetOptions{})
	e.wantKind("Head of what should not exist", err, backend.KindNotExist)
}

// wantKind checks that err has one of the kinds and is a *backend.Error.
func (e *env) wantKind(what string, err error, kinds ...backend.Kind) {
	e.Helper()
	if err == nil {
		e.Errorf("%s: no error, want one of kind %v", what, kinds)
		return
	}
	if !slices.Contains(kinds, backend.KindOf(err)) {
		e.Errorf("%s: kind %q, want %v: %v", what, backend.KindOf(err), kinds, err)
	}
	var typed *backend.Error
	if !errors.As(err, &typed) {
		e.Errorf("%s: %T is not a *backend.Error: %v", what, err, err)
	} else if typed.Op == "" {
		e.Errorf("%s: the error does not name the operation: %v", what, err)
	}
}

func (e *env) ok(what string, err error) {
	e.Helper()
	if err != nil {
		e.Fatalf("%s: %v", what, err)
	}
}

// list returns a whole listing below prefix+in.Prefix, names without the subtest's prefix,
// and fails on pages that are wrong in themselves.
func (e *env) list(in backend.ListInput) (objects []backend.Object, names, prefixes []string) {
	e.Helper()
	in.Bucket, in.Prefix = e.bucket, e.prefix+in.Prefix
	if in.StartAfter != "" {
		in.StartAfter = e.prefix + in.StartAfter
	}
	for pages := 0; ; pages++ {
		page, err := e.store.List(e.ctx, in)
		if err != nil {
			e.Fatalf("List: %v", err)
		}
		if n := len(page.Objects) + len(page.Prefixes); in.MaxKeys > 0 && n > int(in.MaxKeys) {
			e.Fatalf("a page of %d entries, want at most %d", n, in.MaxKeys)
		}
		for _, obj := range page.Objects {
			if !strings.HasPrefix(obj.Key, in.Prefix) {
				e.Fatalf("listed %q, which does not begin with %q", obj.Key, in.Prefix)
			}
			objects, names = append(objects, obj), append(names, strings.TrimPrefix(obj.Key, e.prefix))
		}
		for _, p := range page.Prefixes {
			if in.Delimiter == "" || !strings.HasSuffix(p, in.Delimiter) {
				e.Fatalf("common prefix %q with delimiter %q", p, in.Delimiter)
			}
			prefixes = append(prefixes, strings.TrimPrefix(p, e.prefix))
		}
		if page.Next == "" {
			return objects, names, prefixes
		}
		if pages > 5000 {
			e.Fatal("the listing does not end")
		}
		in.Token = page.Next
	}
}

func (e *env) wantNames(what string, got, want []string) {
	e.Helper()
	if !slices.Equal(got, want) {
		e.Errorf("%s: %q, want %q", what, got, want)
	}
}

// big returns the size of a body that should be longer than any buffer on its way: n, less
// with -short or where the store takes less.
func (e *env) big(n int64) int64 {
	if testing.Short() {
		n /= 8
	}
	return min(n, e.caps.Limits.MaxPut)
}

// entropy returns random bytes that do not compress; read only.
var entropy = sync.OnceValue(func() []byte {
	data := make([]byte, 16*backend.MiB)
	rand.NewChaCha8([32]byte{1}).Read(data) // never fails
	return data
})

// noise returns n <= 12 MiB bytes that differ from those of other seeds < 1000. They are
// shared: read only, not to be appended to in place.
func noise(seed uint64, n int64) []byte {
	off := int64(seed) * 4001
	return entropy()[off : off+n : off+n]
}

// nvme is the table of CRC-64/NVME, its polynomial bit-reversed as hash/crc64 wants it.
var nvme = crc64.MakeTable(0x9a6c9329ac4bc9b5)

// checksum returns data's CRC64NVME as PutInput wants it.
func checksum(data []byte) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, crc64.Checksum(data, nvme)))
}
