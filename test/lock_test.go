package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Retention and legal holds are respected by every program, and what is open is read to its end: the other client locks, overwrites,
// deletes, and looks.

// versionsOf lists the versions and markers of a key as boto3 sees them, the newest first, with what they are.
func (s *store) versionsOf(t testing.TB, bucket, key string) []string {
	t.Helper()
	type version struct {
		Key, VersionID, ETag string
		Size                 int64
		IsLatest             bool
	}
	var reply struct{ Versions, DeleteMarkers []version }
	s.boto(t, "list_object_versions", map[string]any{"Bucket": bucket, "Prefix": key}, &reply)
	var list []string
	for what, versions := range map[string][]version{"version": reply.Versions, "marker": reply.DeleteMarkers} {
		for _, v := range versions {
			if v.Key == key {
				list = append(list, fmt.Sprint(what, v))
			}
		}
	}
	return list
}

// hold puts a legal hold on an object.
func (s *store) hold(t testing.TB, bucket, key string) {
	t.Helper()
	s.boto(t, "put_object_legal_hold", map[string]any{"Bucket": bucket, "Key": key, "LegalHold": map[string]any{"Status": "ON"}}, nil)
}

// retain locks an object until a date.
func (s *store) retain(t testing.TB, bucket, key, mode string, until time.Time) {
	t.Helper()
	s.boto(t, "put_object_retention", map[string]any{"Bucket": bucket, "Key": key,
		"Retention": map[string]any{"Mode": mode, "RetainUntilDate": botoTime(until)}}, nil)
}

// refusals runs commands of which each has to fail for want of permission, with the locked file as f and another as free.
const refusals = `
refused() {
	if bash -c "$1" >$SRC/out 2>$SRC/why; then
		echo "succeeded: $1" >&2
		return 1
	fi
	if ! grep -q "Operation not permitted" $SRC/why; then
		echo "$1: $(cat $SRC/why)" >&2
		return 1
	fi
}
`

// commandsOnLocked are ways to replace or remove f.
var commandsOnLocked = []string{
	`rm f`, `rm -f f`, `unlink f`, `mv f g`, `mv free f`, `mv -f $SRC/new f`, `cp $SRC/new f`, `cp -f $SRC/new f`, `cp --remove-destination $SRC/new f`,
	`cp free f`, `cp --reflink=auto free f`, `install -m 644 $SRC/new f`, `truncate -s 0 f`, `truncate -s 10 f`, `: > f`, `echo more >> f`, `echo more | tee f`,
	`dd if=$SRC/new of=f conv=notrunc status=none`, `sed -i s/a/b/ f`, `chmod 600 f`, `chown 1:1 f`, `touch f`, `touch -d 2001-01-01 f`, `ln -sf free f`,
	`python3 -c 'open("f", "r+b")'`, `fallocate -l 100M f`,
}

