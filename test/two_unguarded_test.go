package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// An overtaking is a change that is held on its way to the store while another client replaces what it is about to change.
type overtaking struct {
	name      string
	operation string // the request that is held
	object    string // of this one
	before    map[string][]byte
	change    func(dir string) error
	// says is how the line of status begins if the update of the other client is lost; "": it never is.
	says string
	// guarded: this store has a condition for it, by what status says it can do. Then the change fails with ESTALE, or leaves the object alone (silent).
	guarded func(can map[string]any) bool
	silent  bool
	keeps   []byte // what has to be in a conflict
	needs   string // what a store must not lack: without it the change is another request
}

func always(map[string]any) bool { return true }

func able(name string) func(map[string]any) bool {
	return func(can map[string]any) bool { return can[name] == true }
}

var overtakings = []overtaking{
	{
		name: "unlink", operation: "DeleteObject", object: "file", before: map[string][]byte{"file": []byte("old")},
		change: func(dir string) error { return os.Remove(dir + "/file") }, says: "unlink, rename:", guarded: able("delete_if_match"),
	},
	{
		name: "rename, the old name", operation: "DeleteObject", object: "file", before: map[string][]byte{"file": []byte("old")},
		change: func(dir string) error { return os.Rename(dir+"/file", dir+"/new") }, says: "unlink, rename:", guarded: able("delete_if_match"), silent: true,
	},
	{
		name: "rename over a file", operation: "CopyObject", object: "file", before: map[string][]byte{"file": []byte("old"), "from": []byte("mine")},
		change: func(dir string) error { return os.Rename(dir+"/from", dir+"/file") }, says: "rename, cp, chmod", guarded: able("copy_destination"),
	},
	{
		name: "rename to a free name", operation: "CopyObject", object: "file", before: map[string][]byte{"from": []byte("mine")},
		change: func(dir string) error { return os.Rename(dir+"/from", dir+"/file") }, says: "rename, cp, chmod", guarded: able("copy_destination"),
	},
	{
		name: "cp inside the store", operation: "CopyObject", object: "file", before: map[string][]byte{"file": []byte("old"), "from": bytesOf(3, 2*mib)},
		change: func(dir string) error { return run("cp", dir+"/from", dir+"/file") }, says: "rename, cp, chmod", guarded: able("copy_destination"), needs: guardedCopies,
	},
	{ // the condition on the source is one on the destination
		name: "chmod", operation: "CopyObject", object: "file", before: map[string][]byte{"file": []byte("old")},
		change: func(dir string) error { return chmodAndSync(dir + "/file") }, guarded: always, needs: guardedCopies,
	},
	{
		name: "an edit", operation: "PutObject", object: "file", before: map[string][]byte{"file": bytesOf(1, 5000)},
		change: func(dir string) error { return patch(dir+"/file", 100, "mine") }, guarded: always, keeps: []byte("mine"),
	},
	{
		name: "an edit of a large file", operation: "CompleteMultipartUpload", object: "file", before: map[string][]byte{"file": bytesOf(1, 13*mib)},
		change: func(dir string) error { return patch(dir+"/file", 6*mib, "mine") }, guarded: always, keeps: []byte("mine"), needs: guardedParts,
	},
	{
		name: "a new file", operation: "PutObject", object: "file",
		change: func(dir string) error { return os.WriteFile(dir+"/file", []byte("mine"), 0o644) }, guarded: always, keeps: []byte("mine"),
	},
	{
		name: "a new large file", operation: "CompleteMultipartUpload", object: "file",
		change: func(dir string) error { return os.WriteFile(dir+"/file", bytesOf(9, 24*mib), 0o644) }, guarded: always, keeps: bytesOf(9, 24*mib)[:1000], needs: guardedParts,
	},
	{
		name: "a symbolic link", operation: "PutObject", object: "file",
		change: func(dir string) error { return os.Symlink("target", dir+"/file") }, guarded: always,
	},
}

func run(name string, args ...string) error { return exec.Command(name, args...).Run() }

func chmodAndSync(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Chmod(0o600); err != nil {
		return err
	}
	return f.Sync()
}

func patch(name string, off int64, text string) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte(text), off); err != nil {
		return err
	}
	return f.Close()
}

// overtaken holds the first request of a kind for an object. arrived is closed when it is there.
func (p *proxy) overtaken(operation, object string) (arrived chan struct{}, release func()) {
	arrived = make(chan struct{})
	there := false
	x := &rule{times: 1, hold: make(chan struct{}), match: func(o, path string) bool { // called with the proxy locked
		match := o == operation && strings.HasSuffix(path, "/"+object)
		if match && !there {
			there = true
			close(arrived)
		}
		return match
	}}
	p.on(x)
	return arrived, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if i := slices.Index(p.rules, x); i >= 0 { // else clear has let it go
			p.rules = slices.Delete(p.rules, i, i+1)
			close(x.hold)
		}
	}
}

