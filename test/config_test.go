package test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// profiles are credentials files of AWS: those that the servers know, and others.
const profiles = `[lab]
aws_access_key_id = ` + accessKey + `
aws_secret_access_key = ` + secretKey + `
[nobody]
aws_access_key_id = nobody
aws_secret_access_key = nothing
`

// noKeys are the keys of the environment taken away.
var noKeys = []string{"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY="}

// configuredWith is configured with profiles beside the file.
func configuredWith(t testing.TB, text string) (state string) {
	t.Helper()
	state = configured(t, text)
	if err := os.WriteFile(filepath.Join(state, "config", "objmount", "profiles"), []byte(profiles), 0o600); err != nil {
		t.Fatal(err)
	}
	return state
}

// bareCommand runs a command in the environment of a state directory, without a mount.
func bareCommand(t testing.TB, state string, env []string, args ...string) ctlAnswer {
	t.Helper()
	binary, err := shared.binary()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), unmountTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir, cmd.Env = state, append((&mount{options: mountOptions{state: state}}).environment(), env...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	_ = cmd.Run() // the exit code says it
	if ctx.Err() != nil {
		t.Fatalf("objmount %q does not end\n%s", args, &problems)
	}
	return ctlAnswer{out.String(), problems.String(), cmd.ProcessState.ExitCode()}
}

// TestRemotesOfTheFile: which store a bucket is in, and whose credentials are used, is in the file alone.
func TestRemotesOfTheFile(t *testing.T) {
	t.Parallel()
	two := openTwoStores(t)
	two.each(func(_ string, s *store) { covers(t, s, "config.remotes") })
	routed := two.bucket + "-lab"
	two.minio.boto(t, "create_bucket", map[string]any{"Bucket": routed}, nil)
	state := configuredWith(t, fmt.Sprintf(`
default-remote = "gate"
[mount]
commit = "background"
[remote.gate]
endpoint-url = %[1]q
region = "us-east-1"
credentials-file = "profiles"
profile = "lab"
[remote.minio]
endpoint-url = %[2]q
vendor = "minio"
credentials-file = "profiles"
profile = "lab"
buckets = ["%[3]s-*"]
[remote.stranger]
endpoint-url = %[2]q
credentials-file = "profiles"
profile = "nobody"
`, two.vgw.endpoint, two.minio.endpoint, two.bucket))
	for _, test := range []struct {
		source, bucket string
		args           []string
		in             *store
	}{
		{"minio:" + two.bucket, two.bucket, nil, two.minio},
		{"s3://" + two.bucket + "/dir", two.bucket, nil, two.vgw},
		{"s3://" + routed, routed, nil, two.minio},
		{"s3://" + two.bucket, two.bucket, []string{"--remote=minio"}, two.minio},
		{"gate:", two.bucket, []string{"-o", "commit=close"}, two.vgw},
	} {
		m := newMount(t, mountOptions{source: test.source, state: state, byFile: true, args: test.args, env: noKeys})
		name, key := "file", strings.TrimPrefix(strings.TrimPrefix(test.source, "s3://"), test.bucket+"/")+"/file"
		if test.source != "s3://"+two.bucket+"/dir" {
			key = name
		}
		if test.source == "gate:" {
			name = test.bucket + "/file"
		}
		if err := os.WriteFile(m.in(name), []byte(test.source), 0o600); err != nil {
			t.Fatal(err)
		}
		status := decode[struct {
			Commit     string `json:"commit"`
			ConfigFile string `json:"config_file"`
			Remote     string `json:"remote"`
		}](t, m.must("status", "--json", m.dir))
		remote := map[*store]string{two.vgw: "gate", two.minio: "minio"}[test.in]
		if status.Remote != remote || status.ConfigFile != filepath.Join(state, "config/objmount/config.toml") || (status.Commit == "background") == (test.source == "gate:") {
			t.Errorf("%s: %+v", test.source, status)
		}
		m.unmount()
		two.each(func(_ string, s *store) {
			there := s.tryBoto("head_object", map[string]any{"Bucket": test.bucket, "Key": key}, nil) == nil
			if there != (s == test.in) {
				t.Errorf("%s: %s is in %s: %v", test.source, key, s.name, there)
			}
		})
		test.in.boto(t, "delete_object", map[string]any{"Bucket": test.bucket, "Key": key}, nil)
	}
	two.withoutAMount(t, state)
}

