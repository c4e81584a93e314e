package backendtest

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/objmount/objmount/backend"
)

var raceCases = []testCase{
	{name: "OneWinnerOfPutIfNoneMatch", needs: "PutIfNoneMatch", run: onePutWins},
	{name: "OneWinnerOfCompleteIfNoneMatch", needs: "CompleteIfNoneMatch", run: oneCompleteWins},
	{name: "NoLostUpdates", needs: "PutIfMatch", run: noLostUpdates},
	{name: "NoTornReads", run: noTornReads},
	{name: "ConcurrentUse", run: concurrentUse},
}

// together runs f n times at once and waits for all.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}

// race lets 16 writers create one key; write stores the content "writer N".
func (e *env) race(name string, write func(i int, content string) error) {
	e.Helper()
	const writers = 16
	errs := make([]error, writers)
	together(writers, func(i int) { errs[i] = write(i, fmt.Sprint("writer ", i)) })
	winner, unknown := -1, map[string]bool{}
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			e.Errorf("writers %d and %d both won", winner, i)
		case err == nil:
			winner = i
		case backend.IsKind(err, backend.KindUnknown):
			unknown[fmt.Sprint("writer ", i)] = true
		default:
			e.wantKind("a loser", err, backend.KindExist)
		}
	}
	data, _ := e.get(name, backend.GetOptions{})
	if winner >= 0 {
		e.wantBytes("the winner's bytes", data, fmt.Append(nil, "writer ", winner))
	} else if !unknown[string(data)] {
		e.Errorf("nobody won, but %q is stored", data)
	}
}

func onePutWins(e *env) {
	for round := range 4 {
		name := fmt.Sprint("round ", round)
		e.race(name, func(_ int, content string) error {
			_, err := e.putIf(name, content, backend.Condition{IfNoneMatch: true})
			return err
		})
	}
}

func oneCompleteWins(e *env) {
	var uploads [16]backend.CompleteInput
	for i := range uploads {
		uploads[i] = e.prepare("a", backend.Condition{IfNoneMatch: true}, fmt.Append(nil, "writer ", i))
	}
	e.race("a", func(i int, _ string) error {
		_, err := e.store.CompleteUpload(e.ctx, uploads[i])
		return err
	})
	for _, in := range uploads {
		e.ok("Abort", e.store.AbortUpload(e.ctx, backend.Upload{Bucket: in.Bucket, Key: in.Key, UploadID: in.UploadID}))
	}
}

// noLostUpdates: each worker adds lines to one object by compare and swap. An attempt
// whose outcome is unknown is looked up, as write-back does.
func noLostUpdates(e *env) {
	const workers, lines = 8, 5
	e.put("log", nil)
	together(workers, func(w int) {
		for n := 0; n < lines; {
			line := fmt.Sprintf("worker %d line %d\n", w, n)
			data, etag, err := e.snapshot("log")
			if err != nil {
				e.Errorf("Get: %v", err)
				return
			}
			if bytes.Contains(data, []byte(line)) {
				n++ // an attempt of unknown outcome that was stored
				continue
			}
			time.Sleep(time.Millisecond) // so that others have read the same
			_, err = e.putIf("log", string(data)+line, backend.Condition{IfMatch: etag})
			switch {
			case err == nil:
				n++
			case !backend.IsKind(err, backend.KindChanged) && !backend.IsKind(err, backend.KindUnknown):
				e.Errorf("Put: %v", err)
				return
			}
		}
	})
	data, _ := e.get("log", backend.GetOptions{})
	for w := range workers {
		for n := range lines {
			line := fmt.Sprintf("worker %d line %d\n", w, n)
			if got := strings.Count(string(data), line); got != 1 {
				e.Errorf("%d times %q, want once", got, line)
			}
		}
	}
}

// snapshot reads a whole object for a goroutine, which must not end the test.
func (e *env) snapshot(name string) (data []byte, etag string, err error) {
	body, err := e.store.Get(e.ctx, e.id(name), backend.GetOptions{})
	if err != nil {
		return nil, "", err
	}
	defer body.Close()
	data, err = readAll(body)
	return data, body.Object.ETag, err
}

// noTornReads: a GET beside overwrites gives one version, with that version's ETag.
func noTornReads(e *env) {
	const size, rounds = 256 << 10, 12
	content := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i)}, size) }
	etags := map[string]byte{e.put("a", content(0)).ETag: 'a'}
	type seen struct {
		etag  string
		first byte
	}
	var mu sync.Mutex
	var reads []seen
	var done atomic.Bool
	together(4, func(worker int) {
		if worker == 0 {
			defer done.Store(true)
			for i := 1; i < rounds; i++ {
				obj, err := e.store.Put(e.ctx, e.input("a", content(i)))
				if err != nil {
					e.Errorf("Put: %v", err)
					return
				}
				mu.Lock()
				etags[obj.ETag] = byte('a' + i)
				mu.Unlock()
			}
			return
		}
		for !done.Load() && !e.Failed() {
			data, etag, err := e.snapshot("a")
			if err != nil || len(data) != size || bytes.Count(data, data[:1]) != size {
				e.Errorf("read %d bytes of ETag %s: %v", len(data), etag, err)
				return
			}
			mu.Lock()
			reads = append(reads, seen{etag, data[0]})
			mu.Unlock()
		}
	})
	for _, r := range reads {
		if etags[r.etag] != r.first {
			e.Errorf("content %q came with ETag %s, which is of %q", r.first, r.etag, etags[r.etag])
		}
	}
}

func concurrentUse(e *env) {
	together(16, func(i int) {
		name, data := fmt.Sprint("object ", i), noise(uint64(i), int64(1000*i))
		for range 3 {
			if _, err := e.store.Put(e.ctx, e.input(name, data)); err != nil {
				e.Errorf("Put: %v", err)
				return
			}
			got, _, err := e.snapshot(name)
			if err != nil {
				e.Errorf("Get: %v", err)
				return
			}
			e.wantBytes(name, got, data)
			if _, err := e.store.List(e.ctx, backend.ListInput{Bucket: e.bucket, Prefix: e.prefix + name}); err != nil {
				e.Errorf("List: %v", err)
			}
		}
	})
	if _, names, _ := e.list(backend.ListInput{}); len(names) != 16 {
		e.Errorf("%d objects, want 16: %q", len(names), names)
	}
}
