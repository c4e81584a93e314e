package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// A child that has this variable set is the server and not the test.
const asServer = "OBJMOUNT_DEMO_TEST_SERVER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(asServer); dir != "" {
		os.Args = []string{"objmount-demo-server", "-dir", dir}
		main()
		return
	}
	os.Exit(m.Run())
}

// child is a server process under test.
type child struct {
	ready  Ready
	cmd    *exec.Cmd
	stdin  io.Closer
	stdout *bufio.Reader
	exited chan error
}

// start runs a server in the working directory wd over dir, which may be relative to it.
func start(t *testing.T, wd, dir string) *child {
	t.Helper()
	c := &child{cmd: exec.Command(os.Args[0]), exited: make(chan error, 1)}
	c.cmd.Dir, c.cmd.Env, c.cmd.Stderr = wd, append(os.Environ(), asServer+"="+dir), os.Stderr
	in, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.stdin, c.cmd.Stdout, c.stdout = in, w, bufio.NewReader(r)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	go func() { c.exited <- c.cmd.Wait() }()
	t.Cleanup(func() { in.Close(); c.wait(t); r.Close() })
	line, err := c.stdout.ReadBytes('\n')
	if err != nil {
		t.Fatalf("the server printed no line: %v", err)
	}
	if err := json.Unmarshal(line, &c.ready); err != nil {
		t.Fatalf("%q is not JSON: %v", line, err)
	}
	return c
}

// wait returns how the server ended; it must be soon.
func (c *child) wait(t *testing.T) {
	t.Helper()
	select {
	case err := <-c.exited:
		if err != nil {
			t.Errorf("the server ended with %v", err)
		}
		c.exited <- nil
	case <-time.After(5 * time.Second):
		_ = c.cmd.Process.Kill()
		t.Error("the server did not end")
	}
}

func (c *child) client(key, secret string) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(c.ready.Endpoint), Region: c.ready.Region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(key, secret, ""),
	})
}

func TestObjectsSurviveARestart(t *testing.T) {
	ctx, wd := context.Background(), t.TempDir()
	first := start(t, wd, "data") // relative: the library changes its directory
	client := first.client(first.ready.AccessKeyID, first.ready.SecretAccessKey)
	if _, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("demo")}); err != nil {
		t.Fatal(err)
	}
	want := []byte("an object\n")
	if _, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("demo"), Key: aws.String("a/b"), Body: bytes.NewReader(want)}); err != nil {
		t.Fatal(err)
	}
	first.stdin.Close()
	first.wait(t)
	if rest, _ := io.ReadAll(first.stdout); len(rest) != 0 {
		t.Errorf("standard output has more than the ready line: %q", rest)
	}

	second := start(t, wd, filepath.Join(wd, "data"))
	if first.ready.SecretAccessKey != second.ready.SecretAccessKey {
		t.Error("the second start made new keys")
	}
	if first.ready.Endpoint != second.ready.Endpoint {
		t.Errorf("the second start is at %s, the first was at %s", second.ready.Endpoint, first.ready.Endpoint)
	}
	got, err := second.client(second.ready.AccessKeyID, second.ready.SecretAccessKey).
		GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("demo"), Key: aws.String("a/b")})
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	if data, err := io.ReadAll(got.Body); err != nil || !bytes.Equal(data, want) {
		t.Errorf("read %q, %v; want %q", data, err, want)
	}
	if data, err := os.ReadFile(filepath.Join(wd, "data/store/demo/a/b")); err != nil || !bytes.Equal(data, want) {
		t.Errorf("the file of the object holds %q, %v", data, err)
	}
}

func TestKeysAreNeeded(t *testing.T) {
	server := start(t, t.TempDir(), "data")
	_, err := server.client(server.ready.AccessKeyID, "wrong").ListBuckets(context.Background(), &s3.ListBucketsInput{})
	if err == nil {
		t.Error("a wrong secret was accepted")
	}
	if !strings.HasPrefix(server.ready.Endpoint, "http://127.0.0.1:") {
		t.Errorf("the server listens at %s, which is not only this machine", server.ready.Endpoint)
	}
	info, err := os.Stat(server.ready.CredentialsFile)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("credentials file: %v, %v; want mode 0600", info, err)
	}
}

func TestSignals(t *testing.T) {
	server := start(t, t.TempDir(), "data")
	if err := server.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-server.exited:
		t.Fatal("an interrupt ended a server that has a pipe as standard input")
	case <-time.After(200 * time.Millisecond):
	}
	if err := server.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	server.wait(t)
}

func TestEmptyCredentialsFileIsAnError(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "credentials"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if k, err := loadKeys(dir); err == nil {
		t.Errorf("loadKeys of an empty file = %v, want an error", k)
	}
}