// withoutAMount does the same by ctl.
func (two *twoStores) withoutAMount(t *testing.T, state string) {
	t.Helper()
	run := func(args ...string) ctlAnswer { return bareCommand(t, state, noKeys, args...) }
	must := func(args ...string) string {
		t.Helper()
		a := run(args...)
		if a.code != 0 {
			t.Errorf("objmount %q: exit code %d\n%s", args, a.code, a.problems)
		}
		return a.out
	}
	two.minio.put(t, two.bucket, "f", []byte("in MinIO"))
	if out := must("ctl", "object", "get", "minio:"+two.bucket+"/f", "-"); out != "in MinIO" {
		t.Errorf("the object is %q", out)
	}
	if a := run("ctl", "object", "exists", "gate:"+two.bucket+"/f"); a.code == 0 && strings.Contains(a.out, "true") {
		t.Errorf("it is in the other store too: %+v", a)
	}
	made := two.bucket + "-made"
	must("ctl", "bucket", "create", "--vendor=minio", "s3://"+made)
	list := run("ctl", "bucket", "list", "--json")
	found := map[string][]string{}
	for _, b := range jsonLines[struct{ Name, Remote string }](t, list.out) {
		found[b.Name] = append(found[b.Name], b.Remote)
	}
	if !slices.Equal(found[two.bucket], []string{"gate", "minio"}) || !slices.Equal(found[made], []string{"minio"}) {
		t.Errorf("%s is of %v, %s of %v", two.bucket, found[two.bucket], made, found[made])
	}
	if list.code != 4 || !strings.Contains(list.problems, "stranger") || strings.Count(list.problems, "\n") != 1 {
		t.Errorf("exit code %d, %s", list.code, list.problems)
	}
	if out := must("ctl", "bucket", "list", "gate:"); !strings.Contains(out, "gate:"+two.bucket+"\n") || strings.Contains(out, made) {
		t.Errorf("the buckets of gate: %s", out)
	}
	if !slices.Contains(two.minio.buckets(t), made) || slices.Contains(two.vgw.buckets(t), made) {
		t.Errorf("%s is not where it was made", made)
	}
	if err := os.Mkdir(filepath.Join(state, "mnt"), 0o700); err != nil {
		t.Fatal(err)
	}
	for args, code := range map[string]int{"ctl bucket show stranger:" + two.bucket: 4, "mount stranger:" + two.bucket + " mnt": 4, "ctl object copy minio:a/f gate:a/f": 2, "ctl bucket show other:" + two.bucket: 9} {
		if a := run(strings.Fields(args)...); a.code != code || strings.Count(a.problems, "\n") != 1 {
			t.Errorf("%s: exit code %d, want %d\n%s", args, a.code, code, a.problems)
		}
	}
}

// TestRetriesOfARemote are counted.
func TestRetriesOfARemote(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "config.retries")
		bucket := s.newBucket(t)
		s.put(t, bucket, "f", []byte("content"))
		p := newProxy(t, s)
		state := configuredWith(t, fmt.Sprintf(`
[remote.one]
endpoint-url = %[1]q
max-attempts = 1
[remote.three]
endpoint-url = %[1]q
max-attempts = 3
`, p.endpoint))
		p.on(&rule{match: everything, status: 503})
		for _, test := range []struct {
			remote string
			env    []string
			args   []string
			want   int
		}{
			{"one", nil, nil, 1}, {"three", nil, nil, 3}, {"three", []string{"OBJMOUNT_MAX_ATTEMPTS=2"}, nil, 2}, {"one", []string{"OBJMOUNT_MAX_ATTEMPTS=2"}, []string{"--max-attempts=4"}, 4},
		} {
			p.take()
			a := bareCommand(t, state, test.env, append([]string{"ctl", "bucket", "show", test.remote + ":" + bucket}, test.args...)...)
			if got := p.take().counts["HeadBucket"]; got != test.want || a.code != 5 {
				t.Errorf("%+v: %d requests, exit code %d, %s", test, got, a.code, a.problems)
			}
		}
		p.clear()
		p.on(&rule{match: everything, status: 503, times: 2})
		if a := bareCommand(t, state, nil, "ctl", "object", "get", "three:"+bucket+"/f", "-"); a.code != 0 || a.out != "content" {
			t.Errorf("after two failures: %+v", a)
		}
		// A mount has no other patience with its store; programs wait on with --retry-timeout.
		p.clear()
		m := newMount(t, mountOptions{source: "three:" + bucket, state: state, byFile: true, args: []string{"--retry-timeout=0"}, noisy: "."})
		p.on(&rule{match: everything, status: 503})
		p.take()
		if _, err := os.Stat(m.in("new")); err == nil {
			t.Error("a file is found by a store that fails")
		}
		if got := p.take().counts["ListObjectsV2"]; got != 3 {
			t.Errorf("%d requests", got)
		}
		p.clear()
	})
}

