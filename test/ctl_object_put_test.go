package test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// putObject is what objmount ctl object put --json answers.
type putObject struct {
	Bucket    string `json:"bucket"`
	Key       string `json:"key"`
	VersionID string `json:"version_id"`
	ETag      string `json:"etag"`
	Size      int64  `json:"size"`
}

// unfinished are the uploads of a key that nobody has ended, as the other client sees them.
func (s *store) unfinished(t testing.TB, bucket, key string) int {
	t.Helper()
	var reply struct{ Uploads []map[string]any }
	s.boto(t, "list_multipart_uploads", map[string]any{"Bucket": bucket, "Prefix": key}, &reply)
	return len(reply.Uploads)
}

// ctlPiped is ctl with standard input from a pipe, which feed writes.
func (m *mount) ctlPiped(ctx context.Context, feed func(io.Writer) error, args ...string) ctlAnswer {
	m.t.Helper()
	cmd := exec.CommandContext(ctx, m.cmd.Path, append([]string{"ctl"}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Dir, cmd.Env = m.dir, m.environment()
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	in, err := cmd.StdinPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	if err := feed(in); err != nil && ctx.Err() == nil {
		m.t.Errorf("feeding objmount ctl %q: %v", args, err)
	}
	_ = in.Close() // the command may have ended
	_ = cmd.Wait() // its exit code tells
	return ctlAnswer{out.String(), problems.String(), cmd.ProcessState.ExitCode()}
}

func TestCtlObjectPut(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.object-io")
		bucket := s.newLockBucket(t)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		small := []byte("some content\n")
		large := make([]byte, 21<<20+1)
		for i := range large {
			large[i] = byte(i * i >> 7)
		}
		for name, data := range map[string][]byte{"empty": {}, "small": small, "large": large} {
			file := filepath.Join(t.TempDir(), name)
			must(t, os.WriteFile(file, data, 0o600))
			until := time.Now().Add(48 * time.Hour).UTC().Truncate(time.Second)
			more := []string{
				"--json", "--content-type", "text/x-own", "--cache-control", "no-store", "--metadata", "Color=blue", "--metadata", "b=c=d", "--tag", "k=v", "--tag", "l=",
				"--retention", until.Format(time.RFC3339), "--retention-mode", "governance", "--legal-hold",
			}
			ways := map[string]func(key string) ctlAnswer{
				"file": func(key string) ctlAnswer { return m.ctl(append([]string{"object", "put", key, file}, more...)...) },
				"stdin": func(key string) ctlAnswer {
					return m.ctlFed(file, append([]string{"object", "put", key}, more...)...)
				},
				"pipe": func(key string) ctlAnswer {
					return m.ctlPiped(t.Context(), func(w io.Writer) error {
						_, err := w.Write(data)
						return err
					}, append([]string{"object", "put", key, "-"}, more...)...)
				},
				"bare": func(key string) ctlAnswer {
					return m.ctl(m.bare(append([]string{"object", "put", "s3://" + bucket + "/" + key, file}, more...)...)...)
				},
				"directory": func(key string) ctlAnswer {
					return m.ctl(append([]string{"object", "put", strings.TrimSuffix(key, name), file}, more...)...)
				},
			}
			for way, put := range ways {
				key := "d/" + way + "/" + name
				if _, err := os.Stat(m.in(key)); !os.IsNotExist(err) {
					t.Fatalf("%s is there: %v", key, err)
				}
				a := put(key)
				if a.code != 0 {
					t.Errorf("%s: %+v", key, a)
					continue
				}
				answer := jsonLines[putObject](t, a.out)[0]
				if got := s.get(t, bucket, key); sha256.Sum256(got) != sha256.Sum256(data) {
					t.Errorf("%s: the other client reads %d bytes, not the %d of the file", key, len(got), len(data))
				}
				if got, err := os.ReadFile(m.in(key)); way != "bare" && (err != nil || sha256.Sum256(got) != sha256.Sum256(data)) { // at once
					t.Errorf("%s: the mount shows %d bytes, %v", key, len(got), err)
				}
				var head struct {
					ContentType, CacheControl, ETag, VersionID string
					Metadata                                   map[string]string
					ObjectLockMode, ObjectLockLegalHoldStatus  string
					ObjectLockRetainUntilDate                  string
				}
				s.boto(t, "head_object", map[string]any{"Bucket": bucket, "Key": key}, &head)
				if head.ContentType != "text/x-own" || head.CacheControl != "no-store" || head.Metadata["color"] != "blue" || head.Metadata["b"] != "c=d" ||
					answer.Key != key || answer.Bucket != bucket || answer.ETag != strings.Trim(head.ETag, `"`) || answer.VersionID != head.VersionID || answer.Size != int64(len(data)) {
					t.Errorf("%s: %+v, answered %+v", key, head, answer)
				}
				if tags := s.tags(t, bucket, key); len(tags) != 2 || tags["k"] != "v" {
					t.Errorf("%s: tags %v", key, tags)
				}
				s.lockedUntil(t, bucket, key, until)
				if n := s.unfinished(t, bucket, key); n != 0 {
					t.Errorf("%s: %d unfinished uploads", key, n)
				}
			}
		}
		for id, v := range s.versions(t, bucket, "d/") { // so that the bucket can be removed
			s.boto(t, "put_object_legal_hold", map[string]any{"Bucket": bucket, "Key": v.Key, "VersionId": id, "LegalHold": map[string]any{"Status": "OFF"}}, nil)
		}
	})
}

