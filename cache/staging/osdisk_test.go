package staging

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/objmount/objmount/backend"
)

// openReal opens an area on the machine's own file system.
func openReal(t *testing.T, dir string, limit int64) *Area {
	t.Helper()
	a, err := Open(Config{Dir: dir, Limit: limit})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func create(t *testing.T, a *Area) *File {
	t.Helper()
	f, err := a.Create(Spec{Target: backend.ObjectID{Bucket: "b", Key: "k"}})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func write(t *testing.T, f *File, p []byte, off int64) {
	t.Helper()
	if n, err := f.WriteAt(p, off); n != len(p) || err != nil {
		t.Fatalf("write of %d at %d: %d, %v", len(p), off, n, err)
	}
}

func TestRealDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, err := Open(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	f := create(t, a)
	write(t, f, []byte("hello"), 3)
	s, err := f.Seal(true)
	if err != nil {
		t.Fatal(err)
	}
	s.Release()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a = openReal(t, dir, 0)
	if len(a.Files()) != 1 || a.Files()[0].State() != StateSealed || a.Usage().Bytes != 5 {
		t.Fatalf("recovered %v, %+v", a.Files(), a.Usage())
	}
	f = a.Files()[0]
	if s, err = f.Seal(false); err != nil {
		t.Fatal(err)
	}
	r := f.Reader(s.Extents)
	if got, err := io.ReadAll(r); err != nil || string(got) != "\x00\x00\x00hello" {
		t.Fatalf("%q, %v", got, err)
	}
	if pos, err := r.Seek(-4, io.SeekEnd); pos != 4 || err != nil {
		t.Fatal(pos, err)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != "ello" {
		t.Fatalf("%q, %v", got, err)
	}
	if _, err := r.Seek(-1, io.SeekStart); err == nil {
		t.Fatal("seek before the start")
	}
	clean, err := f.Committed(s, &Remote{Source: backend.Source{Bucket: "b", Key: "k", ETag: "e"}, Size: 8})
	if !clean || err != nil {
		t.Fatal(clean, err)
	}
	s.Release()
	if err := f.Remove(); err != nil {
		t.Fatal(err)
	}
	if err := a.committer.tick(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Join(dir, "data"))
	if err != nil || len(left) != 0 || a.Usage().Bytes != 0 {
		t.Fatal(left, err, a.Usage())
	}
}

// TestHoles overwrites a sealed file again and again: the disk space stays bounded.
func TestHoles(t *testing.T) {
	t.Parallel()
	a := openReal(t, t.TempDir(), 0)
	f := create(t, a)
	const size = 256 << 10
	for i := range 20 {
		write(t, f, bytes.Repeat([]byte{byte(i + 1)}, size), 0)
		s, err := f.Seal(true)
		if err != nil {
			t.Fatal(err)
		}
		s.Release()
		if err := a.committer.tick(); err != nil {
			t.Fatal(err)
		}
	}
	if use := a.Usage(); use.Bytes > 2*size {
		t.Errorf("%d bytes are counted for %d", use.Bytes, size)
	}
	info, err := os.Stat(f.data.path)
	if err != nil {
		t.Fatal(err)
	}
	if used := info.Sys().(*syscall.Stat_t).Blocks * 512; used > 2*size {
		t.Errorf("the data file of %d bytes takes %d", size, used)
	}
	if info.Size() < 20*size {
		t.Errorf("positions were used twice: %d", info.Size())
	}
}

func TestCopyBetweenFiles(t *testing.T) {
	t.Parallel()
	a := openReal(t, t.TempDir(), 0)
	src, dst := create(t, a), create(t, a)
	data := bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	write(t, src, data, 0)
	write(t, dst, []byte("head"), 0)
	if err := dst.CopyFrom(4, src, 5, int64(len(data))-5); err != nil {
		t.Fatal(err)
	}
	write(t, src, bytes.Repeat([]byte("X"), 1000), 0) // dst has its own copy
	dst.Freeze(0, 1<<40)
	got, err := io.ReadAll(dst.Reader(dst.Extents(0, 1<<40)))
	if err != nil || !bytes.Equal(got, append([]byte("head"), data[5:]...)) {
		t.Fatal("the copy differs: ", err)
	}
	if err := dst.CopyFrom(0, src, int64(len(data)), 1); !backend.IsKind(err, backend.KindRange) {
		t.Fatal("copy beyond the end: ", err)
	}
}

// TestLocked: another process is named, and the lock ends with it.
func TestLocked(t *testing.T) {
	if dir := os.Getenv("STAGING_TEST_HOLD"); dir != "" {
		a, err := Open(Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("held\n")
		io.ReadAll(os.Stdin)
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=TestLocked$")
	cmd.Env = append(os.Environ(), "STAGING_TEST_HOLD="+dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	_, err = Open(Config{Dir: dir})
	if !backend.IsKind(err, backend.KindOther) || !strings.Contains(err.Error(), "in use by process "+strconv.Itoa(cmd.Process.Pid)) {
		t.Fatal("while another process has it: ", err)
	}
	in.Close()
	io.ReadAll(out)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	openReal(t, dir, 0)
}

// TestManyFiles has far more staged files than descriptors may be open.
func TestManyFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := openReal(t, dir, 0)
	files := make([]*File, 2*maxOpenFiles)
	for i := range files {
		files[i] = create(t, a)
		write(t, files[i], []byte(strconv.Itoa(i)), 0)
	}
	a.handles.mu.Lock()
	open := a.handles.open
	a.handles.mu.Unlock()
	if open > maxOpenFiles {
		t.Fatalf("%d data files are open", open)
	}
	for i, f := range files {
		want := strconv.Itoa(i)
		p := make([]byte, len(want))
		if _, err := f.ReadLocal(f.Extents(0, 10)[0], p, 0); err != nil || string(p) != want {
			t.Fatalf("file %d has %q: %v", i, p, err)
		}
		if err := f.Remove(); err != nil {
			t.Fatal(err)
		}
	}
	a.handles.mu.Lock()
	defer a.handles.mu.Unlock()
	if a.handles.open != 0 {
		t.Errorf("%d data files are still open", a.handles.open)
	}
}
