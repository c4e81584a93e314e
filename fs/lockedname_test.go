package fs

import (
	"errors"
	"os"
	"testing"

	"github.com/objmount/objmount/backend"
)

// A rename to a name that seems to be free does not cover a locked object that another client has stored there since, also
// where a copy has no condition on its destination.
func TestLockedUnderAFreeName(t *testing.T) {
	t.Parallel()
	for _, conditions := range []bool{true, false} {
		m := newTestMount(t, testOptions{posix: PosixOff, settings: withLocks, capabilities: func(c *backend.Capabilities) { c.CopyDestination = conditions }})
		m.put("a", []byte("ours"))
		if _, err := os.ReadDir(m.path(".")); err != nil { // it is known that there is no b
			t.Fatal(err)
		}
		m.put("b", []byte("theirs"))
		m.hold("b")
		err := os.Rename(m.path("a"), m.path("b"))
		if data, _ := m.object("b"); err == nil || !conditions && !errors.Is(err, os.ErrPermission) || string(data) != "theirs" {
			t.Errorf("conditions %v: %v, and b is %q", conditions, err, data)
		}
		if data, _ := m.object("a"); string(data) != "ours" {
			t.Errorf("conditions %v: a is %q", conditions, data)
		}
	}
}
