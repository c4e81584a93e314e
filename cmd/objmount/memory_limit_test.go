package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// TestMemoryLimitHolds reads a big file and writes twenty at once, in the least memory that is
// allowed: the process may not grow beyond the limit by more than a program needs anyway. The
// binary is an ordinary one; the race detector's needs a multiple.
func TestMemoryLimitHolds(t *testing.T) {
	if testing.Short() || checkFUSE(false) != nil {
		t.Skip("no mounts here")
	}
	server := startServer(t)
	dir := t.TempDir()
	program := filepath.Join(dir, "objmount")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	mnt := filepath.Join(dir, "mnt")
	if err := os.Mkdir(mnt, 0o755); err != nil {
		t.Fatal(err)
	}
	const bucket, big, files, each = "memory", 256 << 20, 20, 8 << 20
	if err := os.Mkdir(filepath.Join(server.data, bucket), 0o755); err != nil {
		t.Fatal(err)
	}
	local := filepath.Join(dir, "local")
	env := append(os.Environ(), "HOME="+local, "XDG_STATE_HOME="+local, "XDG_CACHE_HOME="+local, "XDG_RUNTIME_DIR="+local,
		"AWS_ENDPOINT_URL=http://"+server.address, "AWS_ACCESS_KEY_ID="+serverKey, "AWS_SECRET_ACCESS_KEY="+serverSecret, "AWS_REGION=us-east-1")
	mount := func() *exec.Cmd {
		cmd := exec.Command(program, "mount", "--foreground", "--memory-limit="+fmt.Sprint(leastMemory), "--log-level=warn", "s3://"+bucket, mnt)
		cmd.Env, cmd.Stderr = env, os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait(); endMounts(dir) })
		for end := time.Now().Add(20 * time.Second); !mountedAt(t, mnt); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the mount does not come")
			}
		}
		return cmd
	}
	first := mount()
	if err := fill(filepath.Join(mnt, "big"), big); err != nil {
		t.Fatal(err)
	}
	checkPeak(t, first)
	umount := exec.Command(program, "umount", mnt)
	umount.Env = env
	if out, err := umount.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.RemoveAll(local); err != nil { // nothing of it is cached
		t.Fatal(err)
	}
	second := mount()
	var work errgroup.Group
	work.Go(func() error {
		f, err := os.Open(filepath.Join(mnt, "big"))
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(io.Discard, f)
		return err
	})
	for i := range files {
		work.Go(func() error { return fill(filepath.Join(mnt, "file"+strconv.Itoa(i)), each) })
	}
	if err := work.Wait(); err != nil {
		t.Error(err)
	}
	checkPeak(t, second)
}

// fill writes a file of about size bytes.
func fill(name string, size int) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	block := bytes.Repeat([]byte("content "), 1<<17)
	for at := 0; at < size && err == nil; at += len(block) {
		_, err = f.Write(block)
	}
	return errors.Join(err, f.Close())
}

func mountedAt(t *testing.T, dir string) bool {
	t.Helper()
	mounts, err := readMounts()
	if err != nil {
		t.Fatal(err)
	}
	m, there := topAt(mounts, dir)
	return there && m.fsType == fsType
}

var peakMemory = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

func checkPeak(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	found := peakMemory.FindSubmatch(text)
	if found == nil {
		t.Fatalf("no peak in %s", strings.TrimSpace(string(text)))
	}
	peak, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	const program = 64 << 10 // KiB
	if limit := int(leastMemory>>10 + program); peak > limit {
		t.Errorf("the peak was %d KiB; the limit is %d KiB and %d for the program", peak, leastMemory>>10, program)
	}
	t.Logf("peak %d KiB", peak)
}
