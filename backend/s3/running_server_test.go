package s3

import (
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

// running are the servers that all tests share: a start costs more than most tests.
var running struct {
	sync.Mutex
	dir  string // of this run, set by TestMain; removed at its end
	dirs int
	ends []func()
}

// lasting is a test whose directories and servers stay until the end of the run.
type lasting struct{ testing.TB }

func (l lasting) TempDir() string {
	running.Lock()
	defer running.Unlock()
	running.dirs++
	dir := filepath.Join(running.dir, strconv.Itoa(running.dirs))
	if err := os.Mkdir(dir, 0o755); err != nil {
		l.Fatal(err)
	}
	return dir
}

func (lasting) Cleanup(f func()) {
	running.Lock()
	defer running.Unlock()
	running.ends = append(running.ends, f)
}

// endServers is for TestMain, after the last test.
func endServers() {
	running.Lock()
	defer running.Unlock()
	for i := len(running.ends) - 1; i >= 0; i-- {
		running.ends[i]()
	}
}

// startedOnce starts a server for the first that asks; the others get the same.
func startedOnce[S any](start func(testing.TB) S) func(testing.TB) S {
	var mu sync.Mutex
	var started S
	var ready bool
	return func(t testing.TB) S {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		if !ready {
			started = start(lasting{t})
			ready = true
		}
		return started
	}
}

var sharedVersityGW, sharedMinIO = startedOnce(startVersityGW), startedOnce(startMinIO)

var sharedMinIOWithTLS = startedOnce(func(t testing.TB) secureServer {
	srv, certificate := startMinIOWithTLS(t)
	return secureServer{srv, certificate}
})

// secureServer is a server and the file with the certificate to trust.
type secureServer struct {
	server
	certificate string
}
