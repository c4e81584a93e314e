// Command objmount-demo-server is a small S3 server over a local directory, for the demo and
// for trying objmount without an account anywhere: VersityGW's library, one store, on a free
// port of the loopback interface.
//
//	objmount-demo-server -dir DIR
//
// DIR/store holds a folder per bucket and a plain file per object, DIR/versions older versions
// (when a bucket keeps them), DIR/credentials the keys: random, made at the first start, in the
// form of ~/.aws/credentials, readable by the owner only.
//
// When it serves, it prints one line of JSON on standard output (type Ready) and nothing else,
// ever. It ends at SIGTERM, when its parent process ends, at the end of standard input if that
// is a pipe, and at an interrupt if that is not: under a script, Ctrl-C reaches the whole
// process group, and the mount needs the store a little longer.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const loopback = "127.0.0.1:"

// Ready is what the server prints once it answers.
type Ready struct {
	Endpoint        string `json:"endpoint"`
	Region          string `json:"region"`
	AccessKeyID     string `json:"access_key_id"`
	SecretAccessKey string `json:"secret_access_key"`
	CredentialsFile string `json:"credentials_file"`
	Dir             string `json:"dir"`
}

func init() {
	// The parent-death signal belongs to the thread that asks for it: it has to be one that
	// stays, so main keeps this one.
	runtime.LockOSThread()
}

func main() {
	dir := flag.String("dir", "", "`directory` of the store; made when missing")
	flag.Parse()
	if *dir == "" || flag.NArg() != 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*dir); err != nil {
		fmt.Fprintln(os.Stderr, "objmount-demo-server:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	parent := os.Getppid()
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGTERM), 0, 0, 0); err != nil {
		return fmt.Errorf("asking for a signal when the parent ends: %w", err)
	}
	if os.Getppid() != parent {
		return errors.New("the parent process has ended")
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	stopOnSignal(stop)

	// Absolute before anything else: the server changes its working directory.
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	out, err := silenceStdout()
	if err != nil {
		return err
	}
	k, err := loadKeys(dir)
	if err != nil {
		return err
	}
	return serve(ctx, dir, k, func(endpoint string) error {
		return json.NewEncoder(out).Encode(Ready{
			Endpoint: endpoint, Region: region,
			AccessKeyID: k.id, SecretAccessKey: k.secret, CredentialsFile: k.path, Dir: dir,
		})
	})
}

// stopOnSignal calls stop at the first reason to end.
func stopOnSignal(stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	info, err := os.Stdin.Stat()
	if err == nil && info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0 {
		signal.Ignore(syscall.SIGINT, syscall.SIGHUP)
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin) // an error ends it like the end of input
			stop()
		}()
	} else {
		signal.Notify(signals, syscall.SIGINT, syscall.SIGHUP)
	}
	go func() {
		<-signals
		stop()
	}()
}

// silenceStdout returns the real standard output and sends what the library prints to nowhere.
func silenceStdout() (*os.File, error) {
	fd, err := unix.FcntlInt(os.Stdout.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("standard output: %w", err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	if err := unix.Dup3(int(null.Fd()), 1, 0); err != nil {
		return nil, fmt.Errorf("standard output: %w", err)
	}
	return os.NewFile(uintptr(fd), "stdout"), nil
}

// freeAddress returns an address of the loopback interface that nobody listened on a moment
// ago: the one in file, where the last run wrote it, if it is free, so that a mount that was
// interrupted finds its store again.
func freeAddress(file string) (string, error) {
	last, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(string(last), loopback) {
		last = []byte(loopback + "0")
	}
	l, err := net.Listen("tcp", string(last))
	if err != nil {
		if l, err = net.Listen("tcp", loopback+"0"); err != nil {
			return "", err
		}
	}
	defer l.Close()
	address := l.Addr().String()
	return address, os.WriteFile(file, []byte(address), 0o600)
}
