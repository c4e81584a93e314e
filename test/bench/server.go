package main

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sys/unix"
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
	stop    func()
}

func startServer(ctx context.Context, tools, dir string) (*server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{address: listener.Addr().String(), data: filepath.Join(dir, "data"), files: map[int]string{}}
	listener.Close()
	if err := os.MkdirAll(s.data, 0o755); err != nil {
		return nil, err
	}
	cmd := exec.Command(filepath.Join(tools, "versitygw"), "--port", s.address, "--keep-alive", "--quiet", "--health", "/health", "posix", s.data)
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

// seed puts an object of n random bytes into a bucket's folder. All seeds of one size share an
// inode: the store replaces files and never changes them.
func (s *server) seed(folder, key string, n int) error {
	if s.files[n] == "" {
		f, err := os.CreateTemp(filepath.Dir(s.data), "seed")
		if err != nil {
			return err
		}
		defer f.Close()
		sum, source := md5.New(), mathrand.NewChaCha8([32]byte{byte(n)})
		buffer := make([]byte, min(n, 1<<20))
		for left := n; left > 0; left -= len(buffer) {
			buffer = buffer[:min(left, len(buffer))]
			_, _ = source.Read(buffer) // never fails
			sum.Write(buffer)
			if _, err := f.Write(buffer); err != nil {
				return err
			}
		}
		if err := unix.Fsetxattr(int(f.Fd()), "user.etag", []byte(hex.EncodeToString(sum.Sum(nil))), 0); err != nil {
			return err
		}
		s.files[n] = f.Name()
	}
	name := filepath.Join(folder, key)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	err := os.Link(s.files[n], name)
	if err != nil && !os.IsExist(err) { // too many links: start another file
		delete(s.files, n)
		return s.seed(folder, key, n)
	}
	return err
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
