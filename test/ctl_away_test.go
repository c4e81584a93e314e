package test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// everything is a rule's match.
func everything(string, string) bool { return true }

// TestCtlWhileTheStoreIsAway ends after --retry-timeout, and says meanwhile what it waits for.
func TestCtlWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.tags")
		bucket := s.newVersionedBucket(t)
		s.putVersion(t, bucket, "f", "content", nil)
		p := newProxy(t, s)
		m := newMount(t, mountOptions{store: s, endpoint: p.endpoint, source: "s3://" + bucket, args: []string{"--retry-timeout=4s"}, noisy: `.`})
		m.mustCtl("tags", "get", "f")
		p.on(&rule{match: everything, hold: make(chan struct{})})
		for _, args := range [][]string{{"tags", "get", "f"}, {"versions", "list", "f"}} {
			a := m.failsCtl(5, "has not answered for 4s", args...)
			if !strings.Contains(a.problems, "does not answer; it is waited for, up to 4s") || a.out != "" {
				t.Errorf("%q says %q", args, a.problems)
			}
		}
		p.clear()
		m.mustCtl("tags", "set", "f", "k=v")
	})
}

// TestCtlIsInterrupted by a signal while the kernel waits for the mount, and while the mount waits for the store.
func TestCtlIsInterrupted(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.versions.list")
		bucket := s.newVersionedBucket(t)
		p := newProxy(t, s)
		m := newMount(t, mountOptions{store: s, endpoint: p.endpoint, source: "s3://" + bucket, noisy: `.`})
		p.on(&rule{match: everything, hold: make(chan struct{})})
		for path, signal := range map[string]syscall.Signal{"never-seen": syscall.SIGINT, "nor-this/deeper/f": syscall.SIGTERM} {
			ctx, cancel := context.WithTimeout(context.Background(), unmountTimeout)
			defer cancel()
			cmd := exec.CommandContext(ctx, m.cmd.Path, "ctl", "versions", "list", path)
			cmd.Dir, cmd.Env = m.dir, m.environment()
			var problems bytes.Buffer
			cmd.Stderr = &problems
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(path, "/")
			for !p.wasAsked(first) && ctx.Err() == nil {
				time.Sleep(10 * time.Millisecond)
			}
			if err := cmd.Process.Signal(signal); err != nil {
				t.Error(err)
			}
			_ = cmd.Wait() // its exit code says it
			if code := cmd.ProcessState.ExitCode(); code != 130 || !strings.Contains(problems.String(), "interrupted") {
				t.Errorf("%s, %v: exit code %d, %s", path, signal, code, &problems)
			}
		}
		p.clear()
	})
}

// wasAsked tells whether a request had a text in its address.
func (p *proxy) wasAsked(text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.requests {
		if strings.Contains(r, text) {
			return true
		}
	}
	return false
}

// TestAnswersThatCannotBeWritten are failures, and no wrong flags.
func TestAnswersThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.versions.list")
		bucket := s.newVersionedBucket(t)
		s.putVersion(t, bucket, "f", "content", map[string]any{"Tagging": "k=v"})
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer full.Close()
		for _, args := range [][]string{
			{"ctl", "versions", "list", "f"}, {"ctl", "versions", "list", "--json", "f"}, {"ctl", "tags", "get", "f"}, {"status"}, {"status", "--json", "."},
			append([]string{"ctl"}, m.bare("versions", "list", "s3://"+bucket+"/f")...),
		} {
			cmd := exec.CommandContext(t.Context(), m.cmd.Path, args...)
			cmd.Dir, cmd.Env, cmd.Stdout = m.dir, m.environment(), full
			var problems bytes.Buffer
			cmd.Stderr = &problems
			_ = cmd.Run() // its exit code says it
			line := problems.String()
			if code := cmd.ProcessState.ExitCode(); code != 1 || strings.Count(line, "\n") != 1 || !strings.Contains(line, "no space left on device") {
				t.Errorf("%q: exit code %d, %q", args, code, line)
			}
		}
	})
}

// TestCtlInWords is what people read: names of versions as files and their times in lists agree, and what a dry run of tags delete says.
func TestCtlInWords(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.versions.list", "ctl.tags")
		bucket := s.newVersionedBucket(t)
		for range 5 {
			s.putVersion(t, bucket, "dir/f", "content", map[string]any{"Tagging": "b=2&a=1"})
		}
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		entries, err := os.ReadDir(m.in("dir/.versions/f"))
		if err != nil || len(entries) != 5 {
			t.Fatalf("%d versions, %v", len(entries), err)
		}
		list := m.mustCtl("versions", "list", "dir/f")
		for _, e := range entries {
			if when, _, _ := strings.Cut(e.Name(), "_"); !strings.Contains(list, "\n"+when+"  ") {
				t.Errorf("%s is not in\n%s", e.Name(), list)
			}
		}
		a := m.failsCtl(2, "name the file itself, and the version by its id", "versions", "list", "dir/.versions/f")
		if strings.Contains(a.problems, "Locate") || strings.Contains(a.problems, "invalid argument") {
			t.Errorf("more words than help: %s", a.problems)
		}
		if out := m.mustCtl("tags", "delete", "--dry-run", "dir/f", "a"); out != "would be deleted: a=1\nwould stay: b=2\n" {
			t.Errorf("one tag less would be %q", out)
		}
		if out := m.mustCtl("tags", "delete", "--dry-run", "dir/f"); out != "would be deleted: a=1\nwould be deleted: b=2\n" {
			t.Errorf("no tags would be %q", out)
		}
		if out := m.mustCtl("tags", "delete", "dir/f", "a"); out != "b=2\n" {
			t.Errorf("one tag less is %q", out)
		}
	})
}
