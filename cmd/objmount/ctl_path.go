package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/objmount/objmount/ctl"
)

// ctlTarget is what a PATH of ctl names.
type ctlTarget struct {
	path string   // as given
	bare bool     // s3://BUCKET/KEY: no mount is needed
	info ctl.Info // of the mount, unless bare
	rest string   // below the mountpoint; or BUCKET/KEY
	dir  bool     // it ends in a slash
}

// findTarget finds the mount that a path lies in. The path need not exist: it may be a deleted file.
func findTarget(infos []ctl.Info, path string) (ctlTarget, error) {
	t := ctlTarget{path: path, dir: strings.HasSuffix(path, "/")}
	if rest, ok := strings.CutPrefix(path, scheme); ok {
		bucket, key, _ := strings.Cut(rest, "/")
		if why := badBucket(bucket); bucket == "" || why != "" {
			return t, usage("PATH %q: want s3://BUCKET/KEY, or a path in a mount", path)
		}
		t.bare, t.rest, t.dir = true, bucket+"/"+key, false // the key says it
		return t, nil
	}
	if path == "" {
		return t, usage("PATH is empty; name a path in a mount, or s3://BUCKET/KEY")
	}
	abs, err := absolute(path)
	if err != nil {
		return t, err
	}
	for _, candidate := range []string{throughParents(abs), abs, throughAll(abs)} {
		info, ok := underMount(infos, candidate)
		if candidate == "" || !ok {
			continue
		}
		t.info = info
		t.rest = strings.Trim(strings.TrimPrefix(candidate, info.Mountpoint), "/")
		return t, nil
	}
	return t, notMounted(path, abs)
}

// throughParents resolves the symbolic links above the last name, as far as the directories exist.
func throughParents(abs string) string {
	var rest []string
	for dir := abs; dir != "/"; {
		rest = append([]string{filepath.Base(dir)}, rest...)
		dir = filepath.Dir(dir)
		real, err := filepath.EvalSymlinks(dir)
		if err == nil {
			return filepath.Join(append([]string{real}, rest...)...)
		}
		if !errors.Is(err, os.ErrNotExist) {
			return abs // a mount that does not answer: its name is good enough
		}
	}
	return abs
}

// throughAll is for a link outside a mount to something inside; "" if there is nothing.
func throughAll(abs string) string {
	real, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return ""
	}
	return real
}

// notMounted says why no mount was found for a path.
func notMounted(path, abs string) error {
	mounts, err := readMounts()
	if err != nil {
		return fail(exitFailed, "the list of mounts cannot be read: %v", err)
	}
	m := holding(mounts, throughParents(abs))
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
}
