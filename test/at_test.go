package test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sys/unix"
)

// TestAt mounts a bucket as it was before a live mount and another client changed and deleted most of it.
func TestAt(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"versitygw", "minio"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openStore(t, name)
			covers(t, s, "version.at")
			bucket := s.newVersionedBucket(t)
			begin := apart()
			live := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
			writeFirst(t, s, bucket, live)
			own, others := mustTree(t, live.in("own")), mustTree(t, live.in("others"))
			live.unmount() // attributes that wait for more changes are stored now
			then := apart()
			live = live.again()
			changeAll(t, s, bucket, live)
			live.unmount()
			live = live.again()
			many := makeMany(t, s, bucket)

			past := newMount(t, mountOptions{store: s, source: "s3://" + bucket, state: live.options.state, args: []string{"--at", then.Format(time.RFC3339Nano), "--posix=on"}})
			compareTrees(t, mustTree(t, past.in("own")), own, mtimes) // most are those of objects, which a mount that wrote does not show
			compareTrees(t, mustTree(t, past.in("others")), others, mtimes)
			if got, want := mustTree(t, past.in("own"))["file"].mtime, own["file"].mtime; !got.Equal(want) {
				t.Errorf("the time of a file that keeps it: %v, want %v", got, want)
			}
			wantNames(t, past.dir, "others", "own")
			if _, err := os.Stat(past.in(".versions")); errno(err) != syscall.ENOENT {
				t.Errorf("versions of the past: %v", err)
			}
			for name, want := range map[string]string{"user.s3.meta.who": "first", "user.s3.tag.tag": "1"} {
				value := make([]byte, 100)
				if n, err := unix.Getxattr(past.in("others/a"), name, value); err != nil || string(value[:n]) != want {
					t.Errorf("%s: %q, %v; want %q", name, value[:max(n, 0)], err, want)
				}
			}
			wantNothingChanges(t, past)
			wantStatus(t, past, then)
			past.unmount()

			if tree := mustTree(t, newMount(t, mountOptions{store: s, source: "s3://" + bucket, args: []string{"--at", begin.Format(time.RFC3339Nano)}}).dir); len(tree) != 0 {
				t.Errorf("before anything was stored: %v", slices.Sorted(maps.Keys(tree)))
			}
			middle := newMount(t, mountOptions{store: s, source: "s3://" + bucket + "/many/", args: []string{"-o", "at=" + many.at.Format(time.RFC3339Nano)}})
			if tree := contents(t, middle.dir); !maps.Equal(tree, many.files) {
				t.Errorf("in the middle of many versions: %v, want %v", tree, many.files)
			}
			now := newMount(t, mountOptions{store: s, source: "s3://" + bucket, args: []string{"--at", "now", "--posix=on"}})
			wantTheSame(t, now, live)
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// apart is a time that no change of before or after shares: some stores date to whole seconds, and
// clocks of files are some milliseconds late.
func apart() time.Time {
	const late = 50 * time.Millisecond
	time.Sleep(late)
	at := time.Now()
	time.Sleep(time.Until(at.Truncate(time.Second).Add(time.Second + late)))
	return at
}

// writeFirst stores what the mount of the past must show.
func writeFirst(t *testing.T, s *store, bucket string, live *mount) {
	t.Helper()
	big := make([]byte, 3<<20)
	random := rand.NewChaCha8([32]byte{1})
	random.Read(big)
	must(t, os.MkdirAll(live.in("own/moved/below"), 0o755))
	must(t, os.MkdirAll(live.in("own/removed/deep/er"), 0o755))
	for name, data := range map[string][]byte{
		"own/file": []byte("first"), "own/empty": nil, "own/big": big, "own/kept": []byte("kept"),
		"own/moved/a": []byte("a"), "own/moved/below/b": []byte("b"), "own/removed/c": []byte("c"), "own/removed/deep/er/d": []byte("d"),
	} {
		must(t, os.WriteFile(live.in(name), data, 0o644))
	}
	must(t, os.Chmod(live.in("own/file"), 0o600))
	must(t, os.Chtimes(live.in("own/file"), time.Now(), time.Date(2020, 2, 29, 12, 0, 0, 123456789, time.UTC)))
	must(t, os.Symlink("file", live.in("own/link")))
	s.putVersion(t, bucket, "others/a", "another client", map[string]any{"Metadata": map[string]string{"who": "first"}, "Tagging": "tag=1"})
	s.put(t, bucket, "others/x/b", []byte("another client"))
	s.put(t, bucket, "others/x y/é%20/ü", []byte("names"))
}

// changeAll changes it by the mount and by another client.
func changeAll(t *testing.T, s *store, bucket string, live *mount) {
	t.Helper()
	must(t, os.WriteFile(live.in("own/file"), []byte("the second content"), 0o644))
	must(t, os.WriteFile(live.in("own/empty"), []byte("no more"), 0o644))
	must(t, os.Truncate(live.in("own/big"), 10))
	if s.name != "versitygw" { // copied onto itself, a version of VersityGW 1.8.0 changes and remains the same one
		must(t, os.Chmod(live.in("own/kept"), 0o640))
	}
	must(t, os.Remove(live.in("own/link")))
	must(t, os.Rename(live.in("own/moved"), live.in("own/elsewhere")))
	must(t, os.RemoveAll(live.in("own/removed")))
	must(t, os.MkdirAll(live.in("own/later/than"), 0o755))
	must(t, os.WriteFile(live.in("own/later/than/that"), nil, 0o644))
	s.putVersion(t, bucket, "others/a", "changed", map[string]any{"Metadata": map[string]string{"who": "second"}, "Tagging": "tag=2"})
	s.put(t, bucket, "others/later/c", []byte("new"))
	s.put(t, bucket, "later/d", []byte("new"))
	for _, key := range []string{"others/x/b", "others/x y/é%20/ü", "later/d"} {
		s.remove(t, bucket, key)
	}
}

// many is what was stored in the middle of a history of more versions than a page has.
type manyVersions struct {
	at    time.Time
	files map[string]string
}

func makeMany(t *testing.T, s *store, bucket string) (many manyVersions) {
	t.Helper()
	const keys, rounds = 60, 20
	many.files = map[string]string{}
	for round := range rounds {
		if round == rounds/2 {
			many.at = apart()
		}
		inParallel(t, keys, func(i int) error {
			key, body := fmt.Sprintf("many/%d/%d", i%7, i), fmt.Sprintf("%d of %d", round, i)
			if (i+round)%5 == 0 {
				_, err := s.client.DeleteObject(context.Background(), &s3.DeleteObjectInput{Bucket: &bucket, Key: &key})
				return err
			}
			_, err := s.client.PutObject(context.Background(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(body)})
			return err
		})
	}
	for i := range keys {
		if round := rounds/2 - 1; (i+round)%5 != 0 {
			many.files[fmt.Sprintf("%d/%d", i%7, i)] = fmt.Sprintf("%d of %d", round, i)
		}
	}
	return many
}

// wantTheSame compares the past of just now with the present. Where all of a directory was deleted,
// both stores still list it, so that the present has empty directories that the past has not.
func wantTheSame(t *testing.T, now, live *mount) {
	t.Helper()
	want := mustTree(t, live.in("own"))
	maps.DeleteFunc(want, func(name string, _ entry) bool {
		return name == "moved" || name == "removed" || strings.HasPrefix(name, "moved/") || strings.HasPrefix(name, "removed/")
	})
	compareTrees(t, mustTree(t, now.in("own")), want, mtimes)
}

// inParallel calls f with 0..n-1, eight at once.
func inParallel(t *testing.T, n int, f func(i int) error) {
	t.Helper()
	var next atomic.Int64
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := f(i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	work.Wait()
}

// contents are the bytes of the files below dir.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for name, e := range mustTree(t, dir) {
		if e.mode.IsRegular() {
			text, err := os.ReadFile(dir + "/" + name)
			must(t, err)
			files[name] = string(text)
		}
	}
	return files
}

func wantNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s has %q, want %q", dir, got, want)
	}
}

func wantNothingChanges(t *testing.T, m *mount) {
	t.Helper()
	file := m.in("own/file")
	for what, err := range map[string]error{
		"create":   os.WriteFile(m.in("own/new"), nil, 0o644),
		"write":    func() error { f, err := os.OpenFile(file, os.O_WRONLY, 0); f.Close(); return err }(),
		"mkdir":    os.Mkdir(m.in("own/newdir"), 0o755),
		"unlink":   os.Remove(file),
		"rmdir":    syscall.Rmdir(m.in("own/moved")),
		"rename":   os.Rename(file, m.in("own/other")),
		"truncate": os.Truncate(file, 0),
		"chmod":    os.Chmod(file, 0o777),
		"utimes":   os.Chtimes(file, time.Now(), time.Now()),
		"symlink":  os.Symlink("a", m.in("own/newlink")),
		"setxattr": unix.Setxattr(file, "user.s3.tag.a", []byte("b"), 0),
	} {
		if errno(err) != syscall.EROFS {
			t.Errorf("%s: %v, want EROFS", what, err)
		}
	}
}

func wantStatus(t *testing.T, m *mount, then time.Time) {
	t.Helper()
	shown := then.Truncate(0).Format(time.RFC3339Nano)
	one, err := m.command("status", m.dir)
	must(t, err)
	all, err := m.command("status")
	must(t, err)
	asJSON, err := m.command("status", "--json", m.dir)
	must(t, err)
	if !strings.Contains(one, "as of "+shown) || !strings.Contains(one, "read-only") || !strings.Contains(all, "as of "+shown) || !strings.Contains(asJSON, `"at": "`+shown) {
		t.Errorf("%s is not in the status:\n%s\n%s\n%s", shown, one, all, asJSON)
	}
}

// TestAtOfEveryBucket: each bucket as it was, and none without versions.
func TestAtOfEveryBucket(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"versitygw", "minio"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openStore(t, name)
			kept, plain := s.newVersionedBucket(t), s.newBucket(t)
			for _, bucket := range []string{kept, plain} {
				s.put(t, bucket, "dir/file", []byte("then"))
			}
			then := apart()
			for _, bucket := range []string{kept, plain} {
				s.put(t, bucket, "dir/file", []byte("now"))
			}
			m := newMount(t, mountOptions{store: s, source: "s3://", args: []string{"--at", then.Format(time.RFC3339Nano)}, noisy: "never kept versions"})
			if text, err := os.ReadFile(m.in(kept + "/dir/file")); err != nil || string(text) != "then" {
				t.Errorf("a bucket with versions: %q, %v", text, err)
			}
			for _, path := range []string{"/dir/file", "/dir"} {
				if _, err := os.Stat(m.in(plain + path)); errno(err) != syscall.EOPNOTSUPP {
					t.Errorf("%s in a bucket without versions: %v, want EOPNOTSUPP", path, err)
				}
			}
			binary, err := shared.binary()
			must(t, err)
			cmd := exec.Command(binary, "mount", "--endpoint-url", s.endpoint, "--region", region, "--at", "yesterday", "s3://"+plain, t.TempDir())
			cmd.Env = m.environment()
			out, err := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != 13 || !bytes.Contains(out, []byte("never kept versions")) || bytes.Count(out, []byte("\n")) != 1 {
				t.Errorf("a mount of a bucket without versions: exit code %d, %v\n%s", code, err, out)
			}
		})
	}
}
