package fs

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// mostBytes is what an inode that the kernel knows may take here, in bytes, with its share of all tables.
const mostBytes = 250

// TestMemoryOfIdleFiles: not parallel, because it measures the heap.
func TestMemoryOfIdleFiles(t *testing.T) {
	const dirs, files = 100, 1000
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

// fold folds the body of a node if that can be.
func fold(n *node) bool {
	n.lock()
	done := n.foldLocked()
	n.mu.rw.Unlock()
	return done
}

// TestFoldingKeepsWhatIsKnown: a body is the same after it was folded, but for what the store tells again.
func TestFoldingKeepsWhatIsKnown(t *testing.T) {
	t.Parallel()
	someTime := rapid.Custom(func(t *rapid.T) time.Time {
		return rapid.SampledFrom([]time.Time{
			{}, time.Unix(0, 0).UTC(), time.Unix(-1, 1).UTC(), time.Date(2026, 11, 21, 12, 0, 0, 123456789, time.UTC),
			time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2261, 12, 31, 0, 0, 0, 0, time.UTC), time.Date(1600, 1, 1, 0, 0, 0, 0, time.UTC),
		}).Draw(t, "time")
	})
	etags := []string{
		"", "x", "d41d8cd98f00b204e9800998ecf8427e", "D41D8CD98F00B204E9800998ECF8427E", "d41d8cd98f00b204e9800998ecf8427e-1",
		"d41d8cd98f00b204e9800998ecf8427e-10000", "d41d8cd98f00b204e9800998ecf8427e-01", "d41d8cd98f00b204e9800998ecf8427e-0",
		"d41d8cd98f00b204e9800998ecf8427e-65536", "d41d8cd98f00b204e9800998ecf8427e-", "g41d8cd98f00b204e9800998ecf8427e",
	}
	rapid.Check(t, func(t *rapid.T) {
		tree := newTree("bucket", "top/")
		key := rapid.SampledFrom([]string{"f", "other name"}).Draw(t, "suffix")
		v := newVersion(backend.Object{
			Bucket: "bucket", Key: "top/" + key, ETag: rapid.SampledFrom(etags).Draw(t, "etag"), Size: rapid.Int64Min(0).Draw(t, "size"),
			VersionID: rapid.SampledFrom([]string{"", "v1"}).Draw(t, "version"), LastModified: someTime.Draw(t, "modified"),
		})
		v.sum, v.summed = rapid.SampledFrom([]string{"", "7a5hQ478J4A=", "AAAAAAAAAAA=", "7a5hQ478J4A", "7a5hQ478"}).Draw(t, "sum"), rapid.Bool().Draw(t, "summed")
		a := attr{
			mode: rapid.SampledFrom([]uint32{0o100644, 0o104755, 0o120777, 0o010600, 0o060600}).Draw(t, "mode"),
			uid:  rapid.Uint32().Draw(t, "uid"), gid: rapid.Uint32().Draw(t, "gid"), rdev: rapid.SampledFrom([]uint32{0, 7}).Draw(t, "rdev"),
			size: rapid.SampledFrom([]int64{v.remote.Size, 3}).Draw(t, "shown"), mtime: someTime.Draw(t, "mtime"), atime: someTime.Draw(t, "atime"),
			target: rapid.SampledFrom([]string{"", "to"}).Draw(t, "target"),
		}
		flag := func(name string) bool { return rapid.SampledFrom([]bool{false, false, false, true}).Draw(t, name) }
		checked := rapid.SampledFrom([]time.Time{{}, time.Now(), time.Now().Add(-time.Hour)}).Draw(t, "checked")
		want := &body{
			attr: a, current: v, tagCount: rapid.IntRange(-1, 10).Draw(t, "tags"), checked: checked,
			guessed: flag("guessed"), explicit: flag("explicit"), wrong: flag("wrong"), written: flag("written"), assured: flag("assured"), replacing: flag("replacing"),
		}
		n := &node{extra: &extra{suffix: key}, body: want}
		tree.add(tree.root(), "f", n, true)
		n.lock()
		defer n.mu.rw.Unlock()
		if !n.foldLocked() {
			for _, at := range []time.Time{v.modified, a.mtime, a.atime} {
				if !at.IsZero() && at.Year() <= 1678 {
					return // does not fit
				}
			}
			t.Fatal("it is not folded")
		}
		n.unfoldLocked()
		got := n.body
		if *got.current.remote != *v.remote || got.current.modified != v.modified || got.current.sum != v.sum || got.current.summed != v.summed || !got.current.is(v) {
			t.Fatalf("the version was %+v %+v, is %+v %+v", v, v.remote, got.current, got.current.remote)
		}
		if got.attr != a {
			t.Fatalf("attributes were %+v, are %+v", a, got.attr)
		}
		if !got.checked.Equal(checked) || got.tagCount != want.tagCount {
			t.Fatalf("known since %v, was %v; %d tags, were %d", got.checked, checked, got.tagCount, want.tagCount)
		}
		if got.guessed != want.guessed || got.explicit != want.explicit || got.wrong != want.wrong || got.written != want.written ||
			got.assured != want.assured || got.replacing != want.replacing {
			t.Fatalf("was %+v, is %+v", want, got)
		}
	})
}

