package ctl

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// jsonFields returns the names that a struct has in JSON.
func jsonFields(v any) []string {
	var out []string
	for f := range reflect.TypeOf(v).Fields() {
		if f.Anonymous {
			embedded := f.Type
			if embedded.Kind() == reflect.Pointer {
				embedded = embedded.Elem()
			}
			out = append(out, jsonFields(reflect.Zero(embedded).Interface())...)
			continue
		}
		if !f.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

const otherUser = "OBJMOUNT_TEST_SOCKET"

// asOther asks for the status as another user and returns the HTTP status and body.
func asOther(t *testing.T, socket string) string {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestChildOfOtherUser$", "-test.v")
	cmd.Env = []string{otherUser + "=" + socket}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	cmd.Dir = "/"
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	_, answer, found := strings.Cut(string(out), "ANSWER ")
	if !found {
		t.Fatalf("the child did not ask:\n%s", out)
	}
	return answer
}

func TestChildOfOtherUser(t *testing.T) {
	socket := os.Getenv(otherUser)
	if socket == "" {
		t.Skip("only as a child of TestPeerIsChecked")
	}
	c := NewClient(Info{Socket: socket})
	defer c.Close()
	status, text := raw(t, c, "GET", "/v1/status", "")
	fmt.Printf("ANSWER %d %s\n", status, text)
}

func TestStaleEntriesAreRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// A process that ended and left its socket.
	left := Info{PID: 1 << 30, StartTime: 1, Mountpoint: "/left", Socket: filepath.Join(dir, "1.sock")}
	l, err := listen(left.Socket)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	// An entry whose socket is gone.
	gone := Info{PID: os.Getpid(), Mountpoint: "/gone", Socket: filepath.Join(dir, "2.sock")}
	// One whose process cannot be seen but whose socket answers.
	alive := Info{PID: 1 << 30, StartTime: 1, Mountpoint: "/alive", Socket: filepath.Join(dir, "3.sock")}
	if l, err = listen(alive.Socket); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, i := range []Info{left, gone, alive} {
		if err := register(i); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "4.json"), []byte("not an entry"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := List(t.Context(), dir)
	if len(got) != 1 || got[0].Mountpoint != "/alive" {
		t.Errorf("got %+v", got)
	}
	for name, want := range map[string]bool{"1.sock": false, "1.json": false, "2.json": false, "3.sock": true, "3.json": true, "4.json": true} {
		_, err := os.Lstat(filepath.Join(dir, name))
		if have := err == nil; have != want {
			t.Errorf("%s: there %v, want %v", name, have, want)
		}
	}
}

func TestEntryNamesItsOwnSocketOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	i := Info{PID: os.Getpid(), Socket: filepath.Join(dir, "5.sock")}
	l, err := listen(i.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := register(i); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "5.json"))
	if err != nil {
		t.Fatal(err)
	}
	forged := strings.Replace(string(text), "5.sock", "../elsewhere.sock", 1)
	if err := os.WriteFile(filepath.Join(dir, "5.json"), []byte(forged), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := List(t.Context(), dir); len(got) != 1 || got[0].Socket != i.Socket {
		t.Errorf("got %+v", got)
	}
}

func TestProcessStart(t *testing.T) {
	t.Parallel()
	a, err := ProcessStart(os.Getpid())
	if err != nil || a == 0 {
		t.Fatal(a, err)
	}
	if _, err := ProcessStart(1 << 30); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a process that is not there: %v", err)
	}
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b, err := ProcessStart(cmd.Process.Pid)
	if err != nil || b < a {
		t.Errorf("the child started at %d, before %d: %v", b, a, err)
	}
	i := Info{PID: cmd.Process.Pid, StartTime: b}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := i.Ended(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a running process: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := i.Ended(t.Context()); err != nil { // before its parent waits for it
		t.Error(err)
	}
	_ = cmd.Wait()
	if err := i.Ended(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestClientExplainsAMissingMount(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := NewClient(Info{PID: 7, Mountpoint: "/mnt", Socket: filepath.Join(dir, "7.sock")})
	defer c.Close()
	if _, err := c.Status(t.Context()); KindOf(err) != KindGone || err.Error() != "process 7 of /mnt is gone" {
		t.Errorf("no socket: %v", err)
	}
	l, err := listen(filepath.Join(dir, "7.sock"))
	if err != nil {
		t.Fatal(err)
	}
	go func() { // accepts and hangs up
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	defer l.Close()
	if err := c.Flush(t.Context(), func(Progress) {}); KindOf(err) != KindGone {
		t.Errorf("a process that hangs up: %v", err)
	}
}

// TestFlushWithoutLastLine is a mount that dies in the middle: no success may be reported.
func TestFlushWithoutLastLine(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "8.sock")
	l, err := listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1e\r\n" + `{"done":1,"total":2,"files":1}` + "\r\n"))
	}()
	c := NewClient(Info{PID: 8, Mountpoint: "/mnt", Socket: socket})
	defer c.Close()
	lines := 0
	err = c.Flush(t.Context(), func(Progress) { lines++ })
	if KindOf(err) != KindGone || lines != 1 {
		t.Errorf("%d lines, %v", lines, err)
	}
}

func TestNoPeerNoAnswer(t *testing.T) {
	t.Parallel()
	s := &Server{info: Info{UID: uint32(os.Geteuid())}, mount: &fakeMount{}, log: slog.New(slog.DiscardHandler)}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if _, err := peerUID(a); err == nil {
		t.Error("a pipe has a peer")
	}
	w := httptest.NewRecorder()
	s.handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/v1/status", nil))
	if w.Code != 403 {
		t.Errorf("without a known peer: %d", w.Code)
	}
}
