package test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The view of versions: another client makes versions and delete markers, the mount shows them as files.

// stored is a version as the other client has made it.
type stored struct {
	id, content string
	deleted     bool
}

// putAs stores a version as the other client does, and says which.
func (s *store) putAs(t testing.TB, bucket, key, content string) stored {
	t.Helper()
	var reply struct{ VersionID string }
	s.boto(t, "put_object", map[string]any{"Bucket": bucket, "Key": key, "Body": botoBytes([]byte(content))}, &reply)
	return stored{id: reply.VersionID, content: content}
}

func (s *store) deleteAs(t testing.TB, bucket, key string) stored {
	t.Helper()
	var reply struct{ VersionID string }
	s.boto(t, "delete_object", map[string]any{"Bucket": bucket, "Key": key}, &reply)
	return stored{id: reply.VersionID, deleted: true}
}

// versionsIn reads the directory of a key's versions, by version id.
func versionsIn(t testing.TB, dir string) map[string]fs.DirEntry {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	found := map[string]fs.DirEntry{}
	for _, e := range entries {
		_, id, ok := strings.Cut(strings.TrimSuffix(e.Name(), ".deleted"), "Z_")
		if !ok {
			t.Errorf("%s in %s is no version", e.Name(), dir)
		}
		found[id] = e
	}
	return found
}

// wantVersions compares a directory of the view with what the other client has made since a time.
func wantVersions(t testing.TB, dir string, since time.Time, want ...stored) {
	t.Helper()
	found := versionsIn(t, dir)
	if len(found) != len(want) {
		t.Errorf("%s has %d versions, want %d", dir, len(found), len(want))
	}
	for _, v := range want {
		e := found[v.id] // ids of these stores need no escape
		if e == nil {
			t.Errorf("%s: version %s is not shown", dir, v.id)
			continue
		}
		path := filepath.Join(dir, e.Name())
		data, err := os.ReadFile(path)
		must(t, err)
		info, err := os.Stat(path)
		must(t, err)
		if string(data) != v.content || info.Size() != int64(len(v.content)) || info.Mode() != 0o644 {
			t.Errorf("%s: %q, %v, size %d, want %q", path, data, info.Mode(), info.Size(), v.content)
		}
		if strings.HasSuffix(e.Name(), ".deleted") != v.deleted {
			t.Errorf("%s: deleted %v", path, v.deleted)
		}
		at := info.ModTime() // some stores tell whole seconds
		if at.Before(since.Add(-2*time.Second)) || at.After(time.Now().Add(2*time.Second)) {
			t.Errorf("%s is of %v, made after %v", path, at, since)
		}
		if prefix := at.UTC().Format("2006-01-02T15:04:05.000Z_"); !strings.HasPrefix(e.Name(), prefix) {
			t.Errorf("%s is of %v", path, at)
		}
	}
}

func TestVersionsAsFiles(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "version.list", "version.get", "version.stat")
		bucket := s.newBucket(t)
		since := time.Now()
		first := s.putAs(t, bucket, "d/old", "from before versions were kept")
		first.id = "null"
		s.boto(t, "put_bucket_versioning", map[string]any{"Bucket": bucket, "VersioningConfiguration": map[string]any{"Status": "Enabled"}}, nil)
		old := []stored{first, s.putAs(t, bucket, "d/old", "since")}
		var report []stored
		for _, content := range []string{"one", "two, longer", ""} {
			report = append(report, s.putAs(t, bucket, "d/report.txt", content))
		}
		report = append(report, s.deleteAs(t, bucket, "d/report.txt"), s.putAs(t, bucket, "d/report.txt", "again"))
		gone := []stored{s.putAs(t, bucket, "d/gone/deep/file", "gone"), s.deleteAs(t, bucket, "d/gone/deep/file")}
		odd := s.putAs(t, bucket, "d/naïve 100% name+%file", "odd")

		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		d := filepath.Join(m.dir, "d")
		view := filepath.Join(d, ".versions")
		if entries, err := os.ReadDir(d); err != nil || slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == ".versions" }) {
			t.Errorf("the directory lists %v, %v", entries, err)
		}
		wantNames(t, view, "gone", "naïve 100% name+%file", "old", "report.txt")
		wantVersions(t, filepath.Join(view, "old"), since, old...)
		wantVersions(t, filepath.Join(view, "report.txt"), since, report...)
		wantVersions(t, filepath.Join(m.dir, ".versions/d/report.txt"), since, report...)
		wantVersions(t, filepath.Join(view, "gone/deep/file"), since, gone...)
		wantVersions(t, filepath.Join(view, "naïve 100% name+%file"), since, odd)
		for id, e := range versionsIn(t, filepath.Join(view, "report.txt")) {
			path := filepath.Join(view, "report.txt", e.Name())
			if told, err := readXattr(path, "user.s3.version-id"); err != nil || told != id {
				t.Errorf("%s: the attribute says %q, %v", path, told, err)
			}
			info, err := os.Stat(path)
			must(t, err)
			if told, err := readXattr(path, "user.s3.last-modified"); err != nil || told != info.ModTime().UTC().Format(time.RFC3339Nano) {
				t.Errorf("%s of %v: the attribute says %q, %v", path, info.ModTime().UTC(), told, err)
			}
			deleted := strings.HasSuffix(e.Name(), ".deleted")
			if all, err := readXattr(path, "user.s3"); err != nil || strings.Contains(all, `"delete_marker": true`) != deleted || !strings.Contains(all, id) {
				t.Errorf("%s: %s, %v", path, all, err)
			}
			if _, err := readXattr(path, "user.s3.etag"); (errno(err) == syscall.ENODATA) != deleted {
				t.Errorf("%s: ETag: %v", path, err)
			}
		}
		out, err := exec.Command("find", m.dir).CombinedOutput()
		must(t, err)
		if bytes.Contains(out, []byte(".versions")) {
			t.Errorf("find sees the view:\n%s", out)
		}
		if err := unix.Unlink(filepath.Join(view, "old", versionsIn(t, filepath.Join(view, "old"))["null"].Name())); errno(err) != syscall.EPERM && errno(err) != syscall.EACCES {
			t.Errorf("a version was unlinked: %v", err)
		}
		must(t, exec.Command("rm", "-r", d).Run())
		report = append(report, stored{})
		if n := len(versionsIn(t, filepath.Join(m.dir, ".versions/d/report.txt"))); n != len(report) {
			t.Errorf("%d versions after rm, want %d", n, len(report))
		}
		s.boto(t, "put_bucket_versioning", map[string]any{"Bucket": bucket, "VersioningConfiguration": map[string]any{"Status": "Suspended"}}, nil)
		again := newMount(t, mountOptions{store: s, source: "s3://" + bucket + "/d/", args: []string{"--read-only"}})
		wantVersions(t, filepath.Join(again.dir, ".versions/gone/deep/file"), since, gone...)

		plain := newMount(t, mountOptions{store: s, source: "s3://" + s.newBucket(t)})
		if _, err := os.Stat(filepath.Join(plain.dir, ".versions")); errno(err) != syscall.ENOENT {
			t.Errorf("a bucket without versions: %v", err)
		}
	})
}

