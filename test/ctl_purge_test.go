package test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestCtlPurges(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.versions.delete")
		bucket := s.newLockBucket(t)
		first := s.putVersion(t, bucket, "f", "first", nil)
		locked := s.putVersion(t, bucket, "f", "locked", map[string]any{
			"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": botoTime(time.Now().Add(time.Hour)),
		})
		third := s.putVersion(t, bucket, "f", "third", nil)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		m.reads("f", "third")
		has := func(want ...string) {
			t.Helper()
			got := s.versions(t, bucket, "f")
			for _, id := range want {
				if _, there := got[id]; !there {
					t.Errorf("version %s is gone", id)
				}
			}
			if len(got) != len(want) {
				t.Errorf("the other client sees %v, want %q", got, want)
			}
		}
		m.failsCtl(2, "--yes is needed", "versions", "purge", "--all-but", "1", "f")
		m.failsCtl(2, "say which versions", "versions", "purge", "--yes", "f")
		if out := m.mustCtl("versions", "purge", "--all-but", "1", "--dry-run", "f"); strings.Count(out, "would be purged: f version ") != 2 {
			t.Errorf("dry run:\n%s", out)
		}
		if out := m.mustCtl("versions", "purge", "--older-than", "1d", "--yes", "f"); out != "" {
			t.Errorf("nothing is that old, but:\n%s", out)
		}
		has(first, locked, third)
		a := m.failsCtl(12, "version "+locked+" stays: ", "versions", "purge", "--all-but", "1", "--yes", "--recursive", ".")
		if !strings.Contains(a.out, "purged: f version "+first) {
			t.Errorf("purge says\n%s%s", a.out, a.problems)
		}
		has(locked, third)
		m.mustCtl("versions", "purge", "--version-id", third, "--yes", "f") // what was below is current now
		m.reads("f", "locked")
		m.failsCtl(12, "stays", "versions", "delete", "--version-id", locked, "--yes", "f")
		has(locked)
		m.mustCtl("versions", "delete", "--version-id", locked, "--bypass-governance", "--yes", "f")
		has()
		m.reads("f", "")

		write(t, m.in("g"), "content")
		if err := os.Remove(m.in("g")); err != nil {
			t.Fatal(err)
		}
		if out := m.mustCtl("versions", "purge", "--markers", "--yes", "g"); out != "" {
			t.Errorf("a marker that hides a version was purged: %s", out)
		}
		m.mustCtl(m.bare("versions", "purge", "--all-but", "0", "--yes", "s3://"+bucket+"/g")...)
		if got := s.versions(t, bucket, "g"); len(got) > 0 {
			t.Errorf("left: %v", got)
		}
	})
}

// TestCtlAsksOnATerminal answers the question by way of script(1), which gives a program a terminal.
func TestCtlAsksOnATerminal(t *testing.T) {
	t.Parallel()
	s := openStore(t, "versitygw")
	bucket := s.newVersionedBucket(t)
	s.putVersion(t, bucket, "f", "old", nil)
	s.putVersion(t, bucket, "f", "new", nil)
	m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
	for _, test := range []struct {
		answer, says string
		left         int
	}{
		{"n", "nothing was removed", 2},
		{"", "nothing was removed", 2},
		{"y", "purged: f version ", 1},
		{"y", "nothing to do", 1},
	} {
		cmd := exec.Command("script", "-qec", m.cmd.Path+" ctl versions purge --all-but 1 f", "/dev/null")
		cmd.Dir, cmd.Env, cmd.Stdin = m.dir, m.environment(), strings.NewReader(test.answer+"\n")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), test.says) || test.says != "nothing to do" && !strings.Contains(string(out), "Remove 1 version (3 B) of f for good? [y/N]") {
			t.Errorf("%q: %v\n%s", test.answer, err, out)
		}
		if n := len(s.versions(t, bucket, "f")); n != test.left {
			t.Errorf("%q: %d versions are left, want %d", test.answer, n, test.left)
		}
	}
}

