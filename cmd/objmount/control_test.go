package main

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/ctl"
)

// TestBusyUnmountChangesNothing: uploads are left only by the unmount that happened.
func TestBusyUnmountChangesNothing(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("mounts a small disk")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skip(err)
	}
	defer func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }()
	file, err := os.Create(filepath.Join(dir, "f"))
	if err != nil {
		t.Fatal(err)
	}
	c := &control{p: &parts{cfg: &config{mountpoint: dir}}}
	err = c.Unmount(t.Context(), ctl.UnmountOptions{LeavePending: true})
	if ctl.KindOf(err) != ctl.KindBusy || c.isDetached() || c.leavesPending() {
		t.Errorf("%v; detached %v, leaves uploads %v", err, c.isDetached(), c.leavesPending())
	}
	file.Close()
	err = c.Unmount(t.Context(), ctl.UnmountOptions{LeavePending: true})
	if err != nil || !c.isDetached() || !c.leavesPending() {
		t.Errorf("%v; detached %v, leaves uploads %v", err, c.isDetached(), c.leavesPending())
	}
}
