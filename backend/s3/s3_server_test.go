package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/backendtest"
)

const testKey, testSecret = "testkey", "testsecret"

// server is a real object store.
type server struct {
	name     string // of the vendor
	endpoint string
	key      string
	secret   string
}

// servers returns the stores to test: the one that OBJMOUNT_TEST_ENDPOINT names (its vendor
// in OBJMOUNT_TEST_STORE, credentials from the environment), else those of `make tools`.
func servers(*testing.T) []func(testing.TB) server {
	if endpoint := os.Getenv("OBJMOUNT_TEST_ENDPOINT"); endpoint != "" {
		return []func(testing.TB) server{func(testing.TB) server {
			return server{os.Getenv("OBJMOUNT_TEST_STORE"), endpoint, os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")}
		}}
	}
	return []func(testing.TB) server{sharedVersityGW, sharedMinIO}
}

// eachServer runs a subtest on every store, with a new bucket.
func eachServer(t *testing.T, run func(t *testing.T, srv server, store *Store, bucket string)) {
	for _, start := range servers(t) {
		srv := start(t)
		t.Run(srv.name, func(t *testing.T) {
			store := openStore(t, srv, Config{})
			bucket := "objmount-test-" + randomHex()
			if err := store.CreateBucket(t.Context(), bucket); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { store.DeleteBucket(context.Background(), bucket) })
			run(t, srv, store, bucket)
		})
	}
}

func randomHex() string {
	var b [6]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// openStore opens a store with static credentials, whatever the environment says.
func openStore(t testing.TB, srv server, cfg Config) *Store {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", srv.key)
	t.Setenv("AWS_SECRET_ACCESS_KEY", srv.secret)
	t.Setenv("AWS_SESSION_TOKEN", "")
	cfg.Endpoint = srv.endpoint
	store, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

// tool returns the path of a server that `make tools` installs.
func tool(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("OBJMOUNT_TOOLS")
	if dir == "" {
		cache := os.Getenv("XDG_CACHE_HOME")
		if cache == "" {
			cache = filepath.Join(os.Getenv("HOME"), ".cache")
		}
		dir = filepath.Join(cache, "objmount-tools")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s is not there: run `make tools`, or set OBJMOUNT_TEST_ENDPOINT to a store", path)
	}
	return path
}

func freeAddress(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start runs a server until the test ends, and waits until its health URL answers.
func start(t testing.TB, health string, env []string, path string, args ...string) {
	t.Helper()
	startAsked(t, http.DefaultClient, health, env, path, args...)
}

// startAsked is start with a client for the health URL.
func startAsked(t testing.TB, client *http.Client, health string, env []string, path string, args ...string) {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), env...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	exited := make(chan error, 1)
	if err := startOnThread(cmd, exited); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-exited
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if resp, err := client.Get(health); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case err := <-exited:
			exited <- err
			t.Fatalf("%s ended: %v\n%s", path, err, log.String())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not get ready", path)
		}
	}
}

// startOnThread starts cmd from a thread that lives as long as it: the kernel sends the parent-death signal when that thread ends.
func startOnThread(cmd *exec.Cmd, exited chan<- error) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			exited <- cmd.Wait()
		}
	}()
	return <-started
}

func startVersityGW(t testing.TB) server {
	addr, dir := freeAddress(t), t.TempDir()
	data, versions := filepath.Join(dir, "data"), filepath.Join(dir, "versions")
	for _, d := range []string{data, versions} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	start(t, "http://"+addr+"/health", []string{"ROOT_ACCESS_KEY=" + testKey, "ROOT_SECRET_KEY=" + testSecret},
		tool(t, "versitygw"), "--port", addr, "--keep-alive", "--quiet", "--health", "/health", "posix", "--versioning-dir", versions, data)
	return server{vendorVersityGW, "http://" + addr, testKey, testSecret}
}

func startMinIO(t testing.TB) server {
	addr, dir := freeAddress(t), t.TempDir()
	start(t, "http://"+addr+"/minio/health/ready",
		[]string{"MINIO_ROOT_USER=" + testKey, "MINIO_ROOT_PASSWORD=" + testSecret, "MINIO_BROWSER=off", "MINIO_UPDATE=off",
			"MINIO_API_SELECT_PARQUET=on", "MINIO_KMS_SECRET_KEY=objmount-key:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="},
		tool(t, "minio"), "server", "--quiet", "--address", addr, "--certs-dir", filepath.Join(dir, "none"), filepath.Join(dir, "data"))
	return server{vendorMinIO, "http://" + addr, testKey, testSecret}
}

// TestConformance holds every server to what the package claims of it.
func TestConformance(t *testing.T) {
	eachServer(t, func(t *testing.T, _ server, store *Store, bucket string) {
		backendtest.Run(t, func(*testing.T) (backend.Store, string) { return store, bucket }, backendtest.LockBuckets(lockBuckets(store)))
	})
}
