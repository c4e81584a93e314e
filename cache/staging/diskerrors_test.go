package staging

import (
	"bytes"
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/objmount/objmount/backend"
)

// TestDiskFull: of a write that fills the disk, what went in counts and nothing else changes.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	disk := newSimDisk()
	a := simArea(t, disk, 0)
	defer a.Close()
	f := create(t, a)
	write(t, f, []byte("0123456789"), 0)
	disk.fail = func(op, p string) error {
		if op == "write" && strings.Contains(p, "/data/") {
			return errShort
		}
		return nil
	}
	n, err := f.WriteAt([]byte("ABCDEFGH"), 8) // two bytes in place, six at the end; of each half
	if n != 1 || !backend.IsKind(err, backend.KindNoSpace) || f.Size() != 10 {
		t.Fatal(n, err, f.Size())
	}
	n, err = f.WriteAt([]byte("ABCDEFGH"), 100)
	if n != 4 || !backend.IsKind(err, backend.KindNoSpace) || f.Size() != 104 {
		t.Fatal(n, err, f.Size())
	}
	disk.fail = func(op, p string) error {
		if op == "write" {
			return syscall.ENOSPC
		}
		return nil
	}
	if n, err = f.WriteAt([]byte("x"), 200); n != 0 || f.Size() != 104 || !backend.IsKind(err, backend.KindNoSpace) {
		t.Fatal(n, err, f.Size())
	}
	if _, err := f.Seal(false); !backend.IsKind(err, backend.KindNoSpace) || f.State() != StateOpen {
		t.Fatal(err, f.State())
	}
	disk.fail = nil
	if use := a.Usage(); use.Bytes != 14 {
		t.Errorf("%+v", use)
	}
	want := "01234567A9" + strings.Repeat("\x00", 90) + "ABCD"
	if got := text(t, f); got != want {
		t.Fatalf("%q", got)
	}
	s, err := f.Seal(true)
	if err != nil {
		t.Fatal(err)
	}
	s.Release()
}

// TestDataSyncError: a file whose data the disk refused never counts as durable, and says so each time.
func TestDataSyncError(t *testing.T) {
	t.Parallel()
	disk := newSimDisk()
	a := simArea(t, disk, 0)
	defer a.Close()
	bad, good := create(t, a), create(t, a)
	write(t, bad, []byte("x"), 0)
	write(t, good, []byte("x"), 0)
	fail := true
	disk.fail = func(op, p string) error {
		if op == "sync" && fail && strings.HasSuffix(p, bad.ID()) {
			return syscall.EIO
		}
		return nil
	}
	for range 2 {
		if s, err := bad.Seal(true); !backend.IsKind(err, backend.KindOther) || s != nil {
			t.Fatal("the first and every later sync fails: ", err)
		}
		disk.mu.Lock()
		fail = false // the kernel tells once
		disk.mu.Unlock()
	}
	s, err := good.Seal(true)
	if err != nil {
		t.Fatal("another file: ", err)
	}
	s.Release()
	if err := a.committer.tick(); err != nil {
		t.Fatal(err)
	}
	if bad.fallback != 0 || good.fallback == 0 {
		t.Fatal("durable: ", bad.fallback, good.fallback)
	}
	if err := bad.Remove(); err != nil { // the user gives it up
		t.Fatal(err)
	}
}

// TestNoHoles: where the disk cannot make holes, the space stays counted.
func TestNoHoles(t *testing.T) {
	t.Parallel()
	disk := newSimDisk()
	disk.fail = func(op, _ string) error {
		if op == "punch" {
			return errors.ErrUnsupported
		}
		return nil
	}
	a := simArea(t, disk, 0)
	defer a.Close()
	f := create(t, a)
	write(t, f, make([]byte, 10_000), 0)
	if err := f.Truncate(0); err != nil {
		t.Fatal(err)
	}
	if err := a.committer.tick(); err != nil {
		t.Fatal(err)
	}
	if use := a.Usage(); use.Bytes != 10_000 {
		t.Fatalf("%+v", use)
	}
	if err := f.Remove(); err != nil {
		t.Fatal(err)
	}
	if use := a.Usage(); use.Bytes != 0 {
		t.Fatalf("%+v", use)
	}
}

// TestDiskErrors fails one operation after another and checks that every error is told, that no
// promise is lost, and that the area works again afterwards.
func TestDiskErrors(t *testing.T) {
	t.Parallel()
	boom := errors.New("input/output error")
	for op := range strings.FieldsSeq("write short sync open syncdir rename remove truncate punch") {
		for nth := range 8 {
			disk := newSimDisk()
			a, err := open(Config{Dir: "area", Disk: disk}, idle())
			if err != nil {
				t.Fatal(err)
			}
			seen := 0
			disk.fail = func(o, _ string) error {
				short := op == "short" && o == "write"
				if o == op || short {
					seen++
				}
				switch {
				case seen != nth+1:
					return nil
				case short:
					seen++
					return errShort
				case o == op:
					return boom
				}
				return nil
			}
			promised := make(map[string][]byte)
			for i := range 4 {
				f, err := a.Create(Spec{})
				if err != nil {
					t.Fatal(err)
				}
				data := bytes.Repeat([]byte{byte(i + 1)}, 5000)
				if n, err := f.WriteAt(data, 0); err != nil {
					want := backend.KindOther
					if op == "short" {
						want = backend.KindNoSpace
					}
					if int64(n) != f.Size() || !backend.IsKind(err, want) {
						t.Fatalf("%s %d: wrote %d of %d: %v", op, nth, n, f.Size(), err)
					}
					continue
				}
				s, err := f.Seal(i%2 == 0)
				if err != nil {
					continue
				}
				promised[f.ID()] = data
				s.Release()
				if i == 1 {
					_ = a.committer.tick()
				}
			}
			disk.fail = nil
			if err := a.committer.tick(); err != nil && op != "sync" {
				t.Fatalf("%s %d: the next sync: %v", op, nth, err)
			}
			if err := a.Close(); err != nil && op != "sync" {
				t.Fatalf("%s %d: close: %v", op, nth, err)
			}
			b, err := open(Config{Dir: "area", Disk: disk}, idle())
			if err != nil {
				t.Fatal(err)
			}
			got := contents(t, b)
			for id, data := range promised {
				if !bytes.Equal(got[id], data) {
					t.Fatalf("%s %d: the promise of %s is lost", op, nth, id)
				}
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
