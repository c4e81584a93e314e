package test

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// foreign is another S3 client than ours: boto3, in a Python process (testdata/foreign.py).
type foreign struct {
	mu  sync.Mutex // one request at a time
	in  *json.Encoder
	out *bufio.Reader
}

// An object as the foreign client sees it.
type object struct {
	Size        int64             `json:"size"`
	SHA256      string            `json:"sha256"`
	Metadata    map[string]string `json:"metadata"`
	ContentType string            `json:"content_type"`
}

// pythonWithBoto3 looks where tools.sh looks: the user's Python, then the system's.
func pythonWithBoto3() (string, error) {
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import boto3").Run() == nil {
			return python, nil
		}
	}
	return "", errors.New("no python3 with boto3; `make tools` installs it")
}

func startForeign(w *world, endpoint string, environment []string) (*foreign, error) {
	python, err := pythonWithBoto3()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(python, "testdata/foreign.py", endpoint)
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+accessKey, "AWS_SECRET_ACCESS_KEY="+secretKey,
		"AWS_DEFAULT_REGION="+region, "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull,
		"AWS_EC2_METADATA_DISABLED=true", "PYTHONDONTWRITEBYTECODE=1")
	cmd.Env = append(cmd.Env, environment...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := startChild(cmd, syscall.SIGKILL); err != nil {
		return nil, err
	}
	w.atEnd(func() { in.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return &foreign{in: json.NewEncoder(in), out: bufio.NewReader(out)}, nil
}

// ask sends one request and decodes the answer into reply.
func (f *foreign) ask(request map[string]any, reply any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.in.Encode(request); err != nil {
		return err
	}
	line, err := f.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("the foreign client ended: %w", err)
	}
	var failed struct{ Error string }
	if err := json.Unmarshal(line, &failed); err != nil {
		return err
	}
	if failed.Error != "" {
		return fmt.Errorf("foreign client, %v: %s", request["op"], failed.Error)
	}
	return json.Unmarshal(line, reply)
}

func (s *store) ask(t testing.TB, request map[string]any, reply any) {
	t.Helper()
	f, err := s.foreign()
	if err == nil {
		err = f.ask(request, reply)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// snapshot reads every object below a prefix.
func (s *store) snapshot(t testing.TB, bucket, prefix string) map[string]object {
	t.Helper()
	var reply struct{ Objects map[string]object }
	s.ask(t, map[string]any{"op": "snapshot", "bucket": bucket, "prefix": prefix}, &reply)
	return reply.Objects
}

// put stores data under a key as another client would.
func (s *store) put(t testing.TB, bucket, key string, data []byte) (etag string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	var reply struct{ ETag string }
	s.ask(t, map[string]any{"op": "put", "bucket": bucket, "key": key, "file": file, "metadata": nil}, &reply)
	return reply.ETag
}

// get reads an object as another client would.
func (s *store) get(t testing.TB, bucket, key string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "body")
	s.ask(t, map[string]any{"op": "get", "bucket": bucket, "key": key, "file": file}, &struct{}{})
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// remove deletes an object as another client would.
func (s *store) remove(t testing.TB, bucket, key string) {
	t.Helper()
	s.ask(t, map[string]any{"op": "delete", "bucket": bucket, "key": key}, &struct{}{})
}

// boto calls a method of boto3's S3 client ("put_object_tagging") with its arguments, and decodes what it
// answers into reply, which may be nil. Bytes and times travel as testdata/foreign.py says: see botoBytes and botoTime.
func (s *store) boto(t testing.TB, method string, args map[string]any, reply any) {
	t.Helper()
	if err := s.tryBoto(method, args, reply); err != nil {
		t.Fatal(err)
	}
}

// tryBoto is boto for calls that may fail; the error has boto3's words.
func (s *store) tryBoto(method string, args map[string]any, reply any) error {
	f, err := s.foreign()
	if err != nil {
		return err
	}
	if reply == nil {
		reply = &struct{}{}
	}
	return f.ask(map[string]any{"op": "call", "method": method, "args": args}, reply)
}

// botoBytes and botoTime are values of arguments.
func botoBytes(b []byte) map[string][]byte { return map[string][]byte{"__bytes__": b} }

func botoTime(at time.Time) map[string]string {
	return map[string]string{"__time__": at.UTC().Format("2006-01-02T15:04:05.000000Z")}
}

// newVersionedBucket makes a bucket that keeps versions.
func (s *store) newVersionedBucket(t testing.TB) string {
	t.Helper()
	bucket := s.newBucket(t)
	s.boto(t, "put_bucket_versioning", map[string]any{"Bucket": bucket, "VersioningConfiguration": map[string]any{"Status": "Enabled"}}, nil)
	return bucket
}

// newLockBucket makes a bucket with object lock, and so with versions; new objects are not locked.
func (s *store) newLockBucket(t testing.TB) string {
	t.Helper()
	bucket := "l-" + strings.ToLower(rand.Text()[:12])
	s.boto(t, "create_bucket", map[string]any{"Bucket": bucket, "ObjectLockEnabledForBucket": true}, nil)
	return bucket
}
