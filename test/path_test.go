package test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// What the storage APIs do with objects, by ordinary system calls and programs; the other client looks.

// onEachStore runs a test on every store, at once.
func onEachStore(t *testing.T, test func(t *testing.T, s *store)) {
	t.Helper()
	for _, name := range []string{"versitygw", "minio"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, openStore(t, name))
		})
	}
}

// inMount is a workspace that is the root of a mount.
func inMount(t *testing.T, m *mount) *workspace {
	t.Helper()
	return &workspace{T: t, dir: m.dir, scratch: t.TempDir(), settled: true, crash: m.dumpGoroutines}
}

func (s *store) buckets(t testing.TB) []string {
	t.Helper()
	var reply struct{ Buckets []struct{ Name string } }
	s.boto(t, "list_buckets", nil, &reply)
	var names []string
	for _, b := range reply.Buckets {
		names = append(names, b.Name)
	}
	return names
}

func TestBucketsByPath(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "path.make-bucket", "path.buckets")
		other := s.newBucket(t)
		m := newMount(t, mountOptions{store: s, source: "s3://"})
		name := other + "-made"
		dir := filepath.Join(m.dir, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(s.buckets(t), name) {
			t.Error("the store has no bucket of the name that was made")
		}
		entries, err := os.ReadDir(m.dir)
		if err != nil || !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == other && e.IsDir() }) {
			t.Errorf("ls shows %v (%v), without %s", entries, err, other)
		}
		if _, err := os.Stat(filepath.Join(m.dir, other+"-none")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("stat of no bucket: %v", err)
		}
		if err := os.Mkdir(dir, 0o755); !errors.Is(err, fs.ErrExist) {
			t.Errorf("mkdir again: %v", err)
		}
		if err := os.WriteFile(filepath.Join(dir, "f"), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Rmdir(dir); !errors.Is(err, syscall.ENOTEMPTY) {
			t.Errorf("rmdir of a bucket with a file: %v", err)
		}
		s.remove(t, name, "f")
		if err := syscall.Rmdir(dir); err != nil {
			t.Errorf("rmdir: %v", err)
		}
		if slices.Contains(s.buckets(t), name) {
			t.Error("the bucket is still there")
		}
		m.unmount()
	})
}

func TestObjectsByPath(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "path.list", "path.get", "path.put", "path.fget", "path.stat", "path.remove", "path.stream", "path.errors", "path.missing")
		bucket := s.newBucket(t)
		small, big := bytesOf(1, 5000), bytesOf(2, 20*mib+17)
		s.put(t, bucket, "d/small", small)
		s.put(t, bucket, "d/e/big", big)
		w := inMount(t, newMount(t, mountOptions{store: s, source: "s3://" + bucket}))
		if got := w.sh(`find . -type f | sort`); got != "./d/e/big\n./d/small\n" {
			t.Errorf("find shows %q", got)
		}
		w.same("d/small", small)
		w.writeScratch("want", big[7_000_000:7_000_000+300_000], 0o644)
		w.sh(`dd if=d/e/big bs=1000 skip=7000 count=300 status=none | cmp - $SRC/want
			test "$(stat -c %s d/e/big)" = 20971537
			cp d/e/big $SRC/copy
			cp $SRC/copy d/again
			cat $SRC/copy $SRC/copy > d/streamed
			tar c -C $SRC copy | cat > d/archive.tar
			tar x -O -f d/archive.tar | cmp - $SRC/copy`)
		for key, want := range map[string][]byte{"d/again": big, "d/streamed": append(slices.Clone(big), big...)} {
			if got := s.get(t, bucket, key); !bytes.Equal(got, want) {
				t.Errorf("%s: %s", key, firstDifference(got, want))
			}
		}
		w.sh(`fails cat none 2>$SRC/why
			grep -q "No such file" $SRC/why
			fails rmdir d 2>$SRC/why
			grep -q "not empty" $SRC/why
			fails mkdir d 2>$SRC/why
			grep -q "File exists" $SRC/why
			rm d/again
			rm -r d/e`)
		if left := s.snapshot(t, bucket, "d/"); left["d/again"].SHA256 != "" || left["d/e/big"].SHA256 != "" || left["d/small"].SHA256 != digest(small) {
			t.Errorf("left: %v", left)
		}
	})
}

// A copy inside the mount moves no data, and changes nothing of the source.
func TestCopyByPath(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "path.copy")
		bucket := s.newBucket(t)
		data := bytesOf(3, 12*mib)
		s.put(t, bucket, "from", data)
		p := newProxy(t, s)
		w := inMount(t, newMount(t, mountOptions{store: s, endpoint: p.endpoint, source: "s3://" + bucket}))
		p.take()
		w.sh(`cp from to`)
		if cost := p.take(); cost.counts["CopyObject"] != 1 || cost.received > mib || cost.sent > 0 {
			t.Errorf("cp cost %v", cost)
		}
		for _, key := range []string{"from", "to"} {
			if got := s.get(t, bucket, key); !bytes.Equal(got, data) {
				t.Errorf("%s: %s", key, firstDifference(got, data))
			}
		}
	})
}

// A bit that changed on its way is an error and no data. The old object outlives an upload that fails, and
// what exists is not replaced by who does not want that.
func TestVerifiedByPath(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "path.verify", "path.exclusive")
		bucket := s.newBucket(t)
		p := newProxy(t, s)
		m := newMount(t, mountOptions{store: s, endpoint: p.endpoint, source: "s3://" + bucket, args: []string{"--retry-timeout=2s"}, noisy: `.`})
		name := filepath.Join(m.dir, "verified")
		if err := os.WriteFile(name, bytesOf(4, 4000), 0o644); err != nil { // with its checksum
			t.Fatal(err)
		}
		m.unmount()
		m = newMount(t, mountOptions{store: s, endpoint: p.endpoint, source: "s3://" + bucket, args: []string{"--retry-timeout=2s"}, noisy: `.`})
		name = filepath.Join(m.dir, "verified")
		p.on(&rule{match: operations("GetObject"), flip: true})
		if got, err := os.ReadFile(name); !errors.Is(err, syscall.EIO) || len(got) > 0 {
			t.Errorf("with a bit changed: %d bytes, %v", len(got), err)
		}
		p.clear()
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, bytesOf(4, 4000)) {
			t.Errorf("again: %v, %s", err, firstDifference(got, bytesOf(4, 4000)))
		}
		p.on(&rule{match: operations("PutObject"), status: 403})
		if err := os.WriteFile(name, []byte("new"), 0o644); !errors.Is(err, syscall.EACCES) {
			t.Errorf("a refused upload: %v", err)
		}
		if got := s.get(t, bucket, "verified"); !bytes.Equal(got, bytesOf(4, 4000)) {
			t.Error("the old object is gone")
		}
		p.clear()
		w := inMount(t, m)
		w.sh(`echo first > exclusive
			set -o noclobber
			fails bash -c 'set -o noclobber; echo second > exclusive' 2>/dev/null
			echo third > $SRC/third
			cp -n $SRC/third exclusive || true`)
		if got := string(s.get(t, bucket, "exclusive")); strings.TrimSpace(got) != "first" {
			t.Errorf("exclusive holds %q", got)
		}
	})
}