func TestLockedObjects(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "lock.respected")
		locks := map[string]func(bucket, key string){
			"hold":       func(bucket, key string) { s.hold(t, bucket, key) },
			"governance": func(bucket, key string) { s.retain(t, bucket, key, "GOVERNANCE", time.Now().Add(time.Hour)) },
			"compliance": func(bucket, key string) { s.retain(t, bucket, key, "COMPLIANCE", time.Now().Add(time.Hour)) },
		}
		for _, commit := range []string{"close", "background"} {
			bucket := s.newLockBucket(t)
			for name := range locks { // before the mount lists them
				small, big := []byte("a locked object\n"), bytesOf(3, 3*mib)
				for key, data := range map[string][]byte{name + "/f": small, name + "/big/f": big, name + "/free": small, name + "/big/free": small} {
					s.put(t, bucket, key, data)
				}
			}
			w := inMount(t, newMount(t, mountOptions{store: s, source: "s3://" + bucket, args: []string{"--commit=" + commit}}))
			w.writeScratch("new", []byte("new content\n"), 0o644)
			for name, lock := range locks {
				for _, dir := range []string{name, name + "/big"} {
					key := dir + "/f"
					lock(bucket, key)
					before := s.versionsOf(t, bucket, key)
					var script strings.Builder
					fmt.Fprintf(&script, "%s\ncd %s\n", refusals, dir)
					commands := commandsOnLocked
					if dir != name { // of a large file open asks by another request: that is all
						commands = []string{`rm f`, `mv f g`, `cp $SRC/new f`, `echo more >> f`, `truncate -s 10 f`, `chmod 600 f`}
					}
					for _, command := range commands {
						fmt.Fprintf(&script, "refused '%s'\n", strings.ReplaceAll(command, `'`, `'\''`))
					}
					w.sh(script.String())
					if after := s.versionsOf(t, bucket, key); fmt.Sprint(after) != fmt.Sprint(before) {
						t.Errorf("%s, %s: %v became %v", commit, key, before, after)
					}
					w.same(key, s.get(t, bucket, key))
				}
				w.sh(fmt.Sprintf("%s\nrefused 'mv %s moved'\nfails test -e moved\nrefused 'rm -r %s'\ntest -e %s/f\nfails test -e %s/free", refusals, name, name, name, name))
				if left := s.snapshot(t, bucket, "moved/"); len(left) > 0 {
					t.Errorf("the rename left %v", left)
				}
			}
			w.sh("echo free > other; mv other another; echo more >> another; rm another")
		}
	})
}

// What is not locked any more is a file like others.
func TestLockEnds(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "lock.respected")
		bucket := s.newLockBucket(t)
		s.put(t, bucket, "retained", []byte("old"))
		s.put(t, bucket, "held", []byte("old"))
		until := time.Now().Add(3 * time.Second)
		s.retain(t, bucket, "retained", "COMPLIANCE", until)
		s.hold(t, bucket, "held")
		w := inMount(t, newMount(t, mountOptions{store: s, source: "s3://" + bucket}))
		w.sh(refusals + `refused 'echo new > held'`)
		s.boto(t, "put_object_legal_hold", map[string]any{"Bucket": bucket, "Key": "held", "LegalHold": map[string]any{"Status": "OFF"}}, nil)
		w.sh("echo new > held; rm held")
		w.eventually("the end of the retention", func() bool {
			return os.WriteFile(w.path("retained"), []byte("new"), 0o644) == nil
		})
		if early := time.Until(until); early > time.Second { // the dates that stores tell are whole seconds
			t.Errorf("written %v before the end of its retention", early)
		}
		if got := s.get(t, bucket, "retained"); string(got) != "new" {
			t.Errorf("the store has %q", got)
		}
		w.sh("mv retained elsewhere; rm elsewhere")
	})
}

// A lock that comes while a file is written keeps the object; the data is kept, and listed with the reason.
func TestLockedWhileWritten(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "lock.respected")
		for _, commit := range []string{"close", "background"} {
			bucket := s.newLockBucket(t)
			s.put(t, bucket, "f", []byte("old"))
			m := newMount(t, mountOptions{store: s, source: "s3://" + bucket, args: []string{"--commit=" + commit}, noisy: `msg="upload failed"`})
			w := inMount(t, m)
			file, err := os.OpenFile(w.path("f"), os.O_WRONLY|os.O_TRUNC, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := file.WriteString("written"); err != nil {
				t.Error(err)
			}
			s.hold(t, bucket, "f")
			before := s.versionsOf(t, bucket, "f")
			err = file.Close()
			if commit == "close" && !errors.Is(err, syscall.EPERM) || commit == "background" && err != nil {
				t.Errorf("%s: close: %v", commit, err)
			}
			type kept struct{ Key, State, Reason, Path string }
			var status struct {
				Kept    []kept
				Pending []any
			}
			w.eventually("the file that is kept", func() bool {
				out, err := m.command("status", "--json", m.dir)
				if err != nil {
					t.Fatal(err)
				}
				if err := json.Unmarshal([]byte(out), &status); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				return len(status.Kept) > 0
			})
			if k := status.Kept[0]; k.Key != "f" || !strings.Contains(k.Reason, "legal hold") || len(status.Pending) > 0 {
				t.Errorf("%s: status: %+v", commit, status)
			} else if data, err := os.ReadFile(k.Path); err != nil || string(data) != "written" {
				t.Errorf("%s: kept is %q, %v", commit, data, err)
			}
			w.same("f", []byte("old"))
			if after := s.versionsOf(t, bucket, "f"); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("%s: %v became %v", commit, before, after)
			}
		}
	})
}

