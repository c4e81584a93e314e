package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// errBusy is the answer of the kernel while programs use a mount.
var errBusy = errors.New("programs use it")

// busyPatience is how long detach tries again while a mount is in use: objmount itself opens a file
// in a fresh mount for a moment, and desktops look into one that appears.
const busyPatience = time.Second

// detach takes a mount away from its place; lazily also while programs use it. It does not wait
// for the process behind it.
func detach(dir string, lazy bool) error {
	err := tryDetach(dir, lazy)
	for end := time.Now().Add(busyPatience); errors.Is(err, errBusy) && time.Now().Before(end); {
		time.Sleep(busyPatience / 20)
		err = tryDetach(dir, lazy)
	}
	return err
}

func tryDetach(dir string, lazy bool) error {
	flags := unix.UMOUNT_NOFOLLOW
	if lazy {
		flags |= unix.MNT_DETACH
	}
	err := unix.Unmount(dir, flags)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EBUSY):
		return errBusy
	case !errors.Is(err, unix.EPERM):
		return err
	}
	program := findFusermount()
	if program == "" {
		return errors.New("fusermount3 is missing; install the package fuse3")
	}
	args := []string{"-u", dir}
	if lazy {
		args = []string{"-u", "-z", dir}
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err == nil {
		return nil
	} else if said.Len() == 0 {
		return err
	}
	mounts, err := readMounts()
	if m, there := topAt(mounts, dir); err == nil && there && m.fsType == fsType && !lazy && m.uid == uint32(os.Geteuid()) {
		return errBusy // what else it could be, it does not say in a form for programs
	}
	return errors.New(strings.TrimSpace(said.String()))
}
