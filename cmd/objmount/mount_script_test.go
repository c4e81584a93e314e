package main

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// TestMountScripts runs testdata/mount: real mounts of a real server, each with one bucket of its
// own. It needs FUSE and the server that `make tools` builds.
func TestMountScripts(t *testing.T) {
	t.Parallel()
	if testing.Short() || checkFUSE(false) != nil {
		t.Skip("no mounts here")
	}
	server := startServer(t)
	root := t.TempDir()
	for dir := root; dir != filepath.Clean(os.TempDir()); dir = filepath.Dir(dir) { // scripts look from outside, as another user
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/mount", WorkdirRoot: root, RequireExplicitExec: true, Deadline: time.Now().Add(4 * time.Minute),
		Setup: func(e *testscript.Env) error { return setupMounts(e, server) },
		Condition: func(name string) (bool, error) {
			if name != "root" {
				return false, fmt.Errorf("unknown condition %q", name)
			}
			return os.Geteuid() == 0, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"fails": fails, "store": storeCommand, "requests": requestsCommand, "took": tookCommand, "mounted": mountedCommand, "until": untilCommand,
		},
	})
}

// values of a script, by their keys in testscript.Env.
type (
	gateKey     struct{}
	recorderKey struct{}
)

func setupMounts(e *testscript.Env, server *testServer) error {
	for _, v := range []string{"HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"} {
		e.Setenv(v, e.WorkDir+"/local")
	}
	bucket := "b" + strings.ToLower(filepath.Base(e.WorkDir)[len("script-"):])
	gate, err := newGate(server.address)
	if err != nil {
		return err
	}
	e.Defer(gate.close)
	record := newRecorder()
	e.Defer(record.close)
	e.Values[gateKey{}], e.Values[recorderKey{}] = gate, record
	for name, value := range map[string]string{
		"BUCKET": strings.ReplaceAll(bucket, "_", "-"), "AWS_ENDPOINT_URL": "http://" + gate.address(),
		"RECORDER": record.plain.URL, "SECURE": record.secure.URL,
		"AWS_ACCESS_KEY_ID": serverKey, "AWS_SECRET_ACCESS_KEY": serverSecret, "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
		"GORACE": "atexit_sleep_ms=0", "AWS_CA_BUNDLE": "",
	} {
		e.Setenv(name, value)
	}
	if err := os.Mkdir(filepath.Join(server.data, e.Getenv("BUCKET")), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(e.WorkDir, "ca.pem"),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: record.secure.Certificate().Raw}), 0o644); err != nil {
		return err
	}
	e.Defer(func() { endMounts(e.WorkDir) })
	return nil
}

// endMounts takes away what a script that failed left behind, before its directory is removed.
func endMounts(dir string) {
	mounts, err := readMounts()
	if err != nil {
		return
	}
	for _, m := range mounts {
		if strings.HasPrefix(m.dir, dir+"/") {
			_ = unix.Unmount(m.dir, unix.MNT_DETACH)
		}
	}
}

const (
	serverKey    = "testkey"
	serverSecret = "very-secret"
)

// testServer is VersityGW over a directory.
type testServer struct{ address, data string }

func startServer(t *testing.T) *testServer {
	t.Helper()
	tools := os.Getenv("OBJMOUNT_TOOLS")
	if tools == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Skip(err)
		}
		tools = filepath.Join(cache, "objmount-tools")
	}
	program := filepath.Join(tools, "versitygw")
	if _, err := os.Stat(program); err != nil {
		t.Skipf("%v; make tools builds it", err)
	}
	dir := t.TempDir()
	s := &testServer{closedPort(t), filepath.Join(dir, "data")}
	if err := os.Mkdir(s.data, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--port", s.address, "--keep-alive", "--quiet", "--health", "/health", "posix", s.data)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+serverKey, "ROOT_SECRET_KEY="+serverSecret)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		resp, err := client.Get("http://" + s.address + "/health")
		if err == nil {
			resp.Body.Close()
			return s
		}
		if time.Now().After(end) {
			t.Fatalf("the server does not answer: %v", err)
		}
	}
}

// gate stands before the server: scripts close it.
type gate struct {
	listener net.Listener
	work     sync.WaitGroup

	mu   sync.Mutex
	shut bool
	open map[net.Conn]struct{}
}

func newGate(to string) (*gate, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g := &gate{listener: l, open: map[net.Conn]struct{}{}}
	g.work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			g.work.Go(func() { g.forward(c, to) })
		}
	})
	return g, nil
}

func (g *gate) address() string { return g.listener.Addr().String() }

func (g *gate) forward(c net.Conn, to string) {
	defer c.Close()
	if !g.enter(c) {
		return
	}
	defer g.leave(c)
	up, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer up.Close()
	g.work.Go(func() {
		_, _ = io.Copy(up, c)
		up.Close()
	})
	_, _ = io.Copy(c, up)
}

func (g *gate) enter(c net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.shut {
		g.open[c] = struct{}{}
	}
	return !g.shut
}