// TestFoldedFileKeepsItsKey: the version of a folded node lies where it lay, whatever is renamed meanwhile.
func TestFoldedFileKeepsItsKey(t *testing.T) {
	t.Parallel()
	tree := newTree("bucket", "")
	one, two := newDir("one/"), newDir("two/")
	tree.add(tree.root(), "one", one, true)
	tree.add(tree.root(), "two", two, true)
	var files []*node
	for _, name := range []string{"a", "b", "c"} {
		files = append(files, listedFile(tree.locate(one), name))
		tree.add(one, name, files[len(files)-1], true)
	}
	keys := func(when string, want ...string) {
		t.Helper()
		for i, n := range files {
			n.rlock()
			if got := n.current.remote.Key; got != want[i] {
				t.Errorf("%s: the key is %s, want %s", when, got, want[i])
			}
			n.runlock()
			if folded := fold(n); folded != strings.HasSuffix(want[i], n.suffix()) {
				t.Errorf("%s: %s is folded: %v", when, want[i], folded)
			}
		}
	}
	keys("at first", "one/a", "one/b", "one/c")
	tree.move(one, two, "in", "in/")
	for _, n := range files {
		if n.body != nil {
			t.Fatal("a rename has unfolded a node")
		}
	}
	keys("after a rename of the directory", "one/a", "one/b", "one/c")
	tree.move(files[0], two, "x", "x")
	tree.move(files[0], two, "y", "y")
	tree.move(files[2], two, "c2", "c")
	keys("after a rename of files", "one/a", "one/b", "one/c")
	if got := tree.locate(files[0]); got.key != "two/y" {
		t.Errorf("the first is at %v", got)
	}
	weight := 0
	for n := range tree.index.all() {
		weight += n.weight()
	}
	if tree.weight != weight {
		t.Errorf("the nodes weigh %d, it says %d", weight, tree.weight)
	}
}

// TestFoldingInParallel: while bodies come and go all the time, nothing that is written into them is lost, an open file keeps its
// body, and a version stays the same.
func TestFoldingInParallel(t *testing.T) {
	t.Parallel()
	const files, workers, steps = 24, 8, 2000
	tree := newTree("bucket", "")
	tree.clock.most = 2
	dirs := []*node{newDir("one/"), newDir("two/"), newDir("three/")}
	for i, dir := range dirs {
		tree.add(tree.root(), fmt.Sprint(i), dir, true)
	}
	nodes, versions := make([]*node, files), make([]*version, files)
	for i := range nodes {
		name := fmt.Sprintf("file%d", i)
		nodes[i] = listedFile(tree.locate(dirs[0]), name)
		versions[i] = nodes[i].current
		tree.add(dirs[0], name, nodes[i], true)
	}
	var counts [files]atomic.Int64
	var unfolded atomic.Int64
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for range steps {
				i := mathrand.IntN(files)
				n := nodes[i]
				switch mathrand.IntN(6) {
				case 0:
					n.lock()
					n.attr.uid++
					counts[i].Add(1)
					n.unlock()
				case 1:
					n.rlock()
					if !n.current.is(versions[i]) || *n.current.remote != *versions[i].remote {
						t.Errorf("%d has %+v", i, n.current.remote)
					}
					n.runlock()
				case 2:
					n.lock()
					n.opens++
					b := n.body
					n.unlock()
					n.rlock()
					if n.body != b {
						t.Error("an open file has lost its body")
					}
					n.runlock()
					n.lock()
					n.opens--
					n.unlock()
				case 3:
					tree.move(n, dirs[mathrand.IntN(len(dirs))], fmt.Sprintf("file%d", i), fmt.Sprintf("file%d", i))
				case 4:
					tree.remember(n)
					tree.forget(n.id, 1)
				case 5:
					if n.idle() && tree.get(n.id) != n {
						t.Errorf("%d is not found", i)
					}
					if n.mu.rw.TryRLock() {
						if n.body == nil {
							unfolded.Add(1)
						}
						n.mu.rw.RUnlock()
					}
				}
			}
		})
	}
	group.Wait()
	for i, n := range nodes {
		n.lock()
		if got := int64(n.attr.uid) - 1000; got != counts[i].Load() {
			t.Errorf("%d was changed %d times, and knows of %d", i, counts[i].Load(), got)
		}
		n.unlock()
	}
	if unfolded.Load() == 0 {
		t.Error("nothing was ever folded")
	}
}

