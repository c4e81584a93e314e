package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/objmount/objmount/ctl"
)

// plainBinary is objmount as it is shipped: the race detector needs a multiple of the memory.
var plainBinary = sync.OnceValues(func() (string, error) {
	out := filepath.Join(shared.dir, "objmount-plain")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", out, "../cmd/objmount")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building objmount: %w\n%s", err, text)
	}
	return out, nil
})

// overhead is what the process may need beyond --memory-limit, in bytes.
const overhead = 64 << 20

// boundedMount mounts a vastStore with a memory limit, in MiB.
func boundedMount(t *testing.T, v *vastStore, limit int, args ...string) *mount {
	t.Helper()
	binary, err := plainBinary()
	if err != nil {
		t.Fatal(err)
	}
	return newMount(t, mountOptions{
		endpoint: v.endpoint, source: "s3://vast", binary: binary,
		args: append([]string{fmt.Sprintf("--memory-limit=%dMiB", limit)}, args...),
	})
}

// processValue reads a size of /proc/PID/status, in bytes.
func (m *mount) processValue(name string) int64 {
	m.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.cmd.Process.Pid))
	if err != nil {
		m.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), name+":")
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		m.t.Fatalf("%s: %v", name, err)
	}
	return kib << 10
}

// staysBelow fails the test if the process was ever larger than its limit, in MiB, allows.
func (m *mount) staysBelow(limit int, what string) {
	m.t.Helper()
	peak := m.processValue("VmHWM")
	m.t.Logf("%s: peak RSS %.1f MiB with --memory-limit=%dMiB", what, float64(peak)/(1<<20), limit)
	if peak > int64(limit)<<20+overhead {
		m.t.Errorf("%s: the peak of RSS is %d MiB, with --memory-limit=%dMiB", what, peak>>20, limit)
	}
}

