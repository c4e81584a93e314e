package test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"
)

// A pair is two mounts of one bucket, as on two machines.
type pair struct {
	*testing.T
	store  *store
	bucket string
	a, b   *mount
}

func newPair(t *testing.T, storeName string, args ...string) *pair {
	t.Helper()
	s := openStore(t, storeName)
	p := &pair{T: t, store: s, bucket: s.newBucket(t)}
	o := mountOptions{store: s, source: "s3://" + p.bucket, args: args, noisy: `(?i)conflict|another client|changed`}
	p.a, p.b = newMount(t, o), newMount(t, o)
	return p
}

// A race is how two writers come to write one name. Each returns an open file with its data written.
var races = []struct {
	name   string
	before []byte // what is stored before; nil: nothing
	open   func(name string) (*os.File, error)
	data   func(writer byte) []byte
	result func(data []byte) []byte // the file that a writer means, from what it wrote
}{
	{
		name: "replace", before: []byte("old"),
		open: func(name string) (*os.File, error) { return os.OpenFile(name, os.O_WRONLY|os.O_TRUNC, 0) },
		data: func(w byte) []byte { return bytes.Repeat([]byte{w}, 100_000) },
	},
	{
		name: "create",
		open: func(name string) (*os.File, error) { return os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o644) },
		data: func(w byte) []byte { return bytes.Repeat([]byte{w}, 3<<20) },
	},
	{
		name: "create exclusively",
		open: func(name string) (*os.File, error) {
			return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		},
		data: func(w byte) []byte { return bytes.Repeat([]byte{w}, 1000) },
	},
	{
		name: "large, in parts", before: []byte("old"),
		open: func(name string) (*os.File, error) { return os.OpenFile(name, os.O_WRONLY|os.O_TRUNC, 0) },
		data: func(w byte) []byte { return bytesOf(uint64(w), 24<<20) },
	},
}

// TestTwoWriters: the first close wins, the second is ESTALE; what the loser wrote is kept, and
// both mounts show what the store has.
func TestTwoWriters(t *testing.T) {
	t.Parallel()
	for _, storeName := range []string{"versitygw", "minio"} {
		for _, race := range races {
			t.Run(storeName+"/"+race.name, func(t *testing.T) {
				t.Parallel()
				p := newPair(t, storeName)
				if race.before != nil {
					p.store.put(t, p.bucket, "d/file", race.before)
				} else {
					p.store.put(t, p.bucket, "d/other", nil)
				}
				won, lost := race.data('A'), race.data('B')
				fa, fb := p.open(p.a, race.open), p.open(p.b, race.open)
				p.write(fa, won)
				p.write(fb, lost)
				if err := fa.Close(); err != nil {
					t.Errorf("close of the first: %v", err)
				}
				if err := fb.Close(); errno(err) != syscall.ESTALE {
					t.Errorf("close of the second: %v, want ESTALE", err)
				}
				if got := p.store.get(t, p.bucket, "d/file"); !bytes.Equal(got, won) {
					t.Errorf("the store has not what the first wrote: %s", firstDifference(got, won))
				}
				p.shows(p.a, won)
				p.shows(p.b, won)
				p.kept(p.b, lost)
				p.nothingKept(p.a)
				p.b.unmount() // a conflict survives
				p.b = p.b.again()
				p.kept(p.b, lost)
				p.a.unmount()
				p.b.unmount()
			})
		}
	}
}