// TestBusyFilesAreNotFolded: what only the body knows keeps it.
func TestBusyFilesAreNotFolded(t *testing.T) {
	t.Parallel()
	for name, keep := range map[string]func(n *node){
		"open": func(n *node) { n.opens = 1 }, "renamed": func(n *node) { n.holds = 1 }, "written": func(n *node) { n.writers = 1 },
		"flushed late": func(n *node) { n.active = 1 }, "made": func(n *node) { n.made = make(chan struct{}) },
		"staged": func(n *node) { n.staged = &staging.File{} }, "new": func(n *node) { n.current = nil },
		"passthrough": func(n *node) { n.open.passthrough = 1 }, "unlinked": func(n *node) { n.doomed = true },
		"lost": func(n *node) { n.lost = true }, "to be deleted": func(n *node) { n.doomedID = &deferredDelete{} },
		"promises": func(n *node) { n.after = []*deferredDelete{{}} }, "failed": func(n *node) { n.failure = syscall.EIO },
		"refused": func(n *node) { n.refused = syscall.EIO }, "unfit": func(n *node) { n.unfit = syscall.EIO },
		"given": func(n *node) { n.given = &backend.Properties{} }, "copied": func(n *node) { n.inherited = "text/plain" },
		"of a view": func(n *node) { n.marker = &backend.Object{} }, "another key": func(n *node) { n.current.remote.Key = "x" },
		"not known": func(n *node) { n.current = nil },
	} {
		tree := newTree("bucket", "")
		n := listedFile(place{bucket: "bucket"}, "f")
		tree.add(tree.root(), "f", n, true)
		n.lock()
		keep(n)
		n.unlock()
		if fold(n) {
			t.Errorf("%s: it is folded", name)
		}
	}
	tree := newTree("bucket", "")
	n := listedFile(place{bucket: "bucket"}, "f")
	tree.add(tree.root(), "f", n, true)
	if tree.detach(n); fold(n) {
		t.Error("a file without a name is folded")
	}
}

// TestNotedIsBounded: what listings have noted in many directories is dropped where nobody has used it lately.
func TestNotedIsBounded(t *testing.T) {
	t.Parallel()
	tree := newTree("bucket", "")
	var dirs []*node
	for i := range 400 {
		dir := newDir(fmt.Sprintf("d%d/", i))
		tree.add(tree.root(), fmt.Sprint("d", i), dir, true)
		dirs = append(dirs, dir)
		for j := range 1000 {
			dir.lock()
			dir.following.note(fmt.Sprint(j))
			dir.unlock()
		}
		if noted := tree.hints.noted.Load(); noted > mostNoted+mostNoted/8 {
			t.Fatalf("%d bytes are noted", noted)
		}
	}
	kept := 0
	for _, dir := range dirs {
		dir.rlock()
		if len(dir.following.all) == 1000 {
			kept++
		} else if len(dir.following.all) > 0 {
			t.Errorf("%s has %d", dir.name, len(dir.following.all))
		}
		dir.runlock()
	}
	if last := dirs[len(dirs)-1]; len(last.following.all) != 1000 || kept < 50 || kept > 200 {
		t.Errorf("%d directories have what they noted, the last %d", kept, len(last.following.all))
	}
}

// TestStoredFilesAreFolded: a file that this mount has made is folded like others once it is stored, also one that was copied and one that
// the configuration gave properties.
func TestStoredFilesAreFolded(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{defaults: func(backend.ObjectID) backend.Properties {
		return backend.Properties{Metadata: map[string]string{"project": "x"}}
	}})
	m.put("source", []byte("a source"))
	m.copyRange("source", "copy")
	check(t, os.WriteFile(m.path("made"), []byte("made"), 0o644))
	for _, name := range []string{"copy", "made"} {
		eventually(t, func() bool { return fold(m.nodeOf(name)) }) // the kernel tells of the last close later
	}
}
