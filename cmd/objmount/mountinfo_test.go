package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const someMounts = `22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
44 22 0:41 / /mnt/a\040b rw,nosuid,nodev,relatime shared:5 - fuse.objmount s3://b/with\040space rw,user_id=1000,group_id=0,default_permissions
45 22 0:42 / /mnt/c rw - ext4 /dev/x rw
46 45 0:43 / /mnt/c rw master:1 propagate_from:2 - fuse.objmount s3://over rw,user_id=0
47 22 0:44 / /mnt/tab\011 rw - tmpfs none rw
a line that is none
`

func TestParseMounts(t *testing.T) {
	t.Parallel()
	got := parseMounts([]byte(someMounts))
	want := []mountEntry{
		{"/", "ext4", "/dev/vda1", 0}, {"/mnt/a b", "fuse.objmount", "s3://b/with space", 1000}, {"/mnt/c", "ext4", "/dev/x", 0},
		{"/mnt/c", "fuse.objmount", "s3://over", 0}, {"/mnt/tab\t", "tmpfs", "none", 0},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(mountEntry{})); diff != "" {
		t.Fatal(diff)
	}
	if m, ok := topAt(got, "/mnt/c"); !ok || m.source != "s3://over" {
		t.Errorf("on top of /mnt/c: %+v", m)
	}
	if _, ok := topAt(got, "/mnt"); ok {
		t.Error("/mnt is no mountpoint")
	}
	for path, want := range map[string]string{"/mnt/a b/x/y": "/mnt/a b", "/mnt/a bc": "/", "/mnt/c": "/mnt/c", "/": "/"} {
		if m := holding(got, path); m.dir != want {
			t.Errorf("%s lies in %s, want %s", path, m.dir, want)
		}
	}
	if m := holding(got, "/mnt/c/x"); m.fsType != fsType {
		t.Errorf("/mnt/c/x lies in %+v", m)
	}
}

func TestReadMounts(t *testing.T) {
	t.Parallel()
	mounts, err := readMounts()
	if err != nil {
		t.Fatal(err)
	}
	if m, ok := topAt(mounts, "/proc"); !ok || m.fsType != "proc" {
		t.Errorf("/proc is %+v", m)
	}
}

// TestFindMountpoint: however a path is written.
func TestFindMountpoint(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"real/mnt", "other"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for from, to := range map[string]string{"direct": "real/mnt", "above": "real", "chain": "direct"} {
		if err := os.Symlink(filepath.Join(dir, to), filepath.Join(dir, from)); err != nil {
			t.Fatal(err)
		}
	}
	mounts := []mountEntry{{"/", "ext4", "x", 0}, {filepath.Join(dir, "real/mnt"), fsType, "s3://b", 0}}
	t.Chdir(filepath.Join(dir, "other"))
	for _, path := range []string{dir + "/real/mnt", dir + "/real/mnt/", dir + "//real/./mnt", dir + "/direct", dir + "/direct/", dir + "/above/mnt", dir + "/chain", "../real/mnt", "../direct", "../above/mnt/."} {
		abs, m, ok, err := findMountpoint(mounts, path)
		if err != nil || !ok || m.source != "s3://b" || abs != filepath.Join(dir, "real/mnt") {
			t.Errorf("%s: %s %+v %v %v", path, abs, m, ok, err)
		}
	}
	for _, path := range []string{dir + "/other", ".", dir + "/missing", dir + "/real", dir + "/real/mnt/below"} {
		if abs, m, ok, err := findMountpoint(mounts, path); ok || err != nil {
			t.Errorf("%s: %s %+v %v", path, abs, m, err)
		}
	}
}
