package test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestCtlKeysFromStandardInput names objects as a list prints them; one of them is not there.
func TestCtlKeysFromStandardInput(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.object-io", "ctl.stat", "ctl.tags", "ctl.copy", "ctl.retention")
		bucket := s.newLockBucket(t)
		var keys []string
		for i := range 20 {
			keys = append(keys, fmt.Sprintf("d/sub %d/f\n%d", i%2, i))
		}
		for _, key := range keys {
			s.putVersion(t, bucket, key, key, nil)
		}
		s.putVersion(t, bucket, "outside", "x", nil)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		list := filepath.Join(t.TempDir(), "keys")
		must(t, os.WriteFile(list, []byte(strings.Join(append(slices.Clone(keys), "d/none"), "\x00")), 0o600))
		type object struct {
			Key   string
			Size  int64
			Error *struct{ Kind string }
		}
		for _, from := range [][]string{{"object", "stat", "--json", "--null", "d", "-"}, m.bare("object", "stat", "--json", "--null", "s3://"+bucket, "-")} {
			a := m.ctlFed(list, from...)
			if a.code != 12 || !strings.Contains(a.problems, "1 of 21 failed") {
				t.Errorf("%+v", a)
			}
			got := 0
			for i, o := range jsonLines[object](t, a.out) {
				if o.Key == "" {
					continue // the summary
				}
				if got++; i < len(keys) && (o.Key != keys[i] || o.Size != int64(len(keys[i]))) || i == len(keys) && (o.Key != "d/none" || o.Error == nil || o.Error.Kind != "not-found") {
					t.Errorf("line %d: %+v", i, o)
				}
			}
			if got != len(keys)+1 {
				t.Errorf("%d lines: %s", got, a.out)
			}
		}
		if a := m.ctlFed(list, "object", "exists", "--null", "d", "-"); a.code != 1 || strings.Count(a.out, ": there\n") != len(keys) || strings.Count(a.out, "d/none: not there\n") != 1 {
			t.Errorf("%+v", a)
		}
		must(t, os.WriteFile(list, []byte(strings.Join(keys, "\x00")+"\x00"), 0o600))
		until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
		for _, args := range [][]string{
			{"tags", "set", "--null", "d", "-", "k=v", "l=w"}, {"tags", "delete", "--null", "d", "-", "l"},
			{"object", "copy", "--null", "d", "-", "copies/"},
			{"retention", "set", "--null", "--mode", "governance", "--until", until.Format(time.RFC3339), "d", "-"},
		} {
			if a := m.ctlFed(list, args...); a.code != 0 {
				t.Errorf("%q: %+v", args, a)
			}
		}
		for _, key := range keys {
			if tags := s.tags(t, bucket, key); len(tags) != 1 || tags["k"] != "v" {
				t.Errorf("%q has the tags %v", key, tags)
			}
			copied := "copies/" + strings.TrimPrefix(key, "d/")
			if got := string(s.get(t, bucket, copied)); got != key {
				t.Errorf("%q is %q", copied, got)
			}
			var reply struct{ Retention struct{ Mode string } }
			s.boto(t, "get_object_retention", map[string]any{"Bucket": bucket, "Key": key}, &reply)
			if reply.Retention.Mode != "GOVERNANCE" {
				t.Errorf("%q: %+v", key, reply)
			}
		}
		must(t, os.WriteFile(list, []byte("outside\n"), 0o600))
		if a := m.ctlFed(list, "tags", "set", "d", "-", "k=v"); a.code != 2 || !strings.Contains(a.problems, `the key "outside" is not below`) {
			t.Errorf("%+v", a)
		}
	})
}

// TestCtlObjectGetRanges reads pieces and versions, to standard output and into files.
func TestCtlObjectGetRanges(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.object-io")
		bucket := s.newVersionedBucket(t)
		old := s.putVersion(t, bucket, "f", "0123456789", nil)
		s.putVersion(t, bucket, "f", "abcdefghij", nil)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		file := filepath.Join(t.TempDir(), "out")
		for _, test := range []struct {
			want string
			args []string
		}{
			{"abcdefghij", nil},
			{"0123456789", []string{"--version-id", old}},
			{"cde", []string{"--range", "2-4"}},
			{"hij", []string{"--range", "7-"}},
			{"9", []string{"--range", "9-1000", "--version-id", old}},
			{"bc", []string{"--offset", "1", "--length", "2"}},
		} {
			for _, base := range [][]string{append([]string{"object", "get"}, append(test.args, "f")...), m.bare(append([]string{"object", "get"}, append(test.args, "s3://"+bucket+"/f")...)...)} {
				if got := m.mustCtl(base...); got != test.want {
					t.Errorf("%q: %q", base, got)
				}
				m.mustCtl(append([]string{base[0], base[1], "--output", file}, base[2:]...)...)
				if got, err := os.ReadFile(file); err != nil || string(got) != test.want {
					t.Errorf("%q into a file: %q, %v", base, got, err)
				}
			}
		}
		m.failsCtl(2, "range", "object", "get", "--range", "10-", "f")
	})
}

// TestCtlObjectRestoreOfWhatIsNotArchived: VersityGW has no archives, and MinIO knows that the object is in none.
func TestCtlObjectRestoreOfWhatIsNotArchived(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		bucket := s.newBucket(t)
		s.put(t, bucket, "f", []byte("x"))
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		if out := m.mustCtl("object", "restore", "f"); out != "f: STANDARD, no restored copy\n" {
			t.Errorf("%q", out)
		}
		code := map[string]int{"versitygw": 13, "minio": 2}[s.name]
		m.failsCtl(code, "RestoreObject", "object", "restore", "--days", "1", "--tier", "bulk", "f")
		m.failsCtl(code, "RestoreObject", m.bare("object", "restore", "--days", "1", "s3://"+bucket+"/f")...)
		m.reads("f", "x")
	})
}
