package ctl

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxSocketPath is the kernel's limit for the name of a unix socket (sun_path, 108 with NUL).
const maxSocketPath = 107

// withShortPath calls use with a name of path that fits into a socket address: itself, or one
// through a descriptor of its directory.
func withShortPath(path string, use func(short string) error) error {
	if len(path) <= maxSocketPath {
		return use(path)
	}
	dir, err := os.OpenFile(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer dir.Close()
	return use(fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)))
}

// listen makes the socket, readable and writable for its owner only from the first moment.
func listen(path string) (*net.UnixListener, error) {
	var l *net.UnixListener
	err := withShortPath(path, func(short string) error {
		var err error
		if l, err = net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"}); err != nil {
			return err
		}
		l.SetUnlinkOnClose(false) // its short name may not be valid then
		return os.Chmod(path, 0o600)
	})
	if err != nil && l != nil {
		l.Close()
	}
	return l, err
}

func dial(ctx context.Context, path string) (net.Conn, error) {
	var c net.Conn
	err := withShortPath(path, func(short string) error {
		var err error
		c, err = (&net.Dialer{}).DialContext(ctx, "unix", short)
		return err
	})
	return c, err
}

// peerUID returns the user at the other end.
func peerUID(c net.Conn) (uint32, error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return 0, fmt.Errorf("%T is no unix socket", c)
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if credErr != nil {
		return 0, credErr
	}
	return cred.Uid, nil
}
