package writeback

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
	"github.com/objmount/objmount/cache/staging"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const bucket = "bucket"

// The tests use a store with small limits, so that objects of many parts are small.
const (
	minPart  = 5 * kib
	partSize = 8 * kib
)

// rig is a queue on a store in memory and a real staging area.
type rig struct {
	t      reporter
	dir    string
	mem    *mem.Store
	faults *mem.Faults
	store  *mem.Counter
	area   *staging.Area
	q      *Queue
	limit  int64 // of staging; 0: none

	unchecked bool // streamed bodies have no checksum: the model damages none

	mu      sync.Mutex
	commits []backend.Object
	fails   []error
}

// reporter is a *testing.T or a *rapid.T.
type reporter interface {
	Helper()
	Error(args ...any)
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

type option func(*rig, *Config, *mem.Settings)

func with(change func(*backend.Capabilities)) option {
	return func(_ *rig, _ *Config, s *mem.Settings) { change(&s.Capabilities) }
}

func newRig(t *testing.T, options ...option) *rig {
	t.Helper()
	r := rigIn(t, t.TempDir(), options...)
	t.Cleanup(r.close)
	return r
}

func rigIn(t reporter, dir string, options ...option) *rig {
	r := &rig{t: t, dir: dir, mem: mem.New(bucket)}
	r.faults = mem.Faulty(r.mem)
	r.store = mem.Counting(r.faults)
	r.open(options...)
	return r
}

// open starts a queue on the staging area, as a new process does.
func (r *rig) open(options ...option) {
	r.t.Helper()
	cfg := Config{
		Store: r.store, PartSize: partSize,
		Capabilities: func(bucket string) backend.Capabilities {
			c, err := r.mem.Capabilities(context.Background(), bucket, "", false)
			if err != nil {
				r.t.Error(err)
			}
			return c
		},
		Checksum: func(rd io.Reader) (string, error) {
			b, err := io.ReadAll(rd)
			return mem.CRC64NVME(b), err
		},
		OnCommit: r.committed, OnFail: r.failed,
		Log: slog.New(slog.DiscardHandler),
	}
	r.mem.Configure(func(s *mem.Settings) {
		s.Capabilities.Limits.MinPart, s.Capabilities.Limits.MaxPart = minPart, 64*kib
		for _, o := range options {
			o(r, &cfg, s)
		}
	})
	var err error
	if r.area, err = staging.Open(staging.Config{Dir: r.dir, Log: cfg.Log, Limit: r.limit}); err != nil {
		r.t.Fatal(err)
	}
	r.q = New(cfg)
	r.q.pause = time.Millisecond
}

func (r *rig) close() {
	if r.q == nil {
		return
	}
	if err := r.q.Close(context.Background()); err != nil {
		r.t.Errorf("close: %v", err)
	}
	if err := r.area.Close(); err != nil {
		r.t.Errorf("close staging: %v", err)
	}
	r.q = nil
}

func (r *rig) committed(f *staging.File, s *staging.Snapshot, obj backend.Object) {
	r.mu.Lock()
	r.commits = append(r.commits, obj)
	r.mu.Unlock()
	if obj.ETag == "" || obj.Size != s.Size || obj.Key == "" {
		r.t.Errorf("committed as %+v", obj)
	}
	if _, err := f.Committed(s, remoteOf(obj, s.Size)); err != nil {
		r.t.Errorf("committed: %v", err)
	}
}

func (r *rig) failed(_ *staging.File, _ *staging.Snapshot, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fails = append(r.fails, err)
}

func (r *rig) failures() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]error(nil), r.fails...)
}

// create makes a staged file that is to be new.
func (r *rig) create(key string) *staging.File {
	r.t.Helper()
	return r.stage(staging.Spec{Target: id(key), Condition: backend.Condition{IfNoneMatch: true}})
}

func (r *rig) stage(spec staging.Spec) *staging.File {
	r.t.Helper()
	f, err := r.area.Create(spec)
	if err != nil {
		r.t.Fatal(err)
	}
	return f
}

// edit makes a staged file that begins as a stored object.
func (r *rig) edit(obj backend.Object) *staging.File {
	r.t.Helper()
	return r.stage(staging.Spec{
		Target: obj.ID(), Condition: backend.Condition{IfMatch: obj.ETag}, Content: remoteOf(obj, obj.Size),
	})
}

func (r *rig) write(f *staging.File, data []byte, off int64) {
	r.t.Helper()
	if n, err := f.WriteAt(data, off); err != nil || n != len(data) {
		r.t.Fatalf("write: %d, %v", n, err)
	}
}

func (r *rig) seal(f *staging.File) *staging.Snapshot {
	r.t.Helper()
	s, err := f.Seal(false)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *rig) commit(f *staging.File) (backend.Object, error) {
	r.t.Helper()
	return r.q.Commit(context.Background(), r.seal(f))
}

func (r *rig) mustCommit(f *staging.File) backend.Object {
	r.t.Helper()
	obj, err := r.commit(f)
	if err != nil {
		r.t.Fatal(err)
	}
	return obj
}

// put stores an object without the queue.
func (r *rig) put(key string, data []byte) backend.Object {
	r.t.Helper()
	obj, err := r.mem.Put(context.Background(), backend.PutInput{Bucket: bucket, Key: key, Body: bytes.NewReader(data), Size: int64(len(data))})
	if err != nil {
		r.t.Fatal(err)
	}
	return obj
}

func (r *rig) get(key string) []byte {
	r.t.Helper()
	body, err := r.mem.Get(context.Background(), id(key), backend.GetOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		r.t.Fatal(err)
	}
	return data
}

func (r *rig) has(key string, want []byte) {
	r.t.Helper()
	if got := r.get(key); !bytes.Equal(got, want) {
		r.t.Fatalf("%q has other content: %d bytes, want %d", key, len(got), len(want))
	}
}

func (r *rig) head(key string) backend.Object {
	r.t.Helper()
	obj, err := r.mem.Head(context.Background(), id(key), backend.GetOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	return obj
}

// requests compares the requests since the last call.
func (r *rig) requests(want map[string]int) {
	r.t.Helper()
	got := r.store.Requests()
	same := len(got) == len(want)
	for op, n := range want {
		same = same && got[op] == n
	}
	if !same {
		r.t.Errorf("requests %v, want %v", got, want)
	}
	r.store.Reset()
}

// noUploads says that no multipart upload is left of a key.
func (r *rig) noUploads(key string) {
	r.t.Helper()
	ups, err := r.mem.ListUploads(context.Background(), id(key))
	if err != nil || len(ups) > 0 {
		r.t.Errorf("uploads left: %v, %v", ups, err)
	}
}

func id(key string) backend.ObjectID { return backend.ObjectID{Bucket: bucket, Key: key} }

func readerOf(b []byte) *bytes.Reader { return bytes.NewReader(b) }

// random returns bytes that differ everywhere.
func random(seed uint64, n int64) []byte {
	data := make([]byte, n)
	src := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	src.Read(data)
	return data
}

func wantKind(t *testing.T, err error, kind backend.Kind) {
	t.Helper()
	if !backend.IsKind(err, kind) {
		t.Fatalf("error %v, want %v", err, kind)
	}
}

// eventually waits for something that happens in the background.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}
