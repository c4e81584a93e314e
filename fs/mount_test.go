package fs

import (
	"bytes"
	"context"
	"hash"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
	"github.com/objmount/objmount/cache/blocks"
	"github.com/objmount/objmount/cache/metadata"
	"github.com/objmount/objmount/cache/staging"
	"github.com/objmount/objmount/cache/writeback"
)

const testBucket = "bucket"

// testMount is a mount of a memory store in this process, with everything counted.
type testMount struct {
	t     *testing.T
	dir   string
	fs    *FS
	raw   *mem.Store
	store *mem.Counter
	mount *Mount
	parts []func() error // to close, in order
	lost  bool           // nothing can be stored any more
}

type testOptions struct {
	store    *mem.Store // nil: a new one
	commit   CommitMode
	posix    PosixMode
	ttl      time.Duration // 0: 10 s
	buckets  bool          // mount every bucket
	groups   []string      // mount them in groups; wrap gives a store that has them
	state    string        // "": a new directory
	cacheDir string
	limit    int64 // of staging; 0: none
	partSize int64 // of multipart uploads, also the store's smallest; 0: the defaults
	wrap     func(backend.Store) backend.Store
	caps     *backend.Capabilities // nil: all
	maxCopy  int64                 // largest object of one CopyObject; 0: as S3
	checksum func() hash.Hash64    // CRC64NVME; nil: content is not verified
	settings func(*mem.BucketSettings)
	// capabilities changes those that the mount believes in.
	capabilities func(*backend.Capabilities)
	consistency  Consistency
	exclusive    bool // ExclusiveOpen
	defaults     func(backend.ObjectID) backend.Properties
	present      []string
}

// newTestMount mounts; the test's end unmounts.
func newTestMount(t *testing.T, o testOptions) *testMount {
	t.Helper()
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Fatalf("these tests mount: %v", err)
	}
	if o.store == nil {
		o.store = mem.New(testBucket)
	}
	if o.ttl == 0 {
		o.ttl = 10 * time.Second
	}
	bucket := testBucket
	if o.buckets || o.groups != nil {
		bucket = ""
	}
	if o.state == "" {
		o.state = t.TempDir()
	}
	m := &testMount{t: t, dir: t.TempDir(), raw: o.store, store: mem.Counting(o.store)}
	var store backend.Store = m.store
	if o.wrap != nil {
		store = o.wrap(store)
	}
	log := slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelInfo}))
	caps := mem.AllCapabilities()
	if o.caps != nil {
		caps = *o.caps
		o.store.Configure(func(s *mem.Settings) { s.Capabilities = caps })
	}
	if o.maxCopy > 0 {
		caps.Limits.MaxCopy = o.maxCopy
	}
	if o.partSize > 0 {
		caps.Limits.MinPart = o.partSize
		o.store.Configure(func(s *mem.Settings) { s.Capabilities.Limits.MinPart = o.partSize })
	}
	if o.settings != nil {
		o.store.ConfigureBucket(testBucket, o.settings)
	}
	found, err := o.store.Capabilities(context.Background(), testBucket, "", false)
	check(t, err)
	caps.Versioned, caps.ObjectLock = found.Versioned, found.ObjectLock
	if o.capabilities != nil {
		o.capabilities(&caps)
	}
	blockCache, err := blocks.Open(blocks.Config{Reader: store, Memory: 64 << 20, Dir: o.cacheDir, DirSize: 1 << 30, Checksum: o.checksum, Log: log})
	check(t, err)
	names, err := metadata.Open(metadata.Config{Lister: store, Reader: store, Path: filepath.Join(o.state, "metadata"), TTL: o.ttl, NegativeTTL: time.Second, Log: log})
	check(t, err)
	area, err := staging.Open(staging.Config{Dir: filepath.Join(o.state, "staging"), Limit: o.limit, Log: log})
	check(t, err)
	m.fs, err = New(Config{
		Store: store, Blocks: blockCache, Metadata: names, Staging: area,
		NewQueue: func(call Callbacks) *writeback.Queue {
			return writeback.New(writeback.Config{
				Store: store, Capabilities: func(string) backend.Capabilities { return caps }, PartSize: o.partSize,
				BeforeStream: call.BeforeStream, BeforeCommit: call.BeforeCommit, OnCommit: call.OnCommit, OnFail: call.OnFail, MayReplace: call.MayReplace, RetryTimeout: 5 * time.Second, Log: log,
			})
		},
		Capabilities: func(string) backend.Capabilities { return caps },
		Bucket:       bucket, Groups: o.groups, UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), FileMode: 0o644, DirMode: 0o755,
		Commit: o.commit, Posix: o.posix, Consistency: o.consistency, ExclusiveOpen: o.exclusive, TTL: o.ttl, NegativeTTL: time.Second, Log: log,
		Defaults: o.defaults, Present: func(string) []string { return o.present },
	})
	check(t, err)
	m.mount, err = m.fs.Mount(m.dir, MountOptions{FSName: "test"})
	check(t, err)
	m.parts = []func() error{
		m.closeFS, area.Close, names.Close, blockCache.Close,
	}
	t.Cleanup(m.unmount)
	return m
}

