package fs

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/objmount/objmount/backend"
)

// mostBytes is what an inode that the kernel knows may take here, in bytes, with its share of all tables.
const mostBytes = 250

// TestMemoryOfIdleFiles: not parallel, because it measures the heap.
func TestMemoryOfIdleFiles(t *testing.T) {
	const dirs, files = 200, 1000
	tree := newTree("bucket", "")
	tree.bound(dirs * files)
	heap := func() int64 {
		var m runtime.MemStats
		for range 2 {
			runtime.GC()
		}
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	parents := make([]*node, dirs)
	for i := range parents {
		name := fmt.Sprintf("directory-%06d", i)
		parents[i] = newDir(name + "/")
		tree.add(tree.root(), name, parents[i], true)
	}
	before := heap()
	for _, dir := range parents {
		for i := range files {
			name := fmt.Sprintf("photo-%06d-%04d.jpg", dir.id, i)
			tree.add(dir, name, listedFile(tree.locate(dir), name), true)
		}
	}
	each := float64(heap()-before) / (dirs * files)
	t.Logf("%.1f bytes for each of %d idle files, of them %d of the node; %d of a body, which %d have", each, dirs*files,
		unsafe.Sizeof(node{}), unsafe.Sizeof(body{}), len(tree.clock.slots))
	if each > mostBytes {
		t.Errorf("%.1f bytes for each idle file, want at most %d", each, mostBytes)
	}
	runtime.KeepAlive(tree)
}

// listedFile is the node of a file as a listing shows it.
func listedFile(at place, name string) *node {
	sum := md5.Sum([]byte(name))
	o := backend.Object{
		Bucket: at.bucket, Key: at.key + name, ETag: hex.EncodeToString(sum[:]), Size: 12345,
		LastModified: time.Date(2026, 11, 21, 12, 0, 0, 123e6, time.UTC),
	}
	return &node{ino: inoOf(at.bucket, at.key+name, ""), extra: &extra{suffix: name}, body: &body{
		attr:    attr{mode: 0o100644, uid: 1000, gid: 1000, size: o.Size, mtime: o.LastModified},
		current: newVersion(o), tagCount: -1, checked: time.Now(),
	}}
}