// lockedUntil wants a governance retention and a legal hold, as the other client sees them.
func (s *store) lockedUntil(t testing.TB, bucket, key string, until time.Time) {
	t.Helper()
	var retention struct {
		Retention struct{ Mode, RetainUntilDate string }
	}
	s.boto(t, "get_object_retention", map[string]any{"Bucket": bucket, "Key": key}, &retention)
	var hold struct{ LegalHold struct{ Status string } }
	s.boto(t, "get_object_legal_hold", map[string]any{"Bucket": bucket, "Key": key}, &hold)
	if at, err := time.Parse(time.RFC3339, strings.Replace(retention.Retention.RetainUntilDate, " ", "T", 1)); err != nil || !at.Equal(until) || retention.Retention.Mode != "GOVERNANCE" || hold.LegalHold.Status != "ON" {
		t.Errorf("%s: locked %+v %+v, %v", key, retention, hold, err)
	}
}

// TestCtlObjectPutRefuses what is there, what is locked, and what a program writes.
func TestCtlObjectPutRefuses(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.object-io", "ctl.copy", "ctl.compose")
		bucket := s.newLockBucket(t)
		old := s.putVersion(t, bucket, "locked", "old", nil)
		s.hold(t, bucket, "locked")
		s.putVersion(t, bucket, "there", "theirs", nil)
		s.putVersion(t, bucket, "dir/f", "x", nil)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		file := filepath.Join(t.TempDir(), "new")
		must(t, os.WriteFile(file, []byte("new"), 0o600))
		if a := m.ctlFed(file, "object", "put", "dir"); a.code != 2 || !strings.Contains(a.problems, "is a directory; name a file") {
			t.Errorf("%+v", a)
		}
		if a := m.ctlFed(file, "object", "put", "--size", "4", "short"); a.code != 2 || !strings.Contains(a.problems, "there are 3 bytes, not 4; nothing was stored") {
			t.Errorf("%+v", a)
		}
		m.mustCtl("object", "put", "fresh", file)
		if out := m.mustCtl("object", "put", "there", file); !strings.HasPrefix(out, "stored: there version ") {
			t.Errorf("answered %q", out)
		}
		if out := m.mustCtl("object", "put", "--dry-run", "there2", file); out != "would be stored: there2 (3 B)\n" {
			t.Errorf("a dry run: %q", out)
		}

		for _, args := range [][]string{
			{"object", "put", "locked", file}, m.bare("object", "put", "s3://"+bucket+"/locked", file),
			{"object", "copy", "there", "locked"}, {"object", "compose", "locked", "there", "there"},
		} {
			m.failsCtl(4, "a legal hold is on it; --over-locked", args...)
		}
		if got := s.versions(t, bucket, "locked"); len(got) != 1 {
			t.Errorf("versions of what is locked: %v", got)
		}
		for i, args := range [][]string{{"object", "put", "locked", file}, {"object", "copy", "there", "locked"}, {"object", "compose", "locked", "there", "there"}} {
			m.mustCtl(append(args, "--over-locked")...)
			if got := s.versions(t, bucket, "locked"); len(got) != i+2 || got[old].Latest {
				t.Errorf("%q: versions %v", args, got)
			}
		}
		m.reads("locked", "newnew")

		f, err := os.Create(m.in("written"))
		must(t, err)
		_, err = f.WriteString("by a program")
		must(t, err)
		m.failsCtl(10, "a program is writing", "object", "put", "written", file)
		must(t, f.Close())
		m.mustCtl("object", "put", "written", file)
		m.reads("written", "new")

		want := map[string]string{"locked": "newnew", "there": "new", "dir/f": "x", "fresh": "new", "written": "new"}
		for key, o := range s.snapshot(t, bucket, "") {
			if got := string(s.get(t, bucket, key)); got != want[key] {
				t.Errorf("%s is %q, want %q (%v)", key, got, want[key], o)
			}
			delete(want, key)
		}
		if len(want) > 0 {
			t.Errorf("missing: %v", want)
		}
		s.boto(t, "put_object_legal_hold", map[string]any{"Bucket": bucket, "Key": "locked", "VersionId": old, "LegalHold": map[string]any{"Status": "OFF"}}, nil)
	})
}

