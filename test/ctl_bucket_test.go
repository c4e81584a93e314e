package test

import (
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func newName() string { return "n-" + strings.ToLower(rand.Text()[:12]) }

// bucketNames are those that the other client lists.
func (s *store) bucketNames(t testing.TB) []string {
	t.Helper()
	var reply struct{ Buckets []struct{ Name string } }
	s.boto(t, "list_buckets", map[string]any{}, &reply)
	var names []string
	for _, b := range reply.Buckets {
		names = append(names, b.Name)
	}
	return names
}

// listed are the names in a directory of a mount.
func listed(t testing.TB, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestCtlBuckets(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.make-bucket", "ctl.buckets", "ctl.bucket-show")
		m := newMount(t, mountOptions{store: s, source: "s3://"})
		plain, locked, versioned := newName(), newName(), newName()
		if _, err := os.Stat(m.in(plain)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a bucket that is not there: %v", err)
		}
		if out := m.mustCtl("bucket", "create", m.in(plain)); out != "made: s3://"+plain+"\n" {
			t.Errorf("create says %q", out)
		}
		if names := listed(t, m.dir); !slices.Contains(names, plain) {
			t.Errorf("the mount does not show the new bucket: %q", names)
		}
		m.mustCtl(m.bare("bucket", "create", "--object-lock", "s3://"+locked)...)
		m.mustCtl("bucket", "create", "--versioning", m.in(versioned))
		for _, name := range []string{plain, locked, versioned} {
			if !slices.Contains(s.bucketNames(t), name) {
				t.Errorf("the other client does not see %s", name)
			}
		}
		m.failsCtl(1, "exists already", "bucket", "create", m.in(plain))
		s.hasDocument(t, "get_object_lock_configuration", locked, `"ObjectLockEnabled":"Enabled"`)
		s.hasDocument(t, "get_bucket_versioning", versioned, `"Enabled"`)
		for _, out := range []string{m.mustCtl("bucket", "list", m.dir), m.mustCtl(m.bare("bucket", "list")...), m.mustCtl(m.bare("bucket", "list", "--json", "s3://")...)} {
			for _, name := range []string{plain, locked, versioned} {
				if !strings.Contains(out, name) {
					t.Errorf("the list has no %s:\n%s", name, out)
				}
			}
		}
		if out := m.mustCtl(m.bare("bucket", "show", "s3://"+locked)...); !strings.Contains(out, "name:         "+locked+"\n") ||
			!strings.Contains(out, "\nversioning:   Enabled\n") || !strings.Contains(out, "\nobject lock:  on, without a retention of new objects\n") || !strings.Contains(out, "\nregion:       us-east-1\n") {
			t.Errorf("shown:\n%s", out)
		}
		m.mustCtl("policy", "set", "--anonymous", "read", m.in(plain))
		m.mustCtl("tags", "set", m.in(plain), "team=storage")
		if out := m.mustCtl("bucket", "show", m.in(plain)); !strings.Contains(out, "\npublic:       yes\n") || !strings.Contains(out, "\ntag:          team=storage\n") || !strings.Contains(out, "\ndocuments:    policy\n") || strings.Contains(out, "versioning") {
			t.Errorf("shown:\n%s", out)
		}
		write(t, m.in(plain+"/f"), "x")
		m.failsCtl(1, "is not empty", "bucket", "delete", m.in(plain))
		if got := string(s.get(t, plain, "f")); got != "x" {
			t.Errorf("the other client reads %q", got)
		}
		if err := os.Remove(m.in(plain + "/f")); err != nil {
			t.Fatal(err)
		}
		m.mustCtl("bucket", "delete", m.in(plain), m.in(versioned))
		if _, err := os.Stat(m.in(plain)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the mount still shows the bucket: %v", err)
		}
		m.mustCtl(m.bare("bucket", "delete", "s3://"+locked)...)
		for _, name := range []string{plain, locked, versioned} {
			if slices.Contains(s.bucketNames(t), name) {
				t.Errorf("the other client still sees %s", name)
			}
		}
		m.failsCtl(3, "no such bucket", m.bare("bucket", "delete", "s3://"+plain)...)
	})
}