// TestOvertaken: where a store has no condition for a change, an update that another client makes at the same moment is lost, and status says
// exactly that; where it has one, nothing is lost.
func TestOvertaken(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		o := &overtakingMount{store: s, bucket: s.newBucket(t), p: newProxy(t, s)}
		for i, x := range overtakings {
			s.put(t, o.bucket, fmt.Sprintf("d%d/other", i), nil)
			for key, data := range x.before {
				s.put(t, o.bucket, fmt.Sprintf("d%d/%s", i, key), data)
			}
		}
		o.m = newMount(t, mountOptions{store: s, endpoint: o.p.endpoint, source: "s3://" + o.bucket, noisy: contestNoise})
		o.can, o.says = o.m.guards()
		t.Run("at once", func(t *testing.T) {
			for i, x := range overtakings {
				t.Run(x.name, func(t *testing.T) {
					t.Parallel()
					o.overtake(t, fmt.Sprintf("d%d", i), x)
				})
			}
		})
		lost := len(o.lost)
		if s.lacks(guardedParts) {
			lost++ // what is too large for one PUT, which is not tried here
		}
		if listed := strings.Count(o.says, "at the same moment"); listed != lost {
			t.Errorf("status lists %d things that may be lost, and %d were: %q\n%s", listed, lost, slices.Sorted(maps.Keys(o.lost)), o.says)
		}
		o.m.unmount()
	})
}

// An overtakingMount is a mount behind a proxy, for all overtakings.
type overtakingMount struct {
	store  *store
	bucket string
	p      *proxy
	m      *mount
	can    map[string]any
	says   string

	mu   sync.Mutex
	lost map[string]bool // what status has to list
}

func (o *overtakingMount) overtake(t *testing.T, dir string, x overtaking) {
	o.store.needs(t, x.needs)
	key := dir + "/file"
	arrived, release := o.p.overtaken(x.operation, dir+"/"+x.object)
	defer release()
	answer := make(chan error, 1)
	go func() { answer <- x.change(o.m.in(dir)) }()
	select {
	case <-arrived:
	case err := <-answer:
		t.Fatalf("it ended without a %s of %s: %v", x.operation, x.object, err)
	case <-time.After(time.Minute):
		t.Fatalf("no %s of %s", x.operation, x.object)
	}
	theirs := []byte("theirs, and new")
	o.store.put(t, o.bucket, key, theirs)
	release()
	err := <-answer
	now, there := o.store.snapshot(t, o.bucket, key)[key]
	safe := there && now.SHA256 == digest(theirs)
	switch guarded := x.guarded(o.can); {
	case guarded && !safe:
		t.Errorf("an update is lost though the store has a condition for it: %v", err)
	case guarded && !x.silent && errno(err) != syscall.ESTALE && errno(err) != syscall.EEXIST:
		t.Errorf("%v, want ESTALE or EEXIST", err)
	case !guarded && safe:
		t.Errorf("this update should be lost, as the store has no condition; it is not: %v", err)
	case !guarded && !strings.Contains(o.says, x.says):
		t.Errorf("it is lost, and status does not list %q:\n%s", x.says, o.says)
	}
	if !safe {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.lost == nil {
			o.lost = map[string]bool{}
		}
		o.lost[x.says] = true
	}
	if x.keeps != nil && !slices.ContainsFunc(o.m.pending("."), func(w waiting) bool {
		data, err := os.ReadFile(w.LocalFile)
		return err == nil && w.Kept && w.Key == key && bytes.Contains(data, x.keeps)
	}) {
		t.Error("what was written here is in no conflict")
	}
}

// guards are what status says of the store: its abilities, and what is not guarded, in words; --json and the text say the same.
func (m *mount) guards() (can map[string]any, unguarded string) {
	m.t.Helper()
	out, err := m.command("status", "--json", m.dir)
	if err != nil {
		m.t.Fatal(err)
	}
	var status struct {
		Capabilities map[string]any
		Unguarded    []string
	}
	if err := json.NewDecoder(bytes.NewReader([]byte(out))).Decode(&status); err != nil {
		m.t.Fatalf("%v\n%s", err, out)
	}
	text, err := m.command("status", m.dir)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, line := range status.Unguarded {
		if !strings.Contains(text, "\n  "+line+"\n") {
			m.t.Errorf("status --json says %q, and status does not:\n%s", line, text)
		}
	}
	return status.Capabilities, strings.Join(status.Unguarded, "\n")
}

// TestUnlinkOfReplaced: what another client has stored since this mount looked is not removed, though the kernel repeats an unlink that was
// answered with ESTALE; the next one removes it.
func TestUnlinkOfReplaced(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		bucket := s.newBucket(t)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket, args: []string{"--metadata-ttl=1h"}, noisy: contestNoise})
		name := m.in("d/file")
		s.put(t, bucket, "d/file", []byte("old"))
		s.put(t, bucket, "d/other", nil)
		for range 2 {
			if _, err := os.ReadFile(name); err != nil {
				t.Fatal(err)
			}
			s.put(t, bucket, "d/file", []byte("new, and not seen here"))
			if err := syscall.Unlink(name); err != syscall.ESTALE {
				t.Errorf("unlink of what was replaced: %v, want ESTALE", err)
			}
			if got := s.get(t, bucket, "d/file"); string(got) != "new, and not seen here" {
				t.Errorf("the store has %q", got)
			}
			s.put(t, bucket, "d/file", []byte("old again"))
		}
		if _, err := os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Unlink(name); err != nil {
			t.Errorf("unlink of what is known: %v", err)
		}
		m.unmount()
	})
}