func TestCtlLocks(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.retention", "ctl.legal-hold")
		bucket := s.newLockBucket(t)
		old := s.putVersion(t, bucket, "f", "old", nil)
		s.putVersion(t, bucket, "f", "new", nil)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		id := map[string]any{"Bucket": bucket, "Key": "f", "VersionId": old}
		retention := func() (mode string, until time.Time) {
			t.Helper()
			var reply struct {
				Retention struct {
					Mode            string
					RetainUntilDate time.Time
				}
			}
			s.boto(t, "get_object_retention", id, &reply)
			return reply.Retention.Mode, reply.Retention.RetainUntilDate
		}
		until := time.Now().Add(48 * time.Hour).UTC().Truncate(time.Second)
		m.mustCtl("retention", "set", "--mode", "governance", "--until", until.Format(time.RFC3339), "--version-id", old, "f")
		if mode, at := retention(); mode != "GOVERNANCE" || !at.Equal(until) {
			t.Errorf("the other client sees %s until %v, want %v", mode, at, until)
		}
		if out := m.mustCtl("retention", "show", "--version-id", old, "f"); out != "f: retention GOVERNANCE until "+until.Format(time.RFC3339)+", legal hold off\n" {
			t.Errorf("shown: %s", out)
		}
		if out := m.mustCtl("retention", "show", "f"); out != "f: no retention, legal hold off\n" {
			t.Errorf("the current version: %s", out)
		}
		shorter := time.Now().Add(24 * time.Hour).UTC().Truncate(time.Second)
		set := []string{"retention", "set", "--mode", "governance", "--until", shorter.Format(time.RFC3339), "--version-id", old, "f"}
		m.failsCtl(4, "locked by retention", set...)
		m.mustCtl(append(set, "--bypass-governance")...)
		if _, at := retention(); !at.Equal(shorter) {
			t.Errorf("the other client sees %v, want %v", at, shorter)
		}
		hold := func() string {
			t.Helper()
			var reply struct{ LegalHold struct{ Status string } }
			s.boto(t, "get_object_legal_hold", id, &reply)
			return reply.LegalHold.Status
		}
		m.mustCtl("legal-hold", "on", "--version-id", old, "f")
		if got := hold(); got != "ON" {
			t.Errorf("legal hold %s", got)
		}
		if out := m.mustCtl("legal-hold", "show", "--json", "--version-id", old, "f"); !strings.Contains(out, `"legal_hold":true`) {
			t.Errorf("shown: %s", out)
		}
		m.mustCtl(m.bare("legal-hold", "off", "--version-id", old, "s3://"+bucket+"/f")...)
		if got := hold(); got != "OFF" {
			t.Errorf("legal hold %s", got)
		}
		m.failsCtl(4, "retention", "retention", "clear", "--version-id", old, "f")
		if mode, at := retention(); mode != "GOVERNANCE" || !at.Equal(shorter) {
			t.Errorf("it was cleared all the same: %s until %v", mode, at)
		}
		m.mustCtl("retention", "clear", "--bypass-governance", "--version-id", old, "f")
		m.mustCtl("versions", "delete", "--yes", "--version-id", old, "f")
		if _, there := s.versions(t, bucket, "f")[old]; there {
			t.Error("an old version without retention could not be removed")
		}
		now := s.putVersion(t, bucket, "g", "x", nil)
		m.mustCtl("retention", "set", "--mode", "governance", "--until", "1d", "g")
		m.failsCtl(4, "locked by retention", "retention", "clear", "g")
		m.mustCtl("retention", "clear", "--bypass-governance", "g")
		m.mustCtl("versions", "delete", "--yes", "--version-id", now, "g")
		if got := s.versions(t, bucket, "g"); len(got) > 0 {
			t.Errorf("a version without retention could not be removed: %v", got)
		}

	})
}

func TestCtlLocksWhereThereAreNone(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		bucket := s.newBucket(t)
		s.putVersion(t, bucket, "f", "x", nil)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		m.failsCtl(13, "has no object lock", "retention", "set", "--mode", "governance", "--until", "1d", "f")
		m.failsCtl(13, "has no object lock", m.bare("legal-hold", "on", "s3://"+bucket+"/f")...)
		if got := string(s.get(t, bucket, "f")); got != "x" {
			t.Errorf("the other client reads %q", got)
		}
	})
}

func TestCtlTags(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.tags", "ctl.bucket-tags")
		bucket := s.newVersionedBucket(t)
		old := s.putVersion(t, bucket, "f", "old", map[string]any{"Tagging": "a=1"})
		s.putVersion(t, bucket, "f", "new", nil)
		m := newMount(t, mountOptions{store: s, source: "s3://"})
		file := m.in(bucket + "/f")
		tags := func(method string, args map[string]any) map[string]string {
			t.Helper()
			var reply struct{ TagSet []struct{ Key, Value string } }
			s.boto(t, method, args, &reply)
			all := map[string]string{}
			for _, tag := range reply.TagSet {
				all[tag.Key] = tag.Value
			}
			return all
		}
		of := func(version string) map[string]string {
			return tags("get_object_tagging", map[string]any{"Bucket": bucket, "Key": "f", "VersionId": version})
		}
		if out := m.mustCtl("tags", "get", "--version-id", old, file); out != "a=1\n" {
			t.Errorf("got %q", out)
		}
		if out := m.mustCtl("tags", "set", "--version-id", old, file, "b=two words", "c="); out != "a=1\nb=two words\nc=\n" {
			t.Errorf("set %q", out)
		}
		if got := of(old); got["a"] != "1" || got["b"] != "two words" || len(got) != 3 {
			t.Errorf("the other client sees %v", got)
		}
		if out := m.mustCtl("tags", "get", file); out != "" {
			t.Errorf("the current version has %q", out)
		}
		m.mustCtl("tags", "delete", "--version-id", old, file, "a")
		if got := of(old); len(got) != 2 {
			t.Errorf("the other client sees %v", got)
		}
		m.mustCtl(m.bare("tags", "delete", "--version-id", old, "s3://"+bucket+"/f")...)
		if got := of(old); len(got) != 0 {
			t.Errorf("the other client sees %v", got)
		}
		m.failsCtl(2, "would be 11 tags", append([]string{"tags", "set", file}, strings.Fields("0= 1= 2= 3= 4= 5= 6= 7= 8= 9= 10=")...)...)

		m.mustCtl("tags", "set", m.in(bucket), "team=storage")
		if got := tags("get_bucket_tagging", map[string]any{"Bucket": bucket}); got["team"] != "storage" {
			t.Errorf("the bucket has %v", got)
		}
		m.mustCtl("tags", "set", m.in(bucket), "cost=1")
		if out := m.mustCtl("tags", "get", m.in(bucket)); out != "cost=1\nteam=storage\n" {
			t.Errorf("the bucket has %q", out)
		}
		m.mustCtl("tags", "delete", m.in(bucket))
		if out := m.mustCtl("tags", "get", m.in(bucket)); out != "" {
			t.Errorf("the bucket has %q", out)
		}
	})
}