// walk looks at everything below a directory as find does, and returns how many files there are.
func walk(t *testing.T, dir string) int {
	t.Helper()
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	files := 0
	for {
		list, err := d.Readdir(500)
		for _, info := range list {
			switch {
			case info.IsDir():
				files += walk(t, filepath.Join(dir, info.Name()))
			case info.Size() != vastFile:
				t.Fatalf("%s/%s has %d bytes", dir, info.Name(), info.Size())
			default:
				files++
			}
		}
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestMemoryOfWalks: all entries of a directory, and of a tree, are looked at, and the kernel, which has memory
// enough, keeps them.
func TestMemoryOfWalks(t *testing.T) {
	t.Parallel()
	entries, limits := 40_000, []int{64}
	if longRun() {
		entries, limits = 1_000_000, anyLimit()
	}
	for _, limit := range limits {
		t.Run(fmt.Sprintf("%dMiB", limit), func(t *testing.T) {
			v := newVastStore(t, entries, 1<<20)
			m := boundedMount(t, v, limit)
			for _, dir := range []string{"flat", "tree"} {
				if n := walk(t, m.in(dir)); n != entries {
					t.Errorf("%s has %d files, not %d", dir, n, entries)
				}
				m.staysBelow(limit, fmt.Sprintf("%d entries of %s", entries, dir))
				use := m.state().Usage.Inodes
				t.Logf("%d inodes are known after a walk of %s, of at most %d", use.Now, dir, use.Most)
				if use.Now > use.Most*9/8 || use.Most > int64(entries)*9/10 {
					t.Errorf("%d inodes of %d entries are known after a walk; %d should be", use.Now, entries, use.Most)
				}
			}
			tell(t, 1, 2*entries, 0)
		})
	}
}

// TestMemoryOfRandomReads: pieces anywhere in an object that is much larger than any cache.
func TestMemoryOfRandomReads(t *testing.T) {
	t.Parallel()
	reads, limits := 600, []int{64}
	if longRun() {
		reads, limits = 20_000, anyLimit()
	}
	for _, limit := range limits {
		t.Run(fmt.Sprintf("%dMiB", limit), func(t *testing.T) {
			const size = 50 << 30
			v := newVastStore(t, 0, size)
			m := boundedMount(t, v, limit)
			seed := mathrand.Uint64()
			t.Logf("seed %d", seed)
			var group errgroup.Group
			for i := range 8 {
				group.Go(func() error {
					return readAnywhere(m.in("big"), size, reads/8, mathrand.New(mathrand.NewPCG(seed, uint64(i))))
				})
			}
			if err := group.Wait(); err != nil {
				t.Error(err)
			}
			m.staysBelow(limit, fmt.Sprintf("%d random reads", reads))
			tell(t, 1, reads, 0)
		})
	}
}

// readAnywhere reads pieces of a file and compares them.
func readAnywhere(name string, size int64, reads int, rng *mathrand.Rand) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	got, want := make([]byte, 256<<10), make([]byte, 256<<10)
	for range reads {
		n := 1 + rng.IntN(len(got))
		at := rng.Int64N(size - int64(n))
		if _, err := f.ReadAt(got[:n], at); err != nil {
			return err
		}
		vastBytes(want[:n], at)
		if !bytes.Equal(got[:n], want[:n]) {
			return fmt.Errorf("wrong bytes at %d: %s", at, firstDifference(got[:n], want[:n]))
		}
	}
	return nil
}

// TestMemoryOfWriters: a hundred files are written at once, each from its start to its end.
func TestMemoryOfWriters(t *testing.T) {
	t.Parallel()
	files, size, limits := 100, 3<<20, []int{64}
	if longRun() {
		size, limits = 64<<20, anyLimit()
	}
	for _, limit := range limits {
		for _, commit := range []string{"close", "background"} {
			t.Run(fmt.Sprintf("%dMiB,%s", limit, commit), func(t *testing.T) {
				v := newVastStore(t, 0, 1)
				m := boundedMount(t, v, limit, "--commit="+commit)
				writeTogether(t, m, files, size)
				m.staysBelow(limit, fmt.Sprintf("%d files of %d MiB at once", files, size>>20))
				if _, err := m.command("ctl", "flush", m.dir); err != nil {
					t.Error(err)
				}
				m.staysBelow(limit, "and their uploads")
				for i := range files {
					if n, there := v.size(fmt.Sprintf("w/%03d", i)); !there || n != int64(size) {
						t.Errorf("file %d is in the store with %d bytes (%v)", i, n, there)
					}
				}
				tell(t, 1, files, 0)
			})
			if !longRun() {
				break
			}
		}
	}
}

// writeTogether writes files in pieces that take turns, and closes them all at the end.
func writeTogether(t *testing.T, m *mount, files, size int) {
	t.Helper()
	if err := os.Mkdir(m.in("w"), 0o755); err != nil {
		t.Fatal(err)
	}
	piece := bytesOf(1, 256<<10)
	var group errgroup.Group
	var open sync.WaitGroup
	open.Add(files)
	for i := range files {
		group.Go(func() error {
			f, err := os.Create(m.in(fmt.Sprintf("w/%03d", i)))
			open.Done()
			if err != nil {
				return err
			}
			open.Wait()
			for at := 0; at < size && err == nil; at += len(piece) {
				_, err = f.Write(piece)
			}
			return errors.Join(err, f.Close())
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

// TestMemoryOfOpenFiles: many files are open and were read.
func TestMemoryOfOpenFiles(t *testing.T) {
	t.Parallel()
	files, limits := 2_000, []int{64}
	if longRun() {
		files, limits = 10_000, anyLimit()
	}
	for _, limit := range limits {
		t.Run(fmt.Sprintf("%dMiB", limit), func(t *testing.T) {
			v := newVastStore(t, files, 1)
			m := boundedMount(t, v, limit)
			open := openMany(t, m.in("flat"), files)
			m.staysBelow(limit, fmt.Sprintf("%d open files", files))
			if n := m.state().OpenFiles; n != files {
				t.Errorf("status says that %d files are open, not %d", n, files)
			}
			for _, f := range open {
				if err := f.Close(); err != nil {
					t.Error(err)
				}
			}
			tell(t, 1, files, 0)
		})
	}
}

// opensMany is held by a test that has many files open: this process may have some 20,000.
var opensMany sync.Mutex

// openMany opens the first files of a directory of a vastStore and reads a byte of each. Other tests that call it wait for the end of this one.
func openMany(t *testing.T, dir string, files int) []*os.File {
	t.Helper()
	opensMany.Lock()
	open := make([]*os.File, files)
	t.Cleanup(func() {
		for _, f := range open {
			_ = f.Close()
		}
		opensMany.Unlock()
	})
	var group errgroup.Group
	group.SetLimit(32)
	for i := range files {
		group.Go(func() error {
			f, err := os.Open(filepath.Join(dir, fmt.Sprintf("%07d", i)))
			if err != nil {
				return err
			}
			open[i] = f
			_, err = io.ReadFull(f, make([]byte, 1))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return open
}

// state is what objmount status says.
func (m *mount) state() ctl.Status {
	m.t.Helper()
	var s ctl.Status
	text := m.must("status", "--json", m.dir)
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		m.t.Fatalf("%v: %s", err, text)
	}
	return s
}

// anyLimit is one of the memory limits that long runs take turns with, in MiB. OBJMOUNT_TEST_MEMORY chooses it.
func anyLimit() []int {
	limit := []int{64, 128, 256}[mathrand.IntN(3)]
	if n, err := strconv.Atoi(os.Getenv("OBJMOUNT_TEST_MEMORY")); err == nil {
		limit = n
	}
	return []int{limit}
}

// longRun: campaigns of minutes, not the few seconds of every run.
func longRun() bool { return os.Getenv("OBJMOUNT_SOAK") != "" }
