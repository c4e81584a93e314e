package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

const (
	accessKey = "benchkey"
	secretKey = "benchsecret"
	region    = "us-east-1"
)

// A server is VersityGW over a directory. What clients shall find is put there as files, which takes
// no time; what they wrote is read there.
type server struct {
	address string // host:port
	data    string
	files   map[int]string // seeds by size, see seed
	log     string         // of requests; empty: there is none
	logged  int64          // bytes of it that takeRequests has seen
	stop    func()
}

// startServer starts a store with a folder in dir. With count, it logs its requests for takeRequests.
func startServer(ctx context.Context, tools, dir string, count bool) (*server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{address: listener.Addr().String(), data: filepath.Join(dir, "data"), files: map[int]string{}}
	listener.Close()
	if err := os.MkdirAll(s.data, 0o755); err != nil {
		return nil, err
	}
	args := []string{"--port", s.address, "--keep-alive", "--quiet", "--health", "/health"}
	if count {
		s.log = filepath.Join(dir, "requests")
		args = append(args, "--access-log", s.log)
	}
	cmd := exec.Command(filepath.Join(tools, "versitygw"), append(args, "posix", s.data)...)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+accessKey, "ROOT_SECRET_KEY="+secretKey)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt is for the bench first
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w; `make tools` builds it", err)
	}
	s.stop = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	for range 500 {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+"/health", nil)
		if err != nil {
			return nil, err
		}
		if reply, err := http.DefaultClient.Do(request); err == nil {
			reply.Body.Close()
			s.takeRequests()
			return s, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	s.stop()
	return nil, fmt.Errorf("versitygw does not answer")
}

// newBucket makes an empty bucket and returns its name and its folder.
func (s *server) newBucket(ctx context.Context) (name, folder string, err error) {
	name = "b-" + strings.ToLower(rand.Text()[:12])
	_, err = bareClient("http://"+s.address).CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &name})
	return name, filepath.Join(s.data, name), err
}

// bareClient is the SDK's client as the limit row uses it.
func bareClient(endpoint string) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: &endpoint, Region: region, UsePathStyle: true,
		Credentials:                credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
		HTTPClient:                 &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}},
	})
}

// takeRequests says how many requests of each kind the store has got since the last call; nothing
// where it does not log them.
func (s *server) takeRequests() string {
	if s.log == "" {
		return ""
	}
	f, err := os.Open(s.log)
	if err != nil {
		return ""
	}
	defer f.Close()
	if _, err := f.Seek(s.logged, io.SeekStart); err != nil {
		return ""
	}
	counts := map[string]int{}
	lines := bufio.NewReader(f)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break
		}
		s.logged += int64(len(line))
		if at := operation.FindString(line); at != "" {
			counts[at]++
		}
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[name], strings.TrimPrefix(name, "s3_")))
	}
	return strings.Join(parts, ", ")
}

// operation as the store's log has it.
var operation = regexp.MustCompile(`\b(REST|s3)[._][A-Za-z._]+`)
