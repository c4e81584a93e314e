package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/objmount/objmount/ctl"
)

// TestPlaces finds paths in mounts whose directories are never asked for: here they do not even exist.
func TestPlaces(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(root, name) }
	if err := os.MkdirAll(at("real/dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"direct": at("mnt"), "deep": "mnt/d/e", "real/up": "../mnt", "chain": "real/up/d", "alias": "real", "loop": "loop", "inner": at("mnt/in/ner/x"),
	} {
		if err := os.Symlink(target, at(name)); err != nil {
			t.Fatal(err)
		}
	}
	infos := []ctl.Info{{Mountpoint: at("mnt"), PID: 1}, {Mountpoint: at("mnt/in/ner"), PID: 2}}
	for path, want := range map[string]struct {
		pid  int
		rest string
	}{
		"mnt": {1, ""}, "mnt/": {1, ""}, "mnt/f": {1, "f"}, "mnt/d/../f": {1, "f"}, "direct": {1, ""}, "direct/f": {1, "f"}, "deep": {1, "d/e"}, "deep/f": {1, "d/e/f"},
		"real/up/f": {1, "f"}, "chain": {1, "d"}, "alias/up/d/f": {1, "d/f"}, "mnt/in/f": {1, "in/f"}, "mnt/in/ner/f": {2, "f"}, "inner": {2, "x"}, "inner/d/f": {2, "x/d/f"},
		"mntx": {}, "loop/mnt": {}, "real/dir/f": {}, "gone/f": {},
	} {
		place, err := findPlace(infos, at(".")+"/"+path)
		if place.info.PID != want.pid || place.rest != want.rest || (err == nil) != (want.pid != 0) {
			t.Errorf("%s is %q of mount %d, %v; want %+v", path, place.rest, place.info.PID, err, want)
		}
	}
	t.Chdir(root)
	if place, err := findPlace(infos, "direct/f"); err != nil || place.rest != "f" {
		t.Errorf("a relative path is %q, %v", place.rest, err)
	}
}

// TestInterruptedLook does not wait for what hangs.
func TestInterruptedLook(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	hangs := make(chan struct{})
	defer close(hangs)
	time.AfterFunc(time.Millisecond, cancel)
	_, err := whileWanted(ctx, func() (int, error) {
		<-hangs
		return 0, nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
