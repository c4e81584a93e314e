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
	checks := "25"
	if os.Getenv("OBJMOUNT_SOAK") != "" {
		checks = "100" // the soak command repeats it
	}
	setFlag(t, "rapid.checks", checks)
	setFlag(t, "rapid.nofailfile", "true") // the failure itself prints the calls
	for _, c := range combinations() {
		t.Run(c.String(), func(t *testing.T) {
			s := openStore(t, c.store)
			bucket := s.newBucket(t)
			m := newMount(t, mountOptions{store: s, source: "s3://" + bucket, args: c.args()})
			defer time.AfterFunc(10*time.Minute, m.dumpGoroutines).Stop()
			plain := t.TempDir()
			calls := sequences(possible(t, plain))
			n, applied := 0, 0
			defer func() { tell(t, n, applied, 0) }()
			rapid.Check(t, func(t *rapid.T) {
				n++
				dir := fmt.Sprintf("case%d", n)
				ours, theirs := newActor(filepath.Join(m.dir, dir)), newActor(filepath.Join(plain, dir))
				defer ours.close()
				defer theirs.close()
				var steps []step
				for i, call := range calls.Draw(t, "calls") {
					applied++
					got, said := ours.do(call), theirs.do(call)
					steps = append(steps, step{call: call, said: said})
					if want := theirs.expected(call, said); got != want {
						t.Fatalf("call %d, %v: the mount answers %s, want %s\n%s", i, call, got, want, shellScript(steps))
					}
				}
				ours.close()
				theirs.close()
				if d := differences(ours.root, theirs.root); len(d) > 0 {
					t.Fatalf("in the end %s\n%s", strings.Join(d, "\n"), shellScript(steps))
				}
			})
			if t.Failed() {
				return
			}
			tree := mustTree(t, m.dir)
			compareTrees(t, tree, mustTree(t, plain), mtimes)
			m.unmount()
			compareObjects(t, s.snapshot(t, bucket, ""), "", tree)
		})
	}
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
