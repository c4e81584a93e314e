package test

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestCtlInEveryKindOfMount goes by paths of mounts that show more, or less, or something else than one bucket.
func TestCtlInEveryKindOfMount(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.versions.list", "ctl.versions.undelete")
		bucket := s.newVersionedBucket(t)
		old := s.putVersion(t, bucket, "top/dir/f", "old", nil)
		then := pause().Format(time.RFC3339Nano)
		s.putVersion(t, bucket, "top/dir/f", "new", nil)
		s.remove(t, bucket, "top/dir/f")
		s.putVersion(t, bucket, "outside", "x", nil)
		for name, test := range map[string]struct {
			source, path string
			args         []string
		}{
			"of every bucket": {"s3://", bucket + "/top/dir/f", nil},
			"of a prefix":     {"s3://" + bucket + "/top/", "dir/f", nil},
			"of the past":     {"s3://" + bucket, "top/dir/f", []string{"--at", then}},
			"read-only":       {"s3://" + bucket, "top/dir/f", []string{"--read-only"}},
		} {
			t.Run(name, func(t *testing.T) {
				m := newMount(t, mountOptions{store: s, source: test.source, args: test.args})
				if got := versionsByCtl(t, m.mustCtl("versions", "list", "--json", test.path)); len(got) != 3 || got[old].Key != "top/dir/f" {
					t.Errorf("listed: %v", got)
				}
				if test.args != nil {
					m.failsCtl(4, "it is mounted read-only", "versions", "undelete", test.path)
					if out := m.mustCtl("versions", "undelete", "--dry-run", test.path); !strings.HasPrefix(out, "would be undeleted: top/dir/f ") {
						t.Errorf("a dry run says %q", out)
					}
				}
				switch test.source {
				case "s3://":
					m.failsCtl(2, "this is the list of buckets", "versions", "list", ".")
					m.failsCtl(3, "no such bucket", "versions", "list", "no-such-bucket-here")
				case "s3://" + bucket + "/top/":
					m.failsCtl(9, "is not in a mount", "versions", "list", "../outside")
					if got := versionsByCtl(t, m.mustCtl("versions", "list", "--json", ".")); len(got) != 3 {
						t.Errorf("what is in the prefix: %v", got)
					}
				}
			})
		}
	})
}

// TestCtlStoresFirst works on a file whose upload is still to come.
func TestCtlStoresFirst(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.tags")
		bucket := s.newVersionedBucket(t)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket, args: []string{"--commit=background"}})
		write(t, m.in("f"), "content")
		if err := os.Chmod(m.in("f"), 0o600); err != nil { // is sent a second later, and would undo the tags
			t.Fatal(err)
		}
		if out := m.mustCtl("tags", "set", "f", "k=v"); out != "k=v\n" {
			t.Errorf("set: %q", out)
		}
		m.mustCtl("tags", "get", "f")
		if err := os.Chmod(m.in("f"), 0o640); err != nil {
			t.Fatal(err)
		}
		m.unmount()
		var reply struct{ TagSet []struct{ Key, Value string } }
		s.boto(t, "get_object_tagging", map[string]any{"Bucket": bucket, "Key": "f"}, &reply)
		if len(reply.TagSet) != 1 || reply.TagSet[0].Key != "k" || string(s.get(t, bucket, "f")) != "content" {
			t.Errorf("stored with %+v", reply)
		}
	})
}