// TestTimeoutsOfARemote: each limit ends what would go on far longer with the default.
func TestTimeoutsOfARemote(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "config.timeouts")
		if _, err := shared.binary(); err != nil { // it takes its time, once
			t.Fatal(err)
		}
		bucket := s.newBucket(t)
		p := newProxy(t, s)
		stalling := newStallingStore(t)
		state := configuredWith(t, fmt.Sprintf(`
[remote.silent]
endpoint-url = %q
first-byte-timeout = "500ms"
max-attempts = 2
[remote.deaf]
endpoint-url = "http://%s"
connect-timeout = "200ms"
max-attempts = 5
[remote.stalls]
endpoint-url = %q
stall-timeout = "300ms"
max-attempts = 1
`, p.endpoint, deafPort(t), stalling.URL))
		p.on(&rule{match: everything, hold: make(chan struct{})})
		// Each would take that long, or longer, with the default of its limit.
		within := func(name string, defaults time.Duration, args ...string) ctlAnswer {
			t.Helper()
			began := time.Now()
			a := bareCommand(t, state, nil, append([]string{"ctl"}, args...)...)
			if took := time.Since(began); took >= defaults || a.code != 5 {
				t.Errorf("%s: %+v after %v", name, a, took)
			}
			return a
		}
		within("silent", 2*time.Minute, "bucket", "show", "silent:"+bucket)
		if got := p.take().counts["HeadBucket"]; got != 2 {
			t.Errorf("silent: %d requests", got)
		}
		p.clear()
		if a := within("deaf", 50*time.Second, "bucket", "show", "deaf:"+bucket); !strings.Contains(a.problems, "timeout") {
			t.Errorf("deaf: %+v", a)
		}
		if within("stalls", 30*time.Second, "object", "get", "stalls:b/f", "-"); stalling.gets() == 0 {
			t.Error("the object was not asked for")
		}
	})
}

