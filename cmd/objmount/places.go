package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// places are the directories on this machine.
type places struct {
	state string // staging, journals, capabilities, logs: must survive a restart
	cache string // may be thrown away
}

// resolvePlaces chooses the directories: flags, environment, defaults. Nothing is made.
func (o *options) resolvePlaces() (places, error) {
	var p places
	var err error
	if p.state, err = choosePlace(o.stateDir, []string{"OBJMOUNT_STATE_DIR"}, "XDG_STATE_HOME", "/var/lib/objmount", ".local/state/objmount"); err != nil {
		return p, err
	}
	p.cache, err = choosePlace(o.cacheDir, nil, "XDG_CACHE_HOME", "/var/cache/objmount", ".cache/objmount")
	return p, err
}

func choosePlace(flag string, own []string, xdg, root, home string) (string, error) {
	if flag != "" {
		return absolute(flag)
	}
	for _, name := range own {
		if dir := os.Getenv(name); dir != "" {
			return absolute(dir)
		}
	}
	if dir := os.Getenv(xdg); filepath.IsAbs(dir) { // the XDG rules: a relative one counts as not set
		return filepath.Join(dir, "objmount"), nil
	}
	if os.Geteuid() == 0 {
		return root, nil
	}
	dir, err := os.UserHomeDir()
	if err != nil {
		return "", fail(exitLocal, "HOME is not set, so there is no place for local files; set HOME or %s, or use --state-dir and --cache-dir", xdg)
	}
	return filepath.Join(dir, home), nil
}

func absolute(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fail(exitLocal, "the working directory is gone (%v); use an absolute path instead of %q", err, path)
	}
	return abs, nil
}

// runtimeDir is where the sockets of this user's mounts lie.
func runtimeDir() string {
	if dir := os.Getenv("OBJMOUNT_RUNTIME_DIR"); filepath.IsAbs(dir) {
		return dir
	}
	xdg := os.Getenv("XDG_RUNTIME_DIR")
	// A login session's directory goes away with the session; root's mounts stay.
	if filepath.IsAbs(xdg) && (os.Geteuid() != 0 || !strings.HasPrefix(xdg, "/run/user/")) {
		return filepath.Join(xdg, "objmount")
	}
	if os.Geteuid() == 0 {
		return "/run/objmount"
	}
	return filepath.Join(os.TempDir(), "objmount-"+strconv.Itoa(os.Geteuid()))
}

// runtimeDirs are all places where sockets may lie that this user may use: those of other users
// for root, those of root to see that they are there.
func runtimeDirs() []string {
	dirs := []string{runtimeDir()}
	add := func(more ...string) {
		for _, dir := range more {
			if dir != dirs[0] {
				dirs = append(dirs, dir)
			}
		}
	}
	add("/run/objmount")
	if os.Geteuid() == 0 {
		for _, pattern := range []string{"/run/user/*/objmount", filepath.Join(os.TempDir(), "objmount-[0-9]*")} {
			found, _ := filepath.Glob(pattern) // the only error is a bad pattern
			add(found...)
		}
	}
	return dirs
}

// makeRuntimeDir makes the directory of the sockets. In a directory that everybody may write to
// it must be ours.
func makeRuntimeDir() (string, error) {
	dir := runtimeDir()
	if filepath.Dir(dir) != filepath.Clean(os.TempDir()) {
		return dir, nil // ctl makes it
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
		return "", err
	}
	st, err := os.Lstat(dir)
	if err != nil {
		return "", err
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok || !st.IsDir() || sys.Uid != uint32(os.Geteuid()) || st.Mode().Perm()&0o022 != 0 {
		return "", fmt.Errorf("%s is not a directory of our own; set XDG_RUNTIME_DIR", dir)
	}
	return dir, nil
}