// cp brings a version back inside the store.
func TestVersionsCopiedBack(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "version.copy")
		bucket := s.newVersionedBucket(t)
		large := string(bytesOf(7, 12*mib))
		restored := map[string]stored{
			"small":         s.putAs(t, bucket, "small", "the first"),
			"large":         s.putAs(t, bucket, "large", large),
			"deleted":       s.putAs(t, bucket, "deleted", "was deleted"),
			"gone/dir/file": s.putAs(t, bucket, "gone/dir/file", "with its directory"),
		}
		s.putAs(t, bucket, "small", "the second")
		s.putAs(t, bucket, "large", "small now")
		s.deleteAs(t, bucket, "deleted")
		s.deleteAs(t, bucket, "gone/dir/file")

		proxy := newProxy(t, s)
		m := newMount(t, mountOptions{store: s, endpoint: proxy.endpoint, source: "s3://" + bucket})
		must(t, os.MkdirAll(filepath.Join(m.dir, "gone/dir"), 0o755))
		for name, v := range restored {
			to := filepath.Join(m.dir, name)
			dir := filepath.Join(filepath.Dir(to), ".versions", filepath.Base(to))
			from := filepath.Join(dir, versionsIn(t, dir)[v.id].Name())
			before := s.versionsOf(t, bucket, name)
			proxy.take()
			if out, err := exec.Command("cp", from, to).CombinedOutput(); err != nil {
				t.Fatalf("cp: %v: %s", err, out)
			}
			if cost := proxy.take(); cost.sent+cost.received > 0 || countOf(cost, "CopyObject") != 1 {
				t.Errorf("%s: sent %d, received %d: %q", name, cost.sent, cost.received, cost.requests)
			}
			if got := s.get(t, bucket, name); string(got) != v.content {
				t.Errorf("%s: the other client reads %d bytes, want %d", name, len(got), len(v.content))
			}
			if after := s.versionsOf(t, bucket, name); len(after) != len(before)+1 {
				t.Errorf("%s: %q, before %q", name, after, before)
			}
			if n := len(versionsIn(t, dir)); n != len(before)+1 {
				t.Errorf("%s: the view shows %d versions", name, n)
			}
		}

		// A copy that is more than one object: its parts are copied by the version's id.
		src, err := os.Open(filepath.Join(m.dir, ".versions/large", versionsIn(t, filepath.Join(m.dir, ".versions/large"))[restored["large"].id].Name()))
		must(t, err)
		defer src.Close()
		dst, err := os.Create(filepath.Join(m.dir, "longer"))
		must(t, err)
		proxy.take()
		for left := len(large); left > 0; {
			n, err := unix.CopyFileRange(int(src.Fd()), nil, int(dst.Fd()), nil, left, 0)
			must(t, err)
			left -= n
		}
		_, err = dst.WriteString("and more")
		must(t, err)
		must(t, dst.Close())
		cost := proxy.take()
		if countOf(cost, "UploadPartCopy") == 0 || cost.sent > mib || !slices.ContainsFunc(cost.requests, func(r string) bool { return strings.HasPrefix(r, "UploadPartCopy") }) {
			t.Errorf("sent %d, received %d: %q", cost.sent, cost.received, cost.requests)
		}
		if got := s.get(t, bucket, "longer"); string(got) != large+"and more" {
			t.Errorf("the other client reads %d bytes", len(got))
		}
	})
}

// countOf is how often an operation was asked for, whatever its condition.
func countOf(cost tally, operation string) int {
	count := 0
	for name, n := range cost.counts {
		if name == operation || strings.HasPrefix(name, operation+" ") {
			count += n
		}
	}
	return count
}