// A bucket that locks what is stored: files are written once.
func TestBucketWithRetention(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "lock.respected")
		bucket := s.newLockBucket(t)
		s.put(t, bucket, "before", []byte("stored before"))
		s.boto(t, "put_object_lock_configuration", map[string]any{"Bucket": bucket, "ObjectLockConfiguration": map[string]any{
			"ObjectLockEnabled": "Enabled", "Rule": map[string]any{"DefaultRetention": map[string]any{"Mode": "GOVERNANCE", "Days": 1}}}}, nil)
		w := inMount(t, newMount(t, mountOptions{store: s, source: "s3://" + bucket}))
		w.writeScratch("tree/d/e/f", []byte("content\n"), 0o640)
		w.sh(refusals + `
			touch -d 2001-02-03 $SRC/tree/d/e/f
			mkdir -p d/e
			cp -p $SRC/tree/d/e/f d/e/f
			test "$(stat -c '%a %y' d/e/f)" = "640 2001-02-03 00:00:00.000000000 +0000"
			for command in 'rm d/e/f' 'echo more >> d/e/f' 'mv d/e/f d/e/g' 'touch d/e/f' 'chmod 600 d/e/f' 'mv d moved' 'rm -r d'; do
				refused "$command"
			done
			python3 - <<'END'
import os
f = os.open("twice", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
os.write(f, b"first")
os.fsync(f)
try:
    os.write(f, b"second")
except PermissionError:
    os.close(f)
else:
    raise SystemExit("written after fsync")
END`)
		w.same("twice", []byte("first"))
		for _, key := range []string{"twice", "d/e/f"} {
			if versions := s.versionsOf(t, bucket, key); len(versions) != 1 {
				t.Errorf("%s: %v", key, versions)
			}
		}
		if got := s.get(t, bucket, "twice"); string(got) != "first" {
			t.Errorf("the store has %q", got)
		}
	})
}

// Who has a file open reads all of the version that he opened, whatever others do to its name.
func TestOpenFileKeepsItsVersion(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "version.pinned")
		old, now := bytesOf(4, 24*mib), bytesOf(5, 24*mib)
		for _, warm := range []bool{false, true} { // read before, from the disk of this host, perhaps by passthrough
			bucket := s.newVersionedBucket(t)
			m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
			for name, change := range map[string]func(key string){
				"overwritten": func(key string) { s.put(t, bucket, key, now) },
				"deleted":     func(key string) { s.remove(t, bucket, key) },
				"both":        func(key string) { s.put(t, bucket, key, now); s.remove(t, bucket, key) },
			} {
				s.put(t, bucket, name, old)
				path := filepath.Join(m.dir, name)
				if warm {
					for range 3 {
						if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, old) {
							t.Fatalf("%v", err)
						}
					}
				}
				file, err := os.Open(path)
				if err != nil {
					t.Fatal(err)
				}
				change(name)
				got := make([]byte, 1*mib)
				for _, off := range []int64{20 * mib, 7*mib + 5, 0} {
					if n, err := file.ReadAt(got, off); err != nil || !bytes.Equal(got[:n], old[off:off+1*mib]) {
						t.Errorf("warm %v, %s: at %d: %d bytes, %v", warm, name, off, n, err)
					}
				}
				if err := file.Close(); err != nil {
					t.Error(err)
				}
			}
			w := inMount(t, m)
			w.eventually("the new content", func() bool {
				got, err := os.ReadFile(w.path("overwritten"))
				return err == nil && bytes.Equal(got, now)
			})
			w.eventually("the deletions", func() bool {
				_, deleted := os.Stat(w.path("deleted"))
				_, both := os.Stat(w.path("both"))
				return errors.Is(deleted, os.ErrNotExist) && errors.Is(both, os.ErrNotExist)
			})
		}
	})
}
