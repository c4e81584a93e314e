package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/cmd/objmount/configfile"
	"github.com/objmount/objmount/ctl"
)

// ctlTarget is what a PATH of ctl names.
type ctlTarget struct {
	path   string             // as given
	bare   bool               // s3://BUCKET/KEY or REMOTE:BUCKET/KEY: no mount is needed
	remote *configfile.Remote // of a bare one; nil: the flags and the environment say where it is
	info   ctl.Info           // of the mount, unless bare
	rest   string             // below the mountpoint; or BUCKET/KEY
	dir    bool               // it ends in a slash
}

// bareTarget reads a path that needs no mount: s3://BUCKET/KEY, or REMOTE:BUCKET/KEY with a remote of the configuration file. Another name
// before a colon is that of a file. ok is false for a path in a mount.
func (s *ctlSession) bareTarget(path string) (t ctlTarget, ok bool, err error) {
	t.path = path
	name, rest, named := cutRemote(path)
	if !named {
		if rest, ok = strings.CutPrefix(path, scheme); !ok {
			return t, false, nil
		}
	}
	if err := s.settle(); err != nil {
		return t, false, err
	}
	if named && (s.options.file == nil || s.options.file.Remote(name) == nil) {
		return t, false, nil
	}
	bucket, key, _ := strings.Cut(rest, "/")
	if why := badBucket(bucket); bucket == "" || why != "" {
		return t, false, usage("PATH %q: want %sBUCKET/KEY, or a path in a mount", path, strings.TrimSuffix(path, rest))
	}
	t.bare, t.rest = true, bucket+"/"+key
	t.remote, err = s.options.remoteOf(s.store, source{remote: name, bucket: bucket})
	return t, true, err
}

// findTarget finds the mount that a path lies in. The path need not exist: it may be a deleted file.
func findTarget(ctx context.Context, infos []ctl.Info, path string) (ctlTarget, error) {
	t := ctlTarget{path: path, dir: strings.HasSuffix(path, "/")}
	if path == "" {
		return t, usage("PATH is empty; name a path in a mount, or s3://BUCKET/KEY")
	}
	found, err := whileWanted(ctx, func() (place, error) { return findPlace(infos, path) })
	t.info, t.rest = found.info, found.rest
	return t, err
}

// whileWanted is do, which may hang in the kernel, until ctx ends. What hangs then ends with this process:
// a thread that waits for a mount's answer lets itself be killed, but no signal handler run.
func whileWanted[T any](ctx context.Context, do func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	done := make(chan answer, 1)
	go func() {
		value, err := do()
		done <- answer{value, err}
	}()
	select {
	case a := <-done:
		return a.value, a.err
	case <-ctx.Done():
		return *new(T), ctx.Err()
	}
}

// place is a mount and a path below its mountpoint.
type place struct {
	info ctl.Info
	rest string
}

// findPlace asks as little as possible of the mount itself, whose store may be away: only whether directories above
// the last name are symbolic links, once.
func findPlace(infos []ctl.Info, path string) (place, error) {
	abs, err := absoluteByKernel(path)
	if err != nil {
		return place{}, err
	}
	full, info, ok := enter(infos, abs)
	if !ok {
		return place{}, notMounted(path, abs)
	}
	if parent := filepath.Dir(full); full != info.Mountpoint && parent != info.Mountpoint {
		through, err := throughParents(full)
		if err != nil {
			return place{}, fail(exitUnreachable, "%s: %s cannot be looked up (%v); objmount status %s may tell more", path, parent, err, info.Mountpoint)
		}
		if through != full { // maybe into another mount
			if full, info, ok = enter(infos, through); !ok {
				return place{}, notMounted(path, through)
			}
		}
	}
	return place{info, strings.Trim(strings.TrimPrefix(full, info.Mountpoint), "/")}, nil
}

// absoluteByKernel is absolute without a look at the working directory, which may be in the mount.
func absoluteByKernel(path string) (string, error) {
	if filepath.IsAbs(path) {
		return filepath.Clean(path), nil
	}
	buf := make([]byte, unix.PathMax)
	n, err := unix.Getcwd(buf)
	if err != nil || n < 2 || buf[0] != '/' {
		return absolute(path) // it is gone, or in another tree
	}
	return filepath.Join(string(buf[:n-1]), path), nil
}

// enter follows the symbolic links of a path up to the mount that it leads into, and nothing in there. What it returns has the
// mountpoint at its beginning.
func enter(infos []ctl.Info, abs string) (full string, info ctl.Info, ok bool) {
	const most = 40 // links, as in the kernel
	at, todo := "/", strings.Split(abs, "/")
	for links := 0; ; {
		if _, ok := underMount(infos, at); ok || len(todo) == 0 {
			full = filepath.Join(append([]string{at}, todo...)...)
			info, ok = underMount(infos, full) // the innermost
			return full, info, ok
		}
		name := todo[0]
		todo = todo[1:]
		next := filepath.Join(at, name) // also of "" and ".."
		link, err := os.Readlink(next)
		if err != nil || links == most { // no link, or nothing
			at = next
			continue
		}
		if links++; filepath.IsAbs(link) {
			at = "/"
		}
		todo = append(strings.Split(link, "/"), todo...)
	}
}

// throughParents resolves the symbolic links above the last name, as far as the directories exist. An error: they cannot
// be asked for.
func throughParents(abs string) (string, error) {
	var rest []string
	for dir := abs; dir != "/"; {
		rest = append([]string{filepath.Base(dir)}, rest...)
		dir = filepath.Dir(dir)
		real, err := filepath.EvalSymlinks(dir)
		switch {
		case err == nil:
			return filepath.Join(append([]string{real}, rest...)...), nil
		case errors.Is(err, unix.EIO): // its store has been away for --retry-timeout
			return "", innermostErrno(err)
		case !errors.Is(err, os.ErrNotExist):
			return abs, nil // its name is good enough
		}
	}
	return abs, nil
}

// notMounted says why no mount was found for a path.
func notMounted(path, abs string) error {
	mounts, err := readMounts()
	if err != nil {
		return fail(exitFailed, "the list of mounts cannot be read: %v", err)
	}
	through, err := throughParents(abs)
	if err != nil {
		through = abs
	}
	m := holding(mounts, through)
	switch {
	case m.fsType == fsType && isDead(m.dir):
		return fail(exitNoMount, "the process of %s is gone; mount it again, or name the object: s3://BUCKET/KEY", m.dir)
	case m.fsType == fsType:
		return fail(exitNoMount, "the control socket of %s is not found in %v; set XDG_RUNTIME_DIR as for the mount", m.dir, runtimeDirs())
	}
	return fail(exitNoMount, "%s is not in a mount of objmount; objmount status lists what is mounted, and s3://BUCKET/KEY works without a mount", path)
}

// runner does verbs: a mount's process, or this one.
type runner interface {
	Run(ctx context.Context, verb string, request any, each func(ctl.Line) error) error
	Put(ctx context.Context, r ctl.PutObjectRequest, body io.Reader, each func(ctl.Line) error) error
}
