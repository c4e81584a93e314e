package test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// waiting is a line of ctl pending --json.
type waiting struct {
	ID        string `json:"id"`
	Key       string `json:"key"`
	State     string `json:"state"`
	Kept      bool   `json:"kept"`
	Size      int64  `json:"size"`
	Reason    string `json:"reason"`
	LocalFile string `json:"local_file"`
}

func (m *mount) pending(args ...string) []waiting {
	m.t.Helper()
	return jsonLines[waiting](m.t, m.mustCtl(append([]string{"pending", "--json"}, args...)...))
}

// loses makes another client win against a file that is written here.
func (m *mount) loses(bucket, name, mine, theirs string) {
	m.t.Helper()
	s := m.options.store
	s.put(m.t, bucket, name, []byte("base"))
	f, err := os.OpenFile(m.in(name), os.O_RDWR|os.O_TRUNC, 0)
	if err != nil {
		m.t.Fatal(err)
	}
	if _, err := f.WriteString(mine); err != nil {
		m.t.Fatal(err)
	}
	s.put(m.t, bucket, name, []byte(theirs))
	if err := f.Close(); errno(err) != syscall.ESTALE {
		m.t.Fatalf("close: %v, want ESTALE", err)
	}
}

func (m *mount) shows(name, want string) {
	m.t.Helper()
	if got, err := os.ReadFile(m.in(name)); err != nil || string(got) != want {
		m.t.Errorf("%s shows %q, %v; want %q", name, got, err, want)
	}
}

func TestCtlConflicts(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		bucket := s.newBucket(t)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket, noisy: `(?i)conflict|another client|changed`})
		m.loses(bucket, "mine.txt", "line\nmine\n", "line\ntheirs\n")
		m.loses(bucket, "theirs.txt", "mine", "theirs")
		m.loses(bucket, "both.txt", "mine", "theirs")

		list := jsonLines[waiting](t, m.mustCtl("conflicts", "list", "--json", "."))
		if len(list) != 3 || !list[0].Kept || list[0].State != "conflict" || len(m.pending()) != 3 || len(m.pending("both.txt")) != 1 {
			t.Fatalf("conflicts: %+v", list)
		}
		if data, err := os.ReadFile(list[0].LocalFile); err != nil || string(data) != "line\nmine\n" {
			t.Errorf("the local file has %q, %v", data, err)
		}
		if text := m.mustCtl("conflicts", "diff", "mine.txt"); !strings.Contains(text, "\n-theirs\n+mine\n") {
			t.Errorf("diff:\n%s", text)
		}
		m.failsCtl(1, "mine.txt exists; choose another name", "conflicts", "save-as", "both.txt", "mine.txt")
		m.failsCtl(2, "--yes is needed", "conflicts", "keep-theirs", "theirs.txt")
		m.failsCtl(1, "nothing of s3://", "conflicts", "keep-mine", "none.txt")

		m.mustCtl("conflicts", "keep-mine", "mine.txt")
		m.mustCtl("conflicts", "keep-theirs", "--yes", "theirs.txt")
		m.mustCtl("conflicts", "save-as", "both.txt", "d/saved.txt")
		for key, want := range map[string]string{"mine.txt": "line\nmine\n", "theirs.txt": "theirs", "both.txt": "theirs", "d/saved.txt": "mine"} {
			if got := s.get(t, bucket, key); string(got) != want {
				t.Errorf("%s: the store has %q, want %q", key, got, want)
			}
			m.shows(key, want)
		}
		if left := m.pending("."); len(left) > 0 {
			t.Errorf("still kept: %+v", left)
		}
		m.unmount()
	})
}