// TestCtlObjectPutOnlyIf has conditions on what is there. (A bucket with object lock would keep the objects that it takes to find
// out whether a store checks them.)
func TestCtlObjectPutOnlyIf(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.object-io")
		bucket := s.newVersionedBucket(t)
		s.putVersion(t, bucket, "there", "theirs", nil)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		large := filepath.Join(t.TempDir(), "large")
		must(t, os.WriteFile(large, bytes.Repeat([]byte("large"), 2<<20), 0o600))
		small := filepath.Join(t.TempDir(), "small")
		must(t, os.WriteFile(small, []byte("small"), 0o600))
		for name, file := range map[string]string{"small": small, "large": large} {
			m.failsCtl(1, "exists already", "object", "put", "--if-none-match", "there", file)
			m.failsCtl(1, "changed", "object", "put", "--if-match", "0123456789abcdef0123456789abcdef", "there", file)
			m.mustCtl("object", "put", "--if-none-match", "fresh "+name, file)
			m.failsCtl(1, "exists already", "object", "put", "--if-none-match", "fresh "+name, file)
			var head struct{ ETag string }
			s.boto(t, "head_object", map[string]any{"Bucket": bucket, "Key": "there"}, &head)
			m.mustCtl("object", "put", "--if-match", strings.Trim(head.ETag, `"`), "there", file)
			m.failsCtl(1, "changed", "object", "put", "--if-match", strings.Trim(head.ETag, `"`), "there", file)
			want, err := os.ReadFile(file)
			must(t, err)
			for _, key := range []string{"there", "fresh " + name} {
				if got := s.get(t, bucket, key); !bytes.Equal(got, want) {
					t.Errorf("%s has %d bytes, want the %d of %s", key, len(got), len(want), name)
				}
			}
			m.failsCtl(1, "exists already", m.bare("object", "put", "--if-none-match", "s3://"+bucket+"/fresh "+name, file)...)
			m.mustCtl(m.bare("object", "put", "--if-none-match", "s3://"+bucket+"/bare/"+name, file)...)
			if got := s.versions(t, bucket, "bare/"); len(got) != len(s.snapshot(t, bucket, "bare/")) || len(got) == 0 {
				t.Errorf("beside it: %v", got) // scratch objects
			}
			// Another client is faster, while the bytes still come.
			slow := m.ctlPiped(t.Context(), func(w io.Writer) error {
				if _, err := w.Write(want); err != nil {
					return err
				}
				s.putVersion(t, bucket, "raced "+name, "theirs", nil)
				return nil
			}, "object", "put", "--if-none-match", "raced "+name)
			if got := string(s.get(t, bucket, "raced "+name)); slow.code != 1 || !strings.Contains(slow.problems, "exists already") || got != "theirs" {
				t.Errorf("%s, raced: %+v; there is %.20q", name, slow, got)
			}
			if n := s.unfinished(t, bucket, "raced "+name); n != 0 {
				t.Errorf("%s: %d unfinished uploads", name, n)
			}
		}
	})
}

// TestCtlObjectPutBrokenOff interrupts the command in the middle of its bytes, or kills it.
func TestCtlObjectPutBrokenOff(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.object-io")
		bucket := s.newVersionedBucket(t)
		s.putVersion(t, bucket, "f", "old", nil)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		piece := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		for name, test := range map[string]struct {
			signal os.Signal
			code   int
			args   []string
		}{
			"interrupted":          {os.Interrupt, 130, []string{"object", "put", "f"}},
			"killed":               {os.Kill, -1, []string{"object", "put", "f"}},
			"bare and interrupted": {os.Interrupt, 130, m.bare("object", "put", "s3://"+bucket+"/f")},
		} {
			cmd := exec.Command(m.cmd.Path, append([]string{"ctl"}, test.args...)...)
			cmd.Dir, cmd.Env = m.dir, m.environment()
			var problems bytes.Buffer
			cmd.Stderr = &problems
			in, err := cmd.StdinPipe()
			must(t, err)
			must(t, cmd.Start())
			for range 40 { // MiB: some parts are stored
				_, err := in.Write(piece)
				must(t, err)
			}
			must(t, cmd.Process.Signal(test.signal))
			_ = cmd.Wait() // its exit code tells
			if code := cmd.ProcessState.ExitCode(); code != test.code || test.code == 130 && !strings.Contains(problems.String(), "interrupted") {
				t.Errorf("%s: exit code %d\n%s", name, code, problems.String())
			}
			left := s.unfinished(t, bucket, "f")
			for end := time.Now().Add(unmountTimeout); left > 0 && time.Now().Before(end); left = s.unfinished(t, bucket, "f") {
				time.Sleep(50 * time.Millisecond) // the mount sees that the command has gone
			}
			if left > 0 {
				t.Errorf("%s: %d uploads are left", name, left)
			}
			if got := s.versions(t, bucket, "f"); len(got) != 1 || string(s.get(t, bucket, "f")) != "old" {
				t.Errorf("%s: %v", name, got)
			}
			m.reads("f", "old")
		}
	})
}