func (m *testMount) closeFS() error {
	if !m.lost {
		return m.fs.Close(context.Background())
	}
	ctx, stop := context.WithTimeout(context.Background(), time.Second)
	defer stop()
	_ = m.fs.Close(ctx) // that uploads are given up
	return nil
}

// unmount waits for the uploads and ends the mount; calling it again does nothing.
func (m *testMount) unmount() {
	if m.mount == nil {
		return
	}
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	drain := func() {
		if m.lost {
			return
		}
		if err := m.fs.Drain(ctx, nil); err != nil {
			m.t.Errorf("drain: %v", err)
		}
	}
	drain()
	if err := m.mount.Unmount(); err != nil {
		m.t.Errorf("unmount: %v", err)
		return
	}
	m.mount = nil
	drain() // what last closes brought
	for _, end := range m.parts {
		if err := end(); err != nil {
			m.t.Errorf("close: %v", err)
		}
	}
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", strings.TrimSpace(string(p)))
	return len(p), nil
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (m *testMount) path(name string) string { return filepath.Join(m.dir, name) }

// object returns what another client of the store reads.
func (m *testMount) object(key string) ([]byte, backend.Object) {
	m.t.Helper()
	body, err := m.store.Get(context.Background(), backend.ObjectID{Bucket: testBucket, Key: key}, backend.GetOptions{})
	check(m.t, err)
	defer body.Close()
	data, err := io.ReadAll(body)
	check(m.t, err)
	return data, body.Object
}

// stored is object for a key that may not be there yet.
func (m *testMount) stored(key string) ([]byte, error) {
	body, err := m.store.Get(context.Background(), backend.ObjectID{Bucket: testBucket, Key: key}, backend.GetOptions{})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

// put stores an object as another client does.
func (m *testMount) put(key string, data []byte) {
	m.t.Helper()
	_, err := m.store.Put(context.Background(), backend.PutInput{Bucket: testBucket, Key: key, Body: bytes.NewReader(data), Size: int64(len(data))})
	check(m.t, err)
}

// gone waits until an object is deleted: the last close of a file comes after close(2) has returned.
func (m *testMount) gone(key string) {
	m.t.Helper()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		_, err := m.raw.Head(context.Background(), backend.ObjectID{Bucket: testBucket, Key: key}, backend.GetOptions{})
		if backend.IsKind(err, backend.KindNotExist) {
			return
		}
		if time.Now().After(end) {
			m.t.Errorf("%s: still there (%v)", key, err)
			return
		}
	}
}

// budget is what an operation may cost.
type budget struct {
	want   map[string]int
	orLess bool
}

// atMost is a budget that need not be used up.
func (m *testMount) atMost(want map[string]int) budget { return budget{want, true} }

// requests runs fn and compares the requests it made with want.
func (m *testMount) requests(fn func(), limit any) {
	m.t.Helper()
	b, ok := limit.(budget)
	if !ok {
		b.want = limit.(map[string]int)
	}
	want := b.want
	_, _ = m.fs.limitsOf(m.t.Context(), testBucket, true) // once per TTL: TestRequestsForLimits
	m.store.Reset()
	fn()
	got := m.store.Requests()
	for op, count := range got {
		if count > want[op] || count < want[op] && !b.orLess {
			m.t.Errorf("%d %s, want %d (all: %v)", count, op, want[op], got)
		}
	}
	for op, count := range want {
		if got[op] == 0 && count != 0 && !b.orLess {
			m.t.Errorf("no %s, want %d (all: %v)", op, count, got)
		}
	}
}

var listAll = backend.ListInput{Bucket: testBucket}

// nodeOf returns the node of a name in the root.
func (m *testMount) nodeOf(name string) *node {
	m.t.Helper()
	_, err := os.Lstat(m.path(name))
	check(m.t, err)
	n := m.fs.tree.child(m.fs.tree.root(), name)
	if n == nil {
		m.t.Fatalf("no node of %s", name)
	}
	return n
}

// rawSet is setxattr without the kernel, which lets one at a time do it to a file.
func (m *testMount) rawSet(n *node, name, value string, flags uint32) fuse.Status {
	in := &fuse.SetXAttrIn{InHeader: fuse.InHeader{NodeId: n.id}, Flags: flags}
	return m.fs.SetXAttr(nil, in, name, []byte(value))
}