// TestCtlFailedUploads: uploads that a store refuses are listed, tried again, and dropped.
func TestCtlFailedUploads(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		bucket := s.newBucket(t)
		p := newProxy(t, s)
		refuse := &rule{status: 403, match: func(operation, path string) bool { return operation == "PutObject" && strings.Contains(path, "no-") }}
		p.on(refuse)
		m := newMount(t, mountOptions{store: s, endpoint: p.endpoint, source: "s3://" + bucket, args: []string{"--commit=background"}, noisy: `.`})
		for _, name := range []string{"no-again", "no-never", "yes"} {
			write(t, m.in(name), "content of "+name)
		}
		m.failsCtl(4, "AccessDenied", "flush", ".")
		waits := func() []waiting { return m.pending(".") }
		if list := waits(); len(list) != 2 || list[0].State != "failed" || list[0].Kept || !strings.Contains(list[0].Reason, "AccessDenied") {
			t.Fatalf("pending: %+v", list)
		}
		if got := s.get(t, bucket, "yes"); string(got) != "content of yes" {
			t.Errorf("the store has %q", got)
		}
		m.failsCtl(2, "use --recursive", "drop", "--yes", ".")
		m.mustCtl("drop", "--yes", "no-never")
		if _, err := os.Stat(m.in("no-never")); !os.IsNotExist(err) {
			t.Errorf("a dropped file that was never stored: %v", err)
		}
		p.clear()
		if text := m.mustCtl("retry", "."); !strings.Contains(text, "retried: no-again") {
			t.Errorf("retry: %s", text)
		}
		m.mustCtl("flush", ".")
		if got := s.get(t, bucket, "no-again"); string(got) != "content of no-again" {
			t.Errorf("the store has %q", got)
		}
		if list := waits(); len(list) > 0 {
			t.Errorf("still pending: %+v", list)
		}
		m.unmount()
	})
}

// TestCtlQuarantine: a stray file in the state directory is listed after the next start.
func TestCtlQuarantine(t *testing.T) {
	t.Parallel()
	s := openStore(t, "versitygw")
	m := newMount(t, mountOptions{store: s, source: "s3://" + s.newBucket(t), state: newState(t)})
	write(t, m.in("f"), "content")
	m.unmount()
	data := ""
	err := filepath.WalkDir(m.options.state, func(path string, d os.DirEntry, err error) error {
		if d != nil && d.IsDir() && strings.HasSuffix(path, "/staging/data") {
			data = path
		}
		return err
	})
	if err != nil || data == "" {
		t.Fatal(data, err)
	}
	if err := os.WriteFile(filepath.Join(data, "stranger"), []byte("bytes"), 0o600); err != nil {
		t.Fatal(err)
	}
	m = m.again(func(o *mountOptions) { o.noisy = "quarantine" })
	type file struct {
		File string `json:"file"`
		Size int64  `json:"size"`
	}
	found := jsonLines[file](t, m.mustCtl("quarantine", "list", "--json", "."))
	if len(found) != 1 || found[0].Size != 5 {
		t.Fatalf("%+v", found)
	}
	if data, err := os.ReadFile(found[0].File); err != nil || string(data) != "bytes" {
		t.Errorf("%q, %v", data, err)
	}
	m.unmount()
}

func TestCtlCache(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		bucket := s.newBucket(t)
		data := bytesOf(1, 3<<20)
		for _, key := range []string{"d/a", "d/b"} {
			s.put(t, bucket, key, data)
		}
		p := newProxy(t, s)
		m := newMount(t, mountOptions{store: s, endpoint: p.endpoint, source: "s3://" + bucket})
		if text := m.mustCtl("cache", "prefetch", "d"); !strings.Contains(text, "fetched 2 files (6.0 MiB)") {
			t.Errorf("prefetch: %s", text)
		}
		read := func(name string) int {
			t.Helper()
			p.take()
			if got, err := os.ReadFile(m.in(name)); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s: other bytes, %v", name, err)
			}
			return p.take().counts["GetObject"]
		}
		if n := read("d/a"); n != 0 {
			t.Errorf("%d GETs of a file that was fetched ahead", n)
		}
		m.mustCtl("cache", "evict", "d/a")
		if n := read("d/a"); n == 0 {
			t.Error("an evicted file is read without the store")
		}
		if text := m.mustCtl("cache", "stats", "."); !strings.Contains(text, "wrong checksums") {
			t.Errorf("stats: %s", text)
		}
		m.unmount()
		plain := newMount(t, mountOptions{store: s, source: "s3://" + bucket, args: []string{"--cache-size=0"}})
		plain.failsCtl(13, "no cache on disk", "cache", "prefetch", "d")
		plain.unmount()
	})
}
