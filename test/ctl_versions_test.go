package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func write(t testing.TB, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// reads wants a content at once: the mount must know what ctl changed. "" is a file that is not there.
func (m *mount) reads(name, want string) {
	m.t.Helper()
	got, err := os.ReadFile(m.in(name))
	if err != nil && want == "" && os.IsNotExist(err) {
		return
	}
	if err != nil || string(got) != want || want == "" {
		m.t.Errorf("%s reads %q, %v; want %q", name, got, err, want)
	}
}

func TestCtlListsVersions(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.versions.list")
		bucket := s.newVersionedBucket(t)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		for _, content := range []string{"one", "two!"} {
			write(t, m.in("dir/file"), content)
			write(t, m.in("dir/file2"), content)
			write(t, m.in("dir/sub/naïve name"), content)
		}
		for _, gone := range []string{"dir/file", "dir/sub/naïve name"} {
			if err := os.Remove(m.in(gone)); err != nil {
				t.Fatal(err)
			}
		}
		link := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(m.in("dir"), link); err != nil {
			t.Fatal(err)
		}
		file := s.versions(t, bucket, "dir/file")
		for id, v := range file {
			if v.Key != "dir/file" {
				delete(file, id)
			}
		}
		if len(file) != 3 {
			t.Fatalf("the other client sees %v", file)
		}
		for _, args := range [][]string{
			{"versions", "list", "--json", "dir/file"}, // deleted, relative
			{"versions", "list", "--json", m.in("dir/file")},
			{"versions", "list", "--json", filepath.Join(link, "file")},
			{"versions", "list", "--json", link + "/sub/../file"},
			m.bare("versions", "list", "--json", "s3://"+bucket+"/dir/file"),
		} {
			if diff := cmp.Diff(file, versionsByCtl(t, m.mustCtl(args...))); diff != "" {
				t.Errorf("%q:\n%s", args, diff)
			}
		}
		everything := s.versions(t, bucket, "")
		for _, args := range [][]string{
			{"versions", "list", "--json", "--all", "."},
			{"versions", "list", "--json", "--all", m.dir},
			m.bare("versions", "list", "--json", "--all", "s3://"+bucket),
		} {
			if diff := cmp.Diff(everything, versionsByCtl(t, m.mustCtl(args...))); diff != "" {
				t.Errorf("%q:\n%s", args, diff)
			}
		}
		table := m.mustCtl("versions", "list", "dir/file")
		lines := strings.Split(strings.TrimSpace(table), "\n")
		if len(lines) != 4 || !strings.Contains(lines[0], "VERSION") || !strings.Contains(lines[1], " deleted ") || strings.Count(table, " old ") != 2 {
			t.Errorf("the table:\n%s", table)
		}
		m.failsCtl(1, "nothing is or was at s3://"+bucket+"/dir/none", "versions", "list", "dir/none")
		if a := m.ctlIn(filepath.Dir(link), "versions", "list", "."); a.code != 9 {
			t.Errorf("outside: %+v", a)
		}
		curl := workspace{T: t, dir: m.options.state, scratch: t.TempDir()}
		answer := curl.sh(`curl --silent --show-error --fail --unix-socket objmount/*.sock --data '{"path": "dir/file"}' http://mount/v1/versions/list`)
		if n := strings.Count(answer, `{"item":{"bucket":"`+bucket+`","key":"dir/file"`); n != 3 {
			t.Errorf("by curl:\n%s", answer)
		}
	})
}

