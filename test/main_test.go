package test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
)

// world is what all tests of one run share. Its parts are made when first asked for and end
// with the run.
type world struct {
	dir   string // of this run; removed at its end
	tools string // where the servers are

	mu      sync.Mutex
	cleanup []func()

	versitygw, minio func() (*store, error)
	others           []*store               // in the places of the two
	binary           func() (string, error) // objmount under test
	crashing         func() (string, error) // the same, with points at which it kills itself
}

// shared is set by TestMain before any test.
var shared *world

func TestMain(m *testing.M) {
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runTests(m *testing.M) (code int, err error) {
	// Long names make long socket paths; the directory is short on purpose.
	dir, err := os.MkdirTemp("", "t")
	if err != nil {
		return 1, err
	}
	// Else every process with the race detector, also each `objmount ctl`, sleeps a second at its end.
	if os.Getenv("GORACE") == "" {
		if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
			return 1, err
		}
	}
	w := &world{dir: dir, tools: os.Getenv("OBJMOUNT_TOOLS")}
	if w.tools == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return 1, err
		}
		w.tools = filepath.Join(cache, "objmount-tools")
	}
	w.versitygw = sync.OnceValues(func() (*store, error) { return startVersityGW(w) })
	w.minio = sync.OnceValues(func() (*store, error) { return startMinIO(w) })
	w.binary = sync.OnceValues(func() (string, error) { return buildObjmount(w, "objmount") })
	w.crashing = sync.OnceValues(func() (string, error) { return buildObjmount(w, "objmount-crashing", "-tags", "crashpoints") })
	shared = w
	defer func() {
		w.close()
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	if w.others, err = otherStores(w, os.Getenv("OBJMOUNT_TEST_STORES")); err != nil {
		return 1, err
	}
	// Most tests wait: for a store, a second to pass, a time to run out.
	flag.Parse()
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		err = parallel.Value.Set(strconv.Itoa(3 * runtime.GOMAXPROCS(0)))
		if err != nil {
			return 1, err
		}
	}
	if code = m.Run(); code == 0 {
		err = compareDocument(completeRun())
	}
	return code, err
}

// completeRun tells whether this run has every test.
func completeRun() bool {
	for _, name := range []string{"test.run", "test.skip", "test.list", "test.bench", "test.fuzz"} {
		if flag.Lookup(name).Value.String() != "" {
			return false
		}
	}
	return !testing.Short() && flag.Lookup("test.count").Value.String() == "1"
}

// atEnd calls f when all tests are over; the last one registered is called first.
func (w *world) atEnd(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cleanup = append(w.cleanup, f)
}

func (w *world) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := len(w.cleanup) - 1; i >= 0; i-- {
		w.cleanup[i]()
	}
}

// buildObjmount builds the binary under test with the race detector, or takes the one that
// OBJMOUNT_BINARY names.
func buildObjmount(w *world, name string, flags ...string) (string, error) {
	if b := os.Getenv("OBJMOUNT_BINARY"); b != "" && len(flags) == 0 {
		return filepath.Abs(b)
	}
	out := filepath.Join(w.dir, name)
	cmd := exec.Command("go", append(append([]string{"build", "-race", "-buildvcs=false"}, flags...), "-o", out, "../cmd/objmount")...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building objmount: %w\n%s", err, text)
	}
	return out, nil
}

// spawner starts processes from one thread that lives as long as the run: the kernel sends a
// child its parent-death signal when the thread that made it ends, and Go's threads come and go.
var spawner = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

// startChild starts cmd so that it gets signal if this process ends before it.
func startChild(cmd *exec.Cmd, signal syscall.Signal) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = signal
	done := make(chan error)
	spawner() <- func() { done <- cmd.Start() }
	return <-done
}