// TestTwoWritersInBackground: close succeeds for both, one upload does, the other is a conflict.
func TestTwoWritersInBackground(t *testing.T) {
	t.Parallel()
	p := newPair(t, "versitygw", "--commit=background")
	p.store.put(t, p.bucket, "d/file", []byte("old"))
	race := races[0]
	data := map[*mount][]byte{p.a: race.data('A'), p.b: race.data('B')}
	fa, fb := p.open(p.a, race.open), p.open(p.b, race.open)
	p.write(fa, data[p.a])
	p.write(fb, data[p.b])
	for _, f := range []*os.File{fa, fb} {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	loser, winner := p.a, p.b
	w := &workspace{T: t}
	w.eventually("a conflict", func() bool {
		if len(p.keptFiles(p.b)) > 0 {
			loser, winner = p.b, p.a
		}
		return len(p.keptFiles(loser)) > 0
	})
	w.eventually("the winner to be stored", func() bool { return bytes.Equal(p.store.get(t, p.bucket, "d/file"), data[winner]) })
	p.kept(loser, data[loser])
	p.shows(winner, data[winner])
	p.shows(loser, data[winner])
	p.a.unmount()
	p.b.unmount()
}

// TestForeignWriterWins: another client replaces the object while it is being edited here.
func TestForeignWriterWins(t *testing.T) {
	t.Parallel()
	s := openStore(t, "versitygw")
	bucket := s.newBucket(t)
	s.put(t, bucket, "file", bytesOf(1, 100_000))
	m := newMount(t, mountOptions{store: s, source: "s3://" + bucket, noisy: `(?i)conflict|another client|changed`})
	f, err := os.OpenFile(filepath.Join(m.dir, "file"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("mine"), 10); err != nil {
		t.Fatal(err)
	}
	theirs := []byte("theirs")
	s.put(t, bucket, "file", theirs)
	if err := f.Close(); errno(err) != syscall.ESTALE {
		t.Errorf("close: %v, want ESTALE", err)
	}
	p := &pair{T: t, store: s, bucket: bucket}
	if got := s.get(t, bucket, "file"); !bytes.Equal(got, theirs) {
		t.Errorf("the store has %q", got)
	}
	p.showsFile(m, "file", theirs)
	if len(p.keptFiles(m)) == 0 {
		t.Error("what was written here is not listed")
	}
	m.unmount()
}

// TestEditLosesToASmaller: an edit of a large file refers to ranges of the object that it changes. If another client has replaced that by a
// smaller one, which does not have these ranges, it is a conflict as any other.
func TestEditLosesToASmaller(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		p := &pair{T: t, store: s, bucket: s.newBucket(t)}
		s.put(t, p.bucket, "d/file", bytesOf(1, 17*mib))
		m := newMount(t, mountOptions{store: s, source: "s3://" + p.bucket, args: []string{"--commit=background"}, noisy: contestNoise})
		f, err := os.OpenFile(m.in("d/file"), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt([]byte("mine"), 17*mib); err != nil { // all before it is copied
			t.Fatal(err)
		}
		s.put(t, p.bucket, "d/file", []byte("smaller"))
		if err := f.Sync(); errno(err) != syscall.ESTALE {
			t.Errorf("fsync: %v, want ESTALE", err)
		}
		f.Close()
		p.shows(m, []byte("smaller"))
		p.kept(m, []byte("mine"))
		m.unmount()
	})
}

// TestReaderSeesOneVersion: a file that is replaced while it is open keeps its bytes or fails, and
// the next open has the new ones.
func TestReaderSeesOneVersion(t *testing.T) {
	t.Parallel()
	for _, storeName := range []string{"versitygw", "minio"} {
		t.Run(storeName, func(t *testing.T) {
			t.Parallel()
			s := openStore(t, storeName)
			bucket := s.newBucket(t)
			const size = 40 << 20
			first, second := bytes.Repeat([]byte{'1'}, size), bytes.Repeat([]byte{'2'}, size)
			s.put(t, bucket, "file", first)
			m := newMount(t, mountOptions{store: s, source: "s3://" + bucket, noisy: `(?i)another|changed`})
			name := filepath.Join(m.dir, "file")
			f, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			head := make([]byte, 1000)
			if _, err := f.ReadAt(head, 0); err != nil || !bytes.Equal(head, first[:1000]) {
				t.Fatalf("first bytes: %v", err)
			}
			s.put(t, bucket, "file", second)
			rest := make([]byte, size)
			n, err := f.ReadAt(rest, 0)
			if i := bytes.IndexByte(rest[:n], '2'); i >= 0 {
				t.Errorf("byte %d of the new version in a file opened before", i)
			}
			if err != nil && !errors.Is(err, io.EOF) && errno(err) != syscall.ESTALE {
				t.Errorf("reading the old version: %v, want its bytes or ESTALE", err)
			}
			p := &pair{T: t, store: s, bucket: bucket}
			p.showsFile(m, "file", second)
			f.Close()
			m.unmount()
		})
	}
}

func (p *pair) open(m *mount, open func(string) (*os.File, error)) *os.File {
	p.Helper()
	f, err := open(filepath.Join(m.dir, "d/file"))
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { f.Close() })
	return f
}

func (p *pair) write(f *os.File, data []byte) {
	p.Helper()
	if _, err := f.Write(data); err != nil {
		p.Fatal(err)
	}
}

// shows fails the test unless a program that opens the file now sees want.
func (p *pair) shows(m *mount, want []byte) {
	p.Helper()
	p.showsFile(m, "d/file", want)
}

func (p *pair) showsFile(m *mount, name string, want []byte) {
	p.Helper()
	got, err := os.ReadFile(filepath.Join(m.dir, name))
	if err != nil || !bytes.Equal(got, want) {
		p.Errorf("the mount shows another content of %s: %v, %s", name, err, firstDifference(got, want))
	}
}

// keptFiles are the files of staging that `objmount status` names.
func (p *pair) keptFiles(m *mount) []string {
	p.Helper()
	out, err := m.command("status", m.dir)
	if err != nil {
		p.Fatal(err)
	}
	var files []string
	for _, name := range regexp.MustCompile(regexp.QuoteMeta(m.options.state)+`[^\s"]+`).FindAllString(out, -1) {
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
			files = append(files, name)
		}
	}
	return files
}

// kept fails the test unless want can be found in a file that status names.
func (p *pair) kept(m *mount, want []byte) {
	p.Helper()
	files := p.keptFiles(m)
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err == nil && bytes.Contains(data, want) {
			return
		}
	}
	out, _ := m.command("status", m.dir)
	p.Errorf("what the loser wrote is in none of %q; status says:\n%s", files, out)
}

func (p *pair) nothingKept(m *mount) {
	p.Helper()
	time.Sleep(100 * time.Millisecond)
	if files := p.keptFiles(m); len(files) > 0 {
		p.Errorf("status of the winner names %q", files)
	}
}
