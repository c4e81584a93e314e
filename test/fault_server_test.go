package test

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// An ownServer is a store of one test, which can be stopped, killed and started again at the same address.
type ownServer struct {
	*testing.T
	store   *store
	address string
	command func() *exec.Cmd
	cmd     *exec.Cmd
}

func newOwnServer(t *testing.T, name string) *ownServer {
	t.Helper()
	openStore(t, name) // it is there, and this is no short run
	dir := newState(t)
	for _, d := range []string{"data", "versions", "certs"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &ownServer{T: t, address: listener.Addr().String()}
	listener.Close()
	s.command = func() *exec.Cmd {
		cmd := exec.Command(filepath.Join(shared.tools, name), "server", "--quiet", "--address", s.address, "--certs-dir", filepath.Join(dir, "certs"), filepath.Join(dir, "data"))
		if name == "versitygw" {
			cmd = exec.Command(cmd.Path, "--port", s.address, "--keep-alive", "--quiet", "posix", "--versioning-dir", filepath.Join(dir, "versions"), filepath.Join(dir, "data"))
		}
		cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+accessKey, "ROOT_SECRET_KEY="+secretKey, "MINIO_ROOT_USER="+accessKey, "MINIO_ROOT_PASSWORD="+secretKey,
			"MINIO_BROWSER=off", "MINIO_UPDATE=off", "HOME="+dir)
		return cmd
	}
	s.start()
	s.store = newStore(shared, nil, name, "http://"+s.address)
	t.Cleanup(s.kill)
	return s
}

// start returns when the server answers.
func (s *ownServer) start() {
	s.Helper()
	s.cmd = s.command()
	if err := startChild(s.cmd, syscall.SIGKILL); err != nil {
		s.Fatal(err)
	}
	client := newClient("http://"+s.address, &http.Client{Timeout: time.Second})
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		_, err := client.ListBuckets(context.Background(), &s3.ListBucketsInput{})
		if err == nil {
			return
		}
		if time.Now().After(end) {
			s.Fatalf("the server does not answer: %v", err)
		}
	}
}

// kill ends the server: connections are refused from now on.
func (s *ownServer) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// stop leaves the connections open: whoever connects is accepted by the kernel, and answered by nobody.
func (s *ownServer) stop() { s.signal(syscall.SIGSTOP) }
func (s *ownServer) goOn() { s.signal(syscall.SIGCONT) }

func (s *ownServer) signal(signal syscall.Signal) {
	s.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		s.Error(err)
	}
}

// soaking tells whether there are minutes.
func soaking() bool { return os.Getenv("OBJMOUNT_SOAK") != "" }
