package test

import (
	"bytes"
	"fmt"
	"io/fs"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// smallDisk mounts a file system of so many MiB for a test.
func smallDisk(t *testing.T, mib int) string {
	t.Helper()
	dir := newState(t)
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", mib)); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fillDisk writes a file until the disk is full, and returns its name.
func fillDisk(t *testing.T, dir string) string {
	t.Helper()
	name := filepath.Join(dir, "filler")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for piece := make([]byte, 1<<20); len(piece) > 0; {
		if _, err := f.Write(piece); err != nil {
			piece = piece[:len(piece)/2]
		}
	}
	return name
}

// cacheWarnings are the lines of the log about what is cached on the disk.
func (m *mount) cacheWarnings() (lines []string) {
	for _, line := range m.log.lines() {
		if badLine.MatchString(line) && strings.Contains(line, "then=") {
			lines = append(lines, line)
		}
	}
	return lines
}

// cacheTrouble is a way in which a cache directory can be bad.
type cacheTrouble struct {
	name   string
	killed bool                                                     // the first mount is
	disk   bool                                                     // the directory is a small file system
	before func(t *testing.T, dir string, rng *mathrand.Rand) error // before the second mount
	during func(t *testing.T, dir string) error                     // while it is mounted
}

var cacheTroubles = []cacheTrouble{
	{name: "full", disk: true, before: func(t *testing.T, dir string, _ *mathrand.Rand) error { fillDisk(t, dir); return nil }},
	{name: "becomes full", disk: true, during: func(t *testing.T, dir string) error { fillDisk(t, dir); return nil }},
	{name: "read-only", disk: true, before: func(_ *testing.T, dir string, _ *mathrand.Rand) error {
		return unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, "")
	}},
	{name: "no directory", before: func(_ *testing.T, dir string, _ *mathrand.Rand) error {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		return os.WriteFile(dir, []byte("a file"), 0o600)
	}},
	{name: "flipped after a kill", killed: true, before: flipSome},
	{name: "flipped", before: flipSome},
	{name: "cut", before: func(_ *testing.T, dir string, rng *mathrand.Rand) error {
		return eachCacheFile(dir, func(data []byte) []byte { return data[:rng.IntN(len(data)+1)] })
	}},
	{name: "garbage", before: func(_ *testing.T, dir string, rng *mathrand.Rand) error {
		return eachCacheFile(dir, func(data []byte) []byte { return bytesOf(rng.Uint64(), len(data)) })
	}},
	{name: "foreign files", before: func(t *testing.T, dir string, _ *mathrand.Rand) error {
		return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return err
			}
			return os.WriteFile(filepath.Join(path, "README"), []byte("not of objmount"), 0o600)
		})
	}},
}

func flipSome(_ *testing.T, dir string, rng *mathrand.Rand) error {
	return eachCacheFile(dir, func(data []byte) []byte {
		for range 1 + len(data)/20_000 {
			if len(data) > 0 {
				data[rng.IntN(len(data))] ^= 1 << rng.IntN(8)
			}
		}
		return data
	})
}

// eachCacheFile changes the bytes of every file below a directory.
func eachCacheFile(dir string, change func(data []byte) []byte) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, change(data), 0o600)
	})
}

// TestCacheDirectory: whatever happens to the cache directory, what is read is right, and the log has one warning at most.
func TestCacheDirectory(t *testing.T) {
	t.Parallel()
	for i, trouble := range cacheTroubles {
		if i >= 5 && !longRun() {
			continue
		}
		t.Run(trouble.name, func(t *testing.T) {
			t.Parallel()
			seed := mathrand.Uint64()
			t.Logf("seed %d", seed)
			cacheRound(t, trouble, mathrand.New(mathrand.NewPCG(seed, 0)))
			tell(t, 1, 1, 1)
		})
	}
}

func cacheRound(t *testing.T, trouble cacheTrouble, rng *mathrand.Rand) {
	s := openStore(t, "versitygw")
	files := map[string][]byte{}
	for i, size := range []int{100, 5_000, 120_000, 1 << 20, 3<<20 + 17} {
		files[fmt.Sprintf("f%d", i)] = bytesOf(rng.Uint64(), size)
	}
	dir := filepath.Join(newState(t), "cache")
	if trouble.disk {
		dir = smallDisk(t, 24)
	}
	m := newMount(t, mountOptions{store: s, source: "s3://" + s.newBucket(t), args: []string{"--cache-dir=" + dir, "--posix=on", "--metadata-ttl=0s"}})
	for name, data := range files {
		if err := os.WriteFile(m.in(name), data, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	readsAll(t, m, files)
	if trouble.killed {
		m.kill()
	} else {
		m.unmount()
	}
	if trouble.before != nil {
		if err := trouble.before(t, dir, rng); err != nil {
			t.Fatal(err)
		}
	}
	again := m.again(func(o *mountOptions) { o.noisy = "then=" })
	readsAll(t, again, files)
	if trouble.during != nil {
		if err := trouble.during(t, dir); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0); err != nil {
			t.Log(err)
		}
		readsAll(t, again, files)
	}
	warned := func() bool { return trouble.name == "foreign files" || len(again.cacheWarnings()) > 0 }
	for i := 0; i == 0 || i < 20 && !warned(); i++ { // a busy machine caches not all that is new
		name := fmt.Sprint("new", i)
		files[name] = bytesOf(rng.Uint64(), 2<<20)
		if err := os.WriteFile(again.in(name), files[name], 0o640); err != nil {
			t.Error(err)
		}
		readsAll(t, again, files)
	}
	again.unmount()
	lines := again.cacheWarnings()
	if len(lines) > 1 {
		t.Errorf("%d warnings about one directory:\n%s", len(lines), strings.Join(lines, "\n"))
	}
	if !warned() {
		t.Error("nobody is warned")
	}
}

// readsAll compares files of a mount, with their modes.
func readsAll(t *testing.T, m *mount, files map[string][]byte) {
	t.Helper()
	for name, data := range files {
		got, err := os.ReadFile(m.in(name))
		if err != nil {
			t.Error(err)
			continue
		}
		if !bytes.Equal(got, data) {
			t.Errorf("%s: %s", name, firstDifference(got, data))
		}
		if info, err := os.Stat(m.in(name)); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}
