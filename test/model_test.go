package test

import (
	"errors"
	"flag"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// TestLikeAPlainDirectory applies random system calls to a mount and to a plain directory: every
// result must be the same, and in the end so must the trees and the objects. Programs work side by side, each in its directory.
func TestLikeAPlainDirectory(t *testing.T) {
	programs, checks := 2, "3"
	if os.Getenv("OBJMOUNT_SOAK") != "" { // the soak command repeats it
		programs, checks = 4, "50"
		setFlag(t, "rapid.shrinktime", "3m")
	}
	setFlag(t, "rapid.checks", checks)
	setFlag(t, "rapid.nofailfile", "true") // the failure itself prints the calls
	for _, c := range combinations() {
		t.Run(c.String(), func(t *testing.T) {
			if !soaking() { // there are programs enough in each
				t.Parallel()
			}
			run := newModelRun(t, c)
			defer run.dumpAfter(10 * time.Minute)()
			calls := sequences(possible(t, run.plain))
			defer func() { tell(t, int(run.cases.Load()), int(run.applied.Load()), 0) }()
			t.Run("programs", func(t *testing.T) {
				for i := range programs {
					t.Run(strconv.Itoa(i), func(t *testing.T) {
						t.Parallel()
						rapid.Check(t, func(rt *rapid.T) { run.check(rt, t.Name(), calls.Draw(rt, "calls")) })
					})
				}
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
func (run *modelRun) check(t *rapid.T, program string, calls []call) {
	if other := run.failing.Load(); other != nil && *other != program {
		return
	}
	mc, right := run.newCase(), false
	defer func() {
		if !right {
			run.failing.CompareAndSwap(nil, &program)
			_ = mc.end(false)
		}
	}()
	for _, c := range calls {
		mc.step(t, c)
	}
	if d := mc.differences(); len(d) > 0 {
		t.Fatalf("in the end %s\n%s", strings.Join(d, "\n"), shellScript(mc.steps))
	}
	run.applied.Add(int64(len(calls)))
	const kept = 5
	if err := mc.end(calls[len(calls)-1].seed%kept > 0); err != nil {
		t.Fatalf("removing it in the end: %v\n%s", err, shellScript(mc.steps))
	}
	right = true
}

func (mc *modelCase) differences() []string {
	mc.run.alone.RLock()
	defer mc.run.alone.RUnlock()
	mc.ours.close()
	mc.theirs.close()
	return differences(mc.ours.root, mc.theirs.root)
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
	if os.Getenv("OBJMOUNT_SOAK") == "" {
		delete(out, "drop")
	}
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
