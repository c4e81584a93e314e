package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// leakChecked fails when tests leave goroutines behind.
type leakChecked struct{ m *testing.M }

func (l leakChecked) Run() int {
	code := l.m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

func TestMain(m *testing.M) {
	program := func() { os.Exit(run(os.Args)) }
	testscript.Main(leakChecked{m}, map[string]func(){
		"objmount": program, "mount.objmount": program, "mount.fuse.objmount": program, "umount.fuse.objmount": program,
	})
}

// refusals are what the fake store answers, by bucket.
var refusals = map[string]struct {
	status int
	code   string
}{
	"missing":   {404, "NoSuchBucket"},
	"denied":    {403, "AccessDenied"},
	"signature": {403, "SignatureDoesNotMatch"},
	"unknown":   {403, "InvalidAccessKeyId"},
	"slow":      {503, "SlowDown"},
	"odd":       {400, "InvalidBucketName"},
}

func refuse(w http.ResponseWriter, r *http.Request) {
	bucket := strings.Trim(r.URL.Path, "/")
	if bucket == "" {
		bucket = "denied" // of all buckets
	}
	answer, ok := refusals[bucket]
	if !ok {
		answer.status, answer.code = 500, "InternalError"
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(answer.status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>the fake store says so.</Message><RequestId>1</RequestId></Error>", answer.code)
}

// closedPort is a port where nobody listens.
func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestScripts(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(refuse))
	t.Cleanup(server.Close)
	closed := closedPort(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			for _, v := range []string{"HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"} {
				e.Setenv(v, e.WorkDir+"/local")
			}
			e.Setenv("GORACE", "atexit_sleep_ms=0") // else every process sleeps a second at its end
			e.Setenv("AWS_ACCESS_KEY_ID", "key")
			e.Setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
			e.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			e.Setenv("STORE", server.URL)
			e.Setenv("CLOSED", "http://"+closed)
			return nil
		},
		Condition: func(name string) (bool, error) {
			switch name {
			case "fuse":
				return checkFUSE(false) == nil, nil
			case "root":
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"fails": fails},
	})
}

// fails CODE PATTERN PROGRAM ARGS...: the program must end with this exit status, print nothing
// on standard output, and exactly one line that matches on standard error.
func fails(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: fails CODE PATTERN PROGRAM ARGS...")
	}
	code, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[2], args[3:]...)
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != code {
		ts.Fatalf("%q ended with %v, want exit status %d", args[2:], err, code)
	}
	if out := ts.ReadFile("stdout"); out != "" {
		ts.Fatalf("standard output: %q", out)
	}
	line := ts.ReadFile("stderr")
	if !strings.HasPrefix(line, "objmount: ") || strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") {
		ts.Fatalf("an error is one line that begins with the program's name, got %q", line)
	}
	if strings.Contains(line, "very-secret") {
		ts.Fatalf("a secret in %q", line)
	}
	match, err := regexp.MatchString(args[1], line)
	ts.Check(err)
	if !match {
		ts.Fatalf("%q does not match %q", line, args[1])
	}
}
