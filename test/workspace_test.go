package test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const commandTimeout = 3 * time.Minute

// A workspace is where a workload runs: a directory of the filesystem under test, and one beside
// it that is not.
type workspace struct {
	*testing.T
	dir     string // on the filesystem under test, empty at the start
	scratch string // elsewhere
	// objects reads what is below dir with the foreign client; names are relative to dir. It is
	// called after everything that was closed has to be visible there.
	objects func() map[string]object
	// settled is false where close returns before the object is stored.
	settled bool
	// crash ends a filesystem that hangs, so that commands return.
	crash func()
}

// prelude is put before every script. Bash's errexit does not see a failure left of && or after !, so
// scripts have one command a line and say "fails" for one that must fail.
const prelude = "fails() { if \"$@\"; then echo \"succeeded: $*\" >&2; return 1; fi; }\n"

// sh runs a script in dir with SRC pointing to scratch and returns its standard output.
func (w *workspace) sh(script string) string {
	w.Helper()
	out, err := w.try(script)
	if err != nil {
		w.Fatalf("%s\n%v", strings.TrimSpace(script), err)
	}
	return out
}

// try is sh for scripts that may fail.
func (w *workspace) try(script string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", prelude+script)
	cmd.Dir, cmd.Env = w.dir, w.environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	cmd.Cancel = func() error {
		if w.crash != nil {
			w.crash()
		}
		return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	cmd.WaitDelay = 5 * time.Second
	err := startChild(cmd, syscall.SIGKILL)
	if err == nil {
		err = cmd.Wait()
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what a failed script left in the background
	}
	if err != nil {
		err = fmt.Errorf("%w\n%s%s", err, &out, &problems)
	}
	return out.String(), err
}

// environment keeps programs away from the user's settings and from the network.
func (w *workspace) environment() []string {
	return append(os.Environ(), "SRC="+w.scratch, "HOME="+w.scratch, "LC_ALL=C.UTF-8", "TZ=UTC",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@example.com",
		"GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@example.com",
		"GOPROXY=off", "GOFLAGS=", "GOWORK=off", "GOTOOLCHAIN=local", "GOCACHE="+goCache(), "GOMODCACHE="+w.scratch+"/gomod")
}

// goCache is the user's: the standard library need not be built again.
var goCache = sync.OnceValue(func() string {
	out, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		panic(fmt.Sprintf("go env GOCACHE: %v", err))
	}
	return strings.TrimSpace(string(out))
})

// eventually waits for a condition that comes true in the background.
func (w *workspace) eventually(what string, condition func() bool) {
	w.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("waited in vain for %s", what)
		}
	}
}

// path is the name of a file below dir.
func (w *workspace) path(name string) string { return filepath.Join(w.dir, name) }

// write makes a file of scratch.
func (w *workspace) writeScratch(name string, data []byte, mode os.FileMode) {
	w.Helper()
	name = filepath.Join(w.scratch, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(name, data, mode); err != nil {
		w.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil { // whatever the umask is
		w.Fatal(err)
	}
}

// same fails the test unless the file name below dir holds data.
func (w *workspace) same(name string, data []byte) {
	w.Helper()
	got, err := os.ReadFile(w.path(name))
	if err != nil {
		w.Error(err)
		return
	}
	if !bytes.Equal(got, data) {
		w.Errorf("%s: %s", name, firstDifference(got, data))
	}
}

func firstDifference(got, want []byte) string {
	n := min(len(got), len(want))
	i := 0
	for i < n && got[i] == want[i] {
		i++
	}
	return fmt.Sprintf("%d bytes, want %d; first difference at %d", len(got), len(want), i)
}

// bytesOf returns n bytes that do not compress, the same for the same seed.
func bytesOf(seed uint64, n int) []byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	out := make([]byte, n)
	_, _ = mathrand.NewChaCha8(key).Read(out) // never fails
	return out
}

// sourceTree makes a tree in scratch such as people have: sizes around the limits of blocks and
// pages, modes, links, odd names, old times, an empty directory.
func (w *workspace) sourceTree(name string) string {
	w.Helper()
	root := filepath.Join(w.scratch, name)
	old := time.Date(2019, 3, 4, 5, 6, 7, 891234567, time.UTC)
	for i, n := range []int{0, 1, 511, 4095, 4096, 4097, 65536, 1<<20 - 1, 1 << 20, 1<<20 + 1, 3<<20 + 12345} {
		w.writeScratch(fmt.Sprintf("%s/sizes/%d", name, n), bytesOf(uint64(i), n), 0o644)
	}
	for i := range 60 {
		w.writeScratch(fmt.Sprintf("%s/src/pkg%d/file%02d.go", name, i%6, i), bytesOf(uint64(100+i), 700*(i%9)+i), 0o644)
	}
	for file, mode := range map[string]os.FileMode{"bin/tool.sh": 0o755, "private": 0o600, "read-only": 0o444, "bin/locked": 0o500} {
		w.writeScratch(name+"/"+file, []byte("#!/bin/sh\necho "+file+"\n"), mode)
	}
	for _, file := range []string{"with space", "ünïcödé ✓", "-dash", "quote'\"", "a+b&c=d?e#f%20", "tab\there", "semi;colon", ".hidden", "star*"} {
		w.writeScratch(name+"/names/"+file, []byte(file), 0o644)
	}
	for _, dir := range []string{"empty", "deep/er/and/deeper"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			w.Fatal(err)
		}
	}
	for link, target := range map[string]string{"link": "sizes/4096", "bin/up": "../private", "dangling": "no/where", "deep/link dir": "er"} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			w.Fatal(err)
		}
	}
	if err := os.Chtimes(filepath.Join(root, "sizes/4096"), old, old); err != nil {
		w.Fatal(err)
	}
	return root
}

// plainObjects is the foreign client of a plain directory: the directory itself.
func plainObjects(dir string) (map[string]object, error) {
	tree, err := readTree(dir)
	objects := map[string]object{}
	for name, e := range tree {
		if !e.mode.IsDir() {
			objects[name] = object{Size: e.size, SHA256: e.sha256}
		}
	}
	return objects, err
}

// check compares what the mount shows with what the foreign client sees. A file that was made and
// closed without a write is stored at RELEASE, which close does not wait for (fs/SEMANTICS.md):
// such files, and no others, are given time.
func (w *workspace) check(tree map[string]entry) {
	w.Helper()
	w.eventually("empty files to be stored", func() bool {
		objects := w.objects()
		for name, e := range tree {
			if _, ok := objects[name]; !ok && e.mode.IsRegular() && e.size == 0 {
				return false
			}
		}
		return true
	})
	compareObjects(w.T, w.objects(), "", tree)
}

// below keeps the names under prefix, without it.
func below[V any](all map[string]V, prefix string) map[string]V {
	out := map[string]V{}
	for name, v := range maps.All(all) {
		if rest, ok := strings.CutPrefix(name, prefix); ok && rest != "" {
			out[rest] = v
		}
	}
	return out
}