func (g *gate) leave(c net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.open, c)
}

// set shuts the gate, which cuts what goes through it, or opens it.
func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
	for c := range g.open {
		if shut {
			c.Close()
		}
	}
}

func (g *gate) close() {
	g.listener.Close()
	g.set(true)
	g.work.Wait()
}

// recorder is a store with one empty bucket that notes who asks and how: a line for each request.
// It is a proxy too: what it is asked for, it answers itself.
type recorder struct {
	plain, secure *httptest.Server

	mu    sync.Mutex
	lines []string
}

func newRecorder() *recorder {
	r := &recorder{}
	r.plain, r.secure = httptest.NewServer(r), httptest.NewUnstartedServer(r)
	r.secure.Config.ErrorLog = log.New(io.Discard, "", 0) // who does not trust it, says so
	r.secure.StartTLS()
	return r
}

func (r *recorder) close() { r.plain.Close(); r.secure.Close() }

func (r *recorder) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	// AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/s3/aws4_request, ...
	_, scope, _ := strings.Cut(q.Header.Get("Authorization"), "Credential=")
	key, rest, _ := strings.Cut(scope, "/")
	_, rest, _ = strings.Cut(rest, "/")
	where, _, _ := strings.Cut(rest, "/")
	r.mu.Lock()
	r.lines = append(r.lines, fmt.Sprintf("%s host=%s path=%s key=%s region=%s tls=%v", q.Method, q.Host, q.URL.Path, key, where, q.TLS != nil))
	r.mu.Unlock()
	if q.Method == http.MethodGet && q.URL.Query().Get("list-type") == "2" {
		w.Header().Set("Content-Type", "application/xml")
		fmt.Fprintf(w, "<ListBucketResult><Name>b</Name><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>")
		return
	}
	w.WriteHeader(http.StatusNotFound)
}

// requestsCommand: requests WORD...: there were requests since the last call, and each contains
// all of these words. A * at the end of a word stands for the rest of it.
func requestsCommand(ts *testscript.TestScript, neg bool, args []string) {
	r, ok := ts.Value(recorderKey{}).(*recorder)
	if !ok || len(args) == 0 || neg {
		ts.Fatalf("usage: requests WORD...")
	}
	r.mu.Lock()
	lines := r.lines
	r.lines = nil
	r.mu.Unlock()
	if len(lines) == 0 {
		ts.Fatalf("no request was sent")
	}
	for _, l := range lines {
		for _, word := range args {
			if start, open := strings.CutSuffix(word, "*"); !strings.Contains(l+" ", start+map[bool]string{false: " "}[open]) {
				ts.Fatalf("%q does not contain %q", l, word)
			}
		}
	}
}

// storeCommand: store up, store down.
func storeCommand(ts *testscript.TestScript, neg bool, args []string) {
	g, ok := ts.Value(gateKey{}).(*gate)
	if !ok || neg || len(args) != 1 || args[0] != "up" && args[0] != "down" {
		ts.Fatalf("usage: store up|down")
	}
	g.set(args[0] == "down")
}

// tookCommand: took LOW HIGH PROGRAM ARGS...: the program, succeeding or (with !) failing, takes between these many seconds.
func tookCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: [!] took LOW HIGH PROGRAM ARGS...")
	}
	var limits [2]float64
	for i := range limits {
		var err error
		limits[i], err = strconv.ParseFloat(args[i], 64)
		ts.Check(err)
	}
	start := time.Now()
	err := ts.Exec(args[2], args[3:]...)
	took := time.Since(start).Seconds()
	if (err != nil) != neg {
		ts.Fatalf("%v: %v", args[2:], err)
	}
	if took < limits[0] || took > limits[1] {
		ts.Fatalf("%v took %.2f s", args[2:], took)
	}
}

// mountedCommand: [!] mounted DIR [OPTION...]: objmount is mounted there, the kernel lists these options.
func mountedCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 || neg && len(args) > 1 {
		ts.Fatalf("usage: [!] mounted DIR [OPTION...]")
	}
	text, err := os.ReadFile("/proc/self/mounts")
	ts.Check(err)
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 3 && f[1] == ts.MkAbs(args[0]) && f[2] == fsType {
			if neg {
				ts.Fatalf("%s is mounted: %s", args[0], line)
			}
			for _, o := range args[1:] {
				if !strings.Contains(","+f[3]+",", ","+o+",") {
					ts.Fatalf("no option %s: %s", o, line)
				}
			}
			return
		}
	}
	if !neg {
		ts.Fatalf("%s is not mounted", args[0])
	}
}

// untilCommand: until SECONDS PROGRAM ARGS...: the program succeeds within this time, tried again and again.
func untilCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until SECONDS PROGRAM ARGS...")
	}
	seconds, err := strconv.ParseFloat(args[0], 64)
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(seconds*float64(time.Second)))
	defer cancel()
	for {
		err := ts.Exec(args[1], args[2:]...)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("%v: %v", args[1:], err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