func TestCtlVersioning(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.versioning")
		bucket := s.newBucket(t)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		says := func(want string, args ...string) {
			t.Helper()
			if out := m.mustCtl(args...); out != want+"\n" {
				t.Errorf("%q says %q, want %q", args, out, want)
			}
		}
		says("never enabled", "versioning", "get", ".")
		says("Enabled", "versioning", "enable", ".")
		s.hasDocument(t, "get_bucket_versioning", bucket, `"Enabled"`)
		s.putVersion(t, bucket, "f", "one", nil)
		s.putVersion(t, bucket, "f", "two", nil)
		if n := len(s.versions(t, bucket, "f")); n != 2 {
			t.Errorf("%d versions are kept, want 2", n)
		}
		m.reads("f", "two")
		if names, err := os.ReadDir(m.in(".versions/f")); err != nil || len(names) != 2 { // the mount knows it, too
			t.Errorf("the view of versions has %v, %v", names, err)
		}
		says("Suspended", m.bare("versioning", "suspend", "s3://"+bucket)...)
		s.hasDocument(t, "get_bucket_versioning", bucket, `"Suspended"`)
		says("Suspended", "versioning", "get", ".")
	})
}

func TestCtlEmptiesBuckets(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.bucket-empty")
		bucket := s.newLockBucket(t)
		s.putVersion(t, bucket, "f", "old", nil)
		s.putVersion(t, bucket, "f", "new", nil)
		s.putVersion(t, bucket, "d/g", "x", nil)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		m.reads("f", "new")
		m.failsCtl(2, "--yes is needed", "bucket", "empty", ".")
		m.failsCtl(2, "goes with --versions", "bucket", "empty", "--bypass-governance", "--yes", ".")
		m.failsCtl(2, "is no bucket", "bucket", "empty", "--yes", "d")
		if out := m.mustCtl("bucket", "empty", "--dry-run", "."); out != "would be removed: 2 objects (4 B)\n" {
			t.Errorf("dry run: %s", out)
		}
		if out := m.mustCtl("bucket", "empty", "--dry-run", "--versions", "."); out != "would be removed: 3 versions (7 B)\n" {
			t.Errorf("dry run: %s", out)
		}
		if n := len(s.versions(t, bucket, "")); n != 3 {
			t.Errorf("%d versions are left of 3", n)
		}
		a := m.ctl("bucket", "empty", "--yes", ".")
		if a.code != 0 || a.out != "removed: 2 objects (4 B)\n" || !strings.Contains(a.problems, "is still there as old versions") {
			t.Errorf("%+v", a)
		}
		m.reads("f", "")
		if got := s.snapshot(t, bucket, ""); len(got) > 0 {
			t.Errorf("the other client sees %v", got)
		}
		kept := s.putVersion(t, bucket, "kept", "x", map[string]any{"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": botoTime(time.Now().Add(time.Hour))})
		m.failsCtl(12, "kept version "+kept+" stays: ", "bucket", "empty", "--versions", "--yes", ".")
		if got := s.versions(t, bucket, ""); len(got) != 1 {
			t.Errorf("left: %v", got)
		}
		m.failsCtl(10, "is what is mounted here", "bucket", "delete", ".")
		m.mustCtl(m.bare("bucket", "empty", "--versions", "--bypass-governance", "--yes", "s3://"+bucket)...)
		if got := s.versions(t, bucket, ""); len(got) > 0 {
			t.Errorf("left: %v", got)
		}
		m.mustCtl(m.bare("bucket", "delete", "s3://"+bucket)...)
	})
}

// TestCtlAsksBeforeItEmpties answers the question by way of script(1), which gives a program a terminal.
func TestCtlAsksBeforeItEmpties(t *testing.T) {
	t.Parallel()
	s := openStore(t, "versitygw")
	bucket := s.newBucket(t)
	s.put(t, bucket, "f", []byte("x"))
	m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
	for _, test := range []struct {
		answer, says string
		left         int
	}{
		{"n", "nothing was removed", 1}, {"y", "removed: 1 object (1 B)", 0}, {"y", "nothing to do", 0},
	} {
		cmd := exec.Command("script", "-qec", m.cmd.Path+" ctl bucket empty .", filepath.Join(t.TempDir(), "typescript"))
		cmd.Dir, cmd.Env, cmd.Stdin = m.dir, m.environment(), strings.NewReader(test.answer+"\n")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), test.says) {
			t.Errorf("%q: %v\n%s", test.answer, err, out)
		}
		if n := len(s.snapshot(t, bucket, "")); n != test.left {
			t.Errorf("%q: %d objects are left, want %d", test.answer, n, test.left)
		}
	}
}
