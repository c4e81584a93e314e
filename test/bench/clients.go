package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// newClient makes the command that mounts a bucket in the foreground. Each client has its defaults,
// but for what makes it comparable: no write may be called done before it is stored.
var newClient = map[string]func(b *bench, bucket, mountpoint, state string) *exec.Cmd{
	"objmount": func(b *bench, bucket, mountpoint, state string) *exec.Cmd {
		return objmount(b, bucket, mountpoint, state)
	},
	// Not in the default set: the mode that answers close before the upload, as rclone does.
	"objmount-background": func(b *bench, bucket, mountpoint, state string) *exec.Cmd {
		return objmount(b, bucket, mountpoint, state, "--commit=background")
	},
	"s3fs": func(b *bench, bucket, mountpoint, state string) *exec.Cmd {
		cmd := exec.Command("s3fs", bucket, mountpoint, "-f", "-o", "use_path_request_style,url="+b.endpoint,
			"-o", "tmpdir="+state)
		cmd.Env = append(os.Environ(), "AWSACCESSKEYID="+accessKey, "AWSSECRETACCESSKEY="+secretKey)
		return cmd
	},
	// Write-back at once, not after five seconds; the cache mode that random writes need.
	"rclone": func(b *bench, bucket, mountpoint, state string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(b.settings.tools, "rclone"), "mount", "store:"+bucket, mountpoint,
			"--vfs-cache-mode", "writes", "--vfs-write-back", "0s", "--cache-dir", state, "--config", filepath.Join(state, "none"))
		cmd.Env = append(os.Environ(), "RCLONE_CONFIG_STORE_TYPE=s3", "RCLONE_CONFIG_STORE_PROVIDER=Other",
			"RCLONE_CONFIG_STORE_ENDPOINT="+b.endpoint, "RCLONE_CONFIG_STORE_ACCESS_KEY_ID="+accessKey,
			"RCLONE_CONFIG_STORE_SECRET_ACCESS_KEY="+secretKey, "RCLONE_CONFIG_STORE_REGION="+region,
			"RCLONE_CONFIG_STORE_FORCE_PATH_STYLE=true")
		return cmd
	},
}

func objmount(b *bench, bucket, mountpoint, state string, flags ...string) *exec.Cmd {
	args := append([]string{"mount", "--foreground", "--endpoint-url", b.endpoint, "--region", region}, flags...)
	cmd := exec.Command(b.settings.objmount, append(args, "s3://"+bucket, mountpoint)...)
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+accessKey, "AWS_SECRET_ACCESS_KEY="+secretKey,
		"HOME="+state, "XDG_STATE_HOME="+state, "XDG_CACHE_HOME="+state, "XDG_RUNTIME_DIR="+state)
	return cmd
}

// bench is one measurement under way.
type bench struct {
	ctx      context.Context
	settings settings
	server   *server
	endpoint string
	dir      string

	bucket, folder string // the bucket and where the server keeps it
	mount          string // mountpoint; empty for the bare client
}

// measure prepares a bucket, mounts it with a client, and does the row's work once.
func (b *bench) measure(client string, r row) (res result) {
	var err error
	if b.bucket, b.folder, err = b.server.newBucket(b.ctx); err != nil {
		return result{err: err}
	}
	defer func() { res.err = errors.Join(res.err, os.RemoveAll(b.folder)) }()
	if r.prepare != nil {
		if err := r.prepare(b); err != nil {
			return result{err: err}
		}
	}
	if client == "bare" {
		start := time.Now()
		err := r.bare(b)
		return result{time: time.Since(start), err: err}
	}
	m, err := b.start(client)
	if err != nil {
		return result{err: err}
	}
	stopKilling := m.killAfter(b)
	start := time.Now()
	err = r.work(b)
	if err == nil && r.stored != nil {
		err = b.until(r.stored)
	}
	elapsed := time.Since(start)
	if stopKilling() {
		err = fmt.Errorf("ended after %v: %w", b.settings.limit, err)
	}
	usage, stopErr := m.stop()
	return result{time: elapsed, cpu: usage.cpu, peak: usage.peak, err: errors.Join(err, stopErr)}
}

// until waits for the store to hold what was written.
func (b *bench) until(stored func(b *bench) bool) error {
	for deadline := time.Now().Add(10 * time.Minute); !stored(b); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) || b.ctx.Err() != nil {
			return errors.New("what was written did not get to the store")
		}
	}
	return nil
}

// mounted is a client process and its mountpoint.
type mounted struct {
	cmd    *exec.Cmd
	dir    string
	state  string
	exited chan struct{}
	err    error // of the process, after exited
}

type usage struct {
	cpu  time.Duration
	peak int64
}

// start mounts the bucket and waits until it answers.
func (b *bench) start(client string) (*mounted, error) {
	state, err := os.MkdirTemp(b.dir, "state")
	if err != nil {
		return nil, err
	}
	m := &mounted{dir: state + ".mnt", state: state, exited: make(chan struct{})}
	if err := os.Mkdir(m.dir, 0o755); err != nil {
		return nil, err
	}
	b.mount = m.dir
	log, err := os.Create(filepath.Join(state, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	m.cmd = newClient[client](b, b.bucket, m.dir, state)
	m.cmd.Stdout, m.cmd.Stderr = log, log
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := m.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { m.err = m.cmd.Wait(); close(m.exited) }()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		var st unix.Statfs_t
		if unix.Statfs(m.dir, &st) == nil && st.Type == unix.FUSE_SUPER_MAGIC {
			return m, nil
		}
		select {
		case <-m.exited:
			text, _ := os.ReadFile(log.Name())
			return nil, fmt.Errorf("%s ended: %w\n%s", client, m.err, text)
		default:
		}
		if time.Now().After(deadline) {
			_, stopErr := m.stop()
			return nil, errors.Join(fmt.Errorf("%s does not mount", client), stopErr)
		}
	}
}

// killAfter kills the client when the work takes too long or the bench is interrupted; the
// function that it returns ends that and says whether it came to it.
func (m *mounted) killAfter(b *bench) (stop func() (killed bool)) {
	ctx, cancel := context.WithTimeout(b.ctx, b.settings.limit)
	undo := context.AfterFunc(ctx, func() { _ = m.cmd.Process.Kill() })
	return func() bool {
		late := !undo()
		cancel()
		return late
	}
}

// peakMemory is the largest resident size of the process since its start. (What wait4 reports
// counts the bench itself too, whose memory the process had before exec.)
func (m *mounted) peakMemory() int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		return 0
	}
	return kib << 10
}

// stop unmounts, waits for the process and removes its local state.
func (m *mounted) stop() (usage, error) {
	u := usage{peak: m.peakMemory()}
	out, err := exec.Command("fusermount3", "-u", m.dir).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("fusermount3 -u: %w: %s", err, out)
		_ = unix.Unmount(m.dir, unix.MNT_DETACH)
	}
	select {
	case <-m.exited: // s3fs and rclone have exit codes of their own for an unmount from outside
	case <-time.After(2 * time.Minute):
		err = errors.Join(err, errors.New("the process does not end after the unmount"))
		_ = m.cmd.Process.Kill()
		<-m.exited
	}
	if s := m.cmd.ProcessState; s != nil {
		u.cpu = s.UserTime() + s.SystemTime()
	}
	return u, errors.Join(err, os.Remove(m.dir), os.RemoveAll(m.state))
}
