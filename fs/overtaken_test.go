package fs

import (
	"errors"
	"os"
	"syscall"
	"testing"
)

// What another client has stored under a name since this mount looked is neither removed nor replaced, though the kernel repeats a call that
// was answered with ESTALE; the next call is about the new object.
func TestOvertaken(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{posix: PosixOff})
	read := func() ([]byte, error) {
		data, err := os.ReadFile(m.path("d/b"))
		eventually(t, func() bool { return m.fs.Status().OpenFiles == 0 }) // the kernel tells of the last close later; what is open goes then
		return data, err
	}
	for name, call := range map[string]func() error{
		"unlink": func() error { return syscall.Unlink(m.path("d/b")) },
		"rename": func() error { return syscall.Rename(m.path("d/a"), m.path("d/b")) },
	} {
		m.put("d/a", []byte("ours"))
		m.put("d/b", []byte("old"))
		m.fs.Changed(testBucket, "d/a")
		m.fs.Changed(testBucket, "d/b")
		_, err := read()
		check(t, err)
		m.put("d/b", []byte("theirs"))
		if err := call(); !errors.Is(err, syscall.ESTALE) {
			t.Errorf("%s: %v, want ESTALE", name, err)
		}
		if data, _ := m.object("d/b"); string(data) != "theirs" {
			t.Errorf("%s: the store has %q", name, data)
		}
		if data, _ := m.object("d/a"); string(data) != "ours" {
			t.Errorf("%s: a has %q", name, data)
		}
		got, err := read()
		if err != nil || string(got) != "theirs" {
			t.Errorf("%s: b shows %q, %v", name, got, err)
		}
		if err := call(); err != nil {
			t.Errorf("%s once more: %v", name, err)
		}
	}
}
