package main

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// checkMountpoint returns the absolute name of a directory that can be mounted over. A dead
// mount of an objmount that was killed is taken away first.
func checkMountpoint(path string, nonEmpty bool) (string, error) {
	if strings.HasPrefix(path, "/dev/fd/") {
		return "", fail(exitMountpoint, "mountpoint %s: taking over an open FUSE device is not supported; start objmount as the user it should run as", path)
	}
	mounts, err := readMounts()
	if err != nil {
		return "", fail(exitFailed, "the list of mounts cannot be read: %v", err)
	}
	abs, mounted, ok, err := findMountpoint(mounts, path)
	if err != nil {
		return "", err
	}
	if ok && mounted.fsType == fsType && isDead(abs) {
		if err := detach(abs, true); err != nil {
			return "", fail(exitMountpoint, "mountpoint %s: the mount of a killed objmount is in the way and cannot be removed (%v); try: objmount umount --lazy %s", abs, err, abs)
		}
		return checkMountpoint(path, nonEmpty)
	}
	if ok && mounted.fsType == fsType {
		return "", fail(exitMountpoint, "mountpoint %s is in use: %s is mounted there; unmount it first: objmount umount %s", abs, mounted.source, abs)
	}
	if ok && strings.HasPrefix(mounted.fsType, "fuse") {
		return "", fail(exitMountpoint, "mountpoint %s is in use: %s (%s) is mounted there; unmount it first", abs, mounted.source, mounted.fsType)
	}
	return abs, checkDirectory(abs, nonEmpty)
}

func checkDirectory(abs string, nonEmpty bool) error {
	st, err := os.Stat(abs)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fail(exitMountpoint, "mountpoint %s does not exist; create it: mkdir -p %s", abs, abs)
	case errors.Is(err, unix.ENOTCONN):
		return fail(exitMountpoint, "mountpoint %s holds a dead FUSE mount; remove it: umount -l %s", abs, abs)
	case err != nil:
		return fail(exitMountpoint, "mountpoint %s: %v", abs, errors.Unwrap(err))
	case !st.IsDir():
		return fail(exitMountpoint, "mountpoint %s is no directory; choose an empty directory", abs)
	}
	if os.Geteuid() != 0 && unix.Access(abs, unix.W_OK) != nil { // fusermount3 demands it
		return fail(exitMountpoint, "mountpoint %s is not writable for this user; choose a directory of your own, or mount as root", abs)
	}
	if nonEmpty {
		return nil
	}
	d, err := os.Open(abs)
	if err != nil {
		return fail(exitMountpoint, "mountpoint %s cannot be read (%v); choose a directory of your own", abs, errors.Unwrap(err))
	}
	defer d.Close()
	if _, err := d.Readdirnames(1); !errors.Is(err, io.EOF) {
		return fail(exitMountpoint, "mountpoint %s is not empty: its files would be hidden; choose another directory, or use --nonempty", abs)
	}
	return nil
}

// answerTimeout is how long a mount may think about a question that needs no store.
const answerTimeout = 2 * time.Second

// isDead reports whether the process behind a mount is gone. One that hangs is not; the call to
// it is left behind then.
func isDead(dir string) bool {
	answer := make(chan error, 1)
	go func() {
		var st unix.Statfs_t
		answer <- unix.Statfs(dir, &st)
	}()
	select {
	case err := <-answer:
		return errors.Is(err, unix.ENOTCONN)
	case <-time.After(answerTimeout):
		return false
	}
}

// checkFUSE finds out whether this user may mount at all.
func checkFUSE(allowOther bool) error {
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fail(exitNoFUSE, "/dev/fuse does not exist; load the kernel module (modprobe fuse), or start the container with --device /dev/fuse --cap-add SYS_ADMIN")
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return fail(exitNoFUSE, "the kernel has no FUSE (/dev/fuse: %v); load the module: modprobe fuse", errors.Unwrap(err))
	case err != nil:
		return fail(exitNoFUSE, "/dev/fuse may not be opened (%v); run as root, or give this user access to it", errors.Unwrap(err))
	}
	f.Close()
	if os.Geteuid() == 0 {
		return nil
	}
	if findFusermount() == "" {
		return fail(exitNoFUSE, "fusermount3 is missing, which users other than root need; install the package fuse3, or run as root")
	}
	if allowOther && !mayAllowOther() {
		return fail(exitNoFUSE, "--allow-other is not allowed to users; add the line user_allow_other to /etc/fuse.conf, or run as root")
	}
	return nil
}

// findFusermount returns the program that mounts and unmounts for users, "" when it is missing.
func findFusermount() string {
	for _, name := range []string{"fusermount3", "fusermount"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
		for _, dir := range []string{"/bin", "/usr/bin"} { // PATH may be empty in a service
			if path := filepath.Join(dir, name); unix.Access(path, unix.X_OK) == nil {
				return path
			}
		}
	}
	return ""
}

func mayAllowOther() bool {
	f, err := os.Open("/etc/fuse.conf")
	if err != nil {
		return false
	}
	defer f.Close()
	in := bufio.NewScanner(f)
	for in.Scan() {
		if strings.TrimSpace(in.Text()) == "user_allow_other" {
			return true
		}
	}
	return false
}
