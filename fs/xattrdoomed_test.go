package fs

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestXattrsOfReplacedFile: who has a file open that was stored, and that a rename has replaced since, or that was unlinked, sees its
// attributes.
func TestXattrsOfReplacedFile(t *testing.T) {
	bothModes(t, func(t *testing.T, commit CommitMode) {
		m := newTestMount(t, testOptions{commit: commit, ttl: time.Millisecond})
		for name, take := range map[string]func(path string) error{
			"replaced": func(path string) error {
				check(t, os.WriteFile(m.path("other"), []byte("other"), 0o644))
				return os.Rename(m.path("other"), path)
			},
			"unlinked": os.Remove,
		} {
			file, err := os.Create(m.path(name))
			check(t, err)
			_, err = file.WriteString("content")
			check(t, err)
			check(t, unix.Fsetxattr(int(file.Fd()), "user.a", []byte("value"), 0))
			check(t, file.Sync())
			check(t, take(m.path(name)))
			time.Sleep(5 * time.Millisecond) // nothing that was asked before counts any more
			list, value := make([]byte, 1000), make([]byte, 10)
			if _, err := unix.Flistxattr(int(file.Fd()), list); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if n, err := unix.Fgetxattr(int(file.Fd()), "user.a", value); err != nil || string(value[:n]) != "value" {
				t.Errorf("%s: %q, %v", name, value[:max(n, 0)], err)
			}
			check(t, file.Close())
		}
	})
}