// deafPort is an address whose queue of connections is full: who connects gets no answer.
func deafPort(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		t.Cleanup(func() { unix.Close(fd) })
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	if err == nil {
		err = unix.Listen(fd, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
	for range 8 { // one more than the queue holds is enough; on this side they look open
		c, err := net.DialTimeout("tcp", address, 100*time.Millisecond)
		if err != nil {
			return address
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("everybody is let in")
	return ""
}

// stallingStore has one object, of which it sends the first bytes only.
type stallingStore struct {
	*httptest.Server
	mu    sync.Mutex
	asked int
	end   chan struct{}
}

func newStallingStore(t *testing.T) *stallingStore {
	t.Helper()
	s := &stallingStore{end: make(chan struct{})}
	s.Server = httptest.NewServer(s)
	t.Cleanup(func() {
		close(s.end)
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

func (s *stallingStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("ETag", `"e"`)
	w.Header().Set("Content-Length", "1000")
	w.Header().Set("Last-Modified", "Sat, 21 Nov 2026 12:00:00 GMT")
	if r.Method != http.MethodGet {
		return
	}
	s.mu.Lock()
	s.asked++
	s.mu.Unlock()
	_, _ = io.WriteString(w, "first bytes")
	_ = http.NewResponseController(w).Flush()
	select {
	case <-s.end:
	case <-r.Context().Done():
	}
}

func (s *stallingStore) gets() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// TestReload: what can change while a mount runs does, by the verb and by the signal, and everything else stays.
func TestReload(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "config.remotes")
		bucket := s.newBucket(t)
		file := fmt.Sprintf("[mount]\nlog-level = \"info\"\nmetadata-ttl = \"1h\"\n[remote.lab]\nendpoint-url = %q\nregion = \"us-east-1\"\n", s.endpoint)
		state := configuredWith(t, file)
		m := newMount(t, mountOptions{source: "lab:" + bucket, state: state, byFile: true, noisy: "is not used"})
		s.put(t, bucket, "a", []byte("x"))
		if names := listDir(t, m.dir); !slices.Equal(names, []string{"a"}) {
			t.Errorf("it begins with %v", names)
		}
		s.put(t, bucket, "b", []byte("x"))
		if names := listDir(t, m.dir); !slices.Equal(names, []string{"a"}) {
			t.Errorf("within the hour: %v", names)
		}
		cached := file + "[[remote.lab.prefix]]\npath = \"*/www/\"\ncache-control = \"max-age=60\"\n"
		writeConfiguration(t, state, strings.NewReplacer(`"1h"`, `"0s"`, `"us-east-1"`, `"eu-west-1"`).Replace(cached))
		type setting struct{ Name, From, To string }
		got := decode[struct {
			Remotes, Unchanged           []string
			Applied, Remount, Overridden []setting
		}](t, m.mustCtl("config", "reload", "--json", "."))
		if !slices.Equal(got.Applied, []setting{{"metadata-ttl", "1h", "0s"}, {Name: "prefix"}}) || !slices.Equal(got.Remount, []setting{{"region", "us-east-1", "eu-west-1"}}) ||
			!slices.Equal(got.Remotes, []string{"lab"}) || !slices.Equal(got.Unchanged, []string{"log-level", "endpoint-url"}) {
			t.Errorf("it says %+v", got)
		}
		if names := listDir(t, m.dir); !slices.Equal(names, []string{"a", "b"}) {
			t.Errorf("after the reload: %v", names)
		}
		m.write("www/new", "y")
		if head := s.head(t, bucket, "www/new"); head.CacheControl != "max-age=60" {
			t.Errorf("a new object has %+v", head)
		}

		writeConfiguration(t, state, strings.Replace(cached, "max-age=60", "max-age=60 ", 1))
		m.failsCtl(2, "config.toml:9:17: cache-control has blanks at its ends", "config", "reload", ".")
		m.signalled(t, syscall.SIGHUP, "the configuration file was read again and is not used")
		m.write("www/other", "y")
		if head := s.head(t, bucket, "www/other"); head.CacheControl != "max-age=60" {
			t.Errorf("after a file with a mistake, a new object has %+v", head)
		}
		writeConfiguration(t, state, strings.NewReplacer("max-age=60", "no-store", `"info"`, `"debug"`).Replace(cached))
		m.signalled(t, syscall.SIGHUP, `applied="log-level metadata-ttl prefix"`)
		m.write("www/third", "y")
		if head := s.head(t, bucket, "www/third"); head.CacheControl != "no-store" {
			t.Errorf("after the signal, a new object has %+v", head)
		}
		m.unmount()
	})
}

// signalled sends a signal and waits for a line of the log.
func (m *mount) signalled(t *testing.T, signal syscall.Signal, line string) {
	t.Helper()
	if err := m.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(mountTimeout); ; time.Sleep(10 * time.Millisecond) {
		if slices.ContainsFunc(m.log.lines(), func(l string) bool { return strings.Contains(l, line) }) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the log does not say %q", line)
		}
	}
}

// must runs a command of objmount that must succeed.
func (m *mount) must(args ...string) string {
	m.t.Helper()
	out, err := m.command(args...)
	if err != nil {
		m.t.Fatal(err)
	}
	return out
}

// write makes a file, and the directories above it.
func (m *mount) write(name, content string) {
	m.t.Helper()
	if err := os.MkdirAll(filepath.Dir(m.in(name)), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(m.in(name), []byte(content), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

// decode reads one document of JSON.
func decode[T any](t testing.TB, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}
