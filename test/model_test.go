package test

import (
	"errors"
	"flag"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// TestLikeAPlainDirectory applies random system calls to a mount and to a plain directory: every
// result must be the same, and in the end so must the trees and the objects.
func TestLikeAPlainDirectory(t *testing.T) {
	checks := "8"
	if os.Getenv("OBJMOUNT_SOAK") != "" {
		checks = "100" // the soak command repeats it
		setFlag(t, "rapid.shrinktime", "3m")
	}
	setFlag(t, "rapid.checks", checks)
	setFlag(t, "rapid.nofailfile", "true") // the failure itself prints the calls
	for _, c := range combinations() {
		t.Run(c.String(), func(t *testing.T) {
			run := newModelRun(t, c)
			defer time.AfterFunc(10*time.Minute, func() { run.m.dumpGoroutines() }).Stop()
			calls := sequences(possible(t, run.plain))
			n, applied := 0, 0
			defer func() { tell(t, n, applied, 0) }()
			rapid.Check(t, func(t *rapid.T) {
				n++
				applied += run.check(t, fmt.Sprintf("case%d", n), calls.Draw(t, "calls"))
			})
			if t.Failed() {
				return
			}
			tree := mustTree(t, run.m.dir)
			compareTrees(t, tree, mustTree(t, run.plain), mtimes)
			run.m.unmount()
			compareObjects(t, run.store.snapshot(t, run.bucket, ""), "", tree)
		})
	}
}

// check makes calls in a directory of the mount and in a plain one.
func (run *modelRun) check(t *rapid.T, dir string, calls []call) (applied int) {
	ours, theirs := newActor(filepath.Join(run.m.dir, dir)), newActor(filepath.Join(run.plain, dir))
	defer ours.close()
	defer theirs.close()
	var steps []step
	for i, c := range calls {
		got, said := run.do(ours, theirs, c), theirs.do(c)
		steps = append(steps, step{call: c, said: said})
		if want := theirs.expected(c, said); got != want {
			t.Fatalf("call %d, %v: the mount answers %s, want %s\n%s", i, c, got, want, shellScript(steps))
		}
		if said == outcome(nil) {
			if err := run.stored(c, dir, theirs); err != nil {
				t.Fatalf("call %d, %v: %v\n%s", i, c, err, shellScript(steps))
			}
		}
	}
	ours.close()
	theirs.close()
	if d := differences(ours.root, theirs.root); len(d) > 0 {
		t.Fatalf("in the end %s\n%s", strings.Join(d, "\n"), shellScript(steps))
	}
	return len(calls)
}

// differences says how the tree of a mount differs from a plain one.
func differences(ours, theirs string) []string {
	got, err := readTree(ours)
	if err != nil {
		return []string{err.Error()}
	}
	want, err := readTree(theirs)
	if err != nil {
		return []string{err.Error()}
	}
	return treeDifferences(got, want, mtimes)
}

// possible are the weights of calls that the filesystem of the plain directory has: tmpfs cannot zero a range, and before
// Linux 6.6 has no user attributes.
func possible(t *testing.T, plain string) map[string]int {
	t.Helper()
	out := maps.Clone(weights)
	maps.Copy(out, modelEvents)
	name := filepath.Join(plain, "possible")
	fd, err := openAt(name, unix.O_RDWR|unix.O_CREAT)
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(name)
	defer unix.Close(fd)
	if err := unix.Fsetxattr(fd, "user.a", nil, 0); errors.Is(err, unix.EOPNOTSUPP) {
		maps.DeleteFunc(out, func(what string, _ int) bool { return strings.HasSuffix(what, "xattr") })
	}
	if err := unix.Fallocate(fd, unix.FALLOC_FL_ZERO_RANGE, 0, 1); errors.Is(err, unix.EOPNOTSUPP) {
		delete(out, "hzero")
	}
	return out
}

func setFlag(t *testing.T, name, value string) {
	t.Helper()
	f := flag.Lookup(name)
	old := f.Value.String()
	if err := f.Value.Set(value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Value.Set(old) })
}

// sortedMap goes through a map in the order of its keys, so that a seed means the same every time.
func sortedMap[V any](m map[string]V) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}