func TestCtlRestoresAndUndeletes(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.versions.restore", "ctl.versions.undelete")
		bucket := s.newVersionedBucket(t)
		old := s.putVersion(t, bucket, "f", "old", map[string]any{
			"ContentType": "text/x-test", "CacheControl": "no-store", "Metadata": map[string]any{"project": "apollo"}, "Tagging": "a=1&b=2",
		})
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		m.reads("f", "old")
		s.putVersion(t, bucket, "f", "newer", nil)
		write(t, m.in("d/a"), "a")
		write(t, m.in("d/b"), "b")

		m.mustCtl("versions", "restore", "--dry-run", "f")
		if n := len(s.versions(t, bucket, "f")); n != 2 {
			t.Errorf("a dry run left %d versions", n)
		}
		m.mustCtl("versions", "restore", "--version-id", old, "f")
		m.reads("f", "old")
		var head struct {
			ContentType, CacheControl string
			Metadata                  map[string]string
		}
		s.boto(t, "head_object", map[string]any{"Bucket": bucket, "Key": "f"}, &head)
		var tagging struct{ TagSet []struct{ Key, Value string } }
		s.boto(t, "get_object_tagging", map[string]any{"Bucket": bucket, "Key": "f"}, &tagging)
		if head.ContentType != "text/x-test" || head.CacheControl != "no-store" || head.Metadata["project"] != "apollo" || len(tagging.TagSet) != 2 {
			t.Errorf("restored with %+v, %+v", head, tagging)
		}
		if got := s.get(t, bucket, "f"); string(got) != "old" || len(s.versions(t, bucket, "f")) != 3 {
			t.Errorf("the other client reads %q; %v", got, s.versions(t, bucket, "f"))
		}
		m.mustCtl(m.bare("versions", "restore", "s3://"+bucket+"/f")...) // the one before
		if got := s.get(t, bucket, "f"); string(got) != "newer" {
			t.Errorf("the other client reads %q", got)
		}

		m.reads("f", "newer") // an unlink of what the mount has not seen would be ESTALE
		if err := os.Remove(m.in("f")); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(m.in("d")); err != nil {
			t.Fatal(err)
		}
		m.reads("f", "")
		m.mustCtl("versions", "undelete", "f")
		m.reads("f", "newer")
		m.failsCtl(2, "use --recursive", "versions", "undelete", "d")
		out := m.mustCtl("versions", "undelete", "--recursive", "--json", "d")
		if !strings.Contains(out, `"key":"d/a","action":"undeleted"`) || !strings.Contains(out, `{"result":{"done":`) {
			t.Errorf("undelete says\n%s", out)
		}
		m.reads("d/a", "a")
		m.reads("d/b", "b")
		if got := s.get(t, bucket, "d/b"); string(got) != "b" {
			t.Errorf("the other client reads %q", got)
		}
		m.mustCtl("versions", "undelete", "f") // nothing to do is no failure
		m.failsCtl(1, "has no version nosuchversion", "versions", "restore", "--version-id", "nosuchversion", "f")

		open, err := os.OpenFile(m.in("f"), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := open.WriteString(" and more"); err != nil {
			t.Fatal(err)
		}
		m.failsCtl(10, "written by a program", "versions", "restore", "f")
		if err := open.Close(); err != nil {
			t.Fatal(err)
		}
		m.reads("f", "newer and more")
	})
}

// pause lets what comes after it have another time than what was before, also in stores that count whole seconds.
func pause() time.Time {
	const second = 1100 * time.Millisecond
	time.Sleep(second)
	now := time.Now()
	time.Sleep(second)
	return now
}

func TestCtlRestoresATreeAndCompares(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.versions.restore", "ctl.versions.diff")
		bucket := s.newVersionedBucket(t)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		write(t, m.in("d/changed"), "line 1\nline 2\n")
		write(t, m.in("d/removed"), "removed")
		write(t, m.in("d/sub/same"), "same")
		then := pause().Format(time.RFC3339Nano)
		write(t, m.in("d/changed"), "line 1\nline two\n")
		write(t, m.in("d/added"), "added")
		if err := os.Remove(m.in("d/removed")); err != nil {
			t.Fatal(err)
		}
		diff := m.mustCtl("versions", "diff", "d/changed")
		if !strings.Contains(diff, "@@ -1,2 +1,2 @@\n line 1\n-line 2\n+line two\n") || !strings.Contains(diff, "size: 14 -> 16\n") {
			t.Errorf("diff of a file:\n%s", diff)
		}
		if diff := m.mustCtl("versions", "diff", "--from", then, "d"); diff != "A d/added\nM d/changed\nD d/removed\n" {
			t.Errorf("diff of a tree:\n%s", diff)
		}
		var ids []string
		for id, v := range s.versions(t, bucket, "d/changed") {
			if v.Latest {
				ids = append(ids, id)
			}
		}
		if diff := m.mustCtl("versions", "diff", "--from", ids[0], "--to", then, "d/changed"); !strings.Contains(diff, "-line two\n+line 2\n") {
			t.Errorf("backwards:\n%s", diff)
		}
		m.failsCtl(2, "use --at", "versions", "restore", "--recursive", "d")
		before := len(s.versions(t, bucket, "d/"))
		dry := m.mustCtl("versions", "restore", "--recursive", "--delete", "--dry-run", "--at", then, "d")
		if !strings.Contains(dry, "would be restored: d/removed") || !strings.Contains(dry, "would be deleted: d/added") || len(s.versions(t, bucket, "d/")) != before {
			t.Errorf("dry run:\n%s", dry)
		}
		m.mustCtl("versions", "restore", "--recursive", "--at", then, "d")
		want := map[string]string{"d/changed": "line 1\nline 2\n", "d/removed": "removed", "d/sub/same": "same", "d/added": "added"}
		m.mustHave(bucket, want)
		m.mustCtl("versions", "restore", "--recursive", "--delete", "--at", then, "d")
		want["d/added"] = ""
		m.mustHave(bucket, want)
	})
}

// mustHave wants contents in the mount and, for another client, in the bucket; "" is a file that is not there.
func (m *mount) mustHave(bucket string, want map[string]string) {
	m.t.Helper()
	objects := m.options.store.snapshot(m.t, bucket, "")
	for key, content := range want {
		m.reads(key, content)
		if o, there := objects[key]; there != (content != "") || there && o.Size != int64(len(content)) {
			m.t.Errorf("%s: the other client sees %v, %+v", key, there, o)
		}
	}
}
