package test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A promise is content that a close or fsync has returned for, or may return for.
type promise struct {
	name     string
	returned string   // digest of what the last close or fsync that returned was for; "" if none
	possible []string // digests of what was begun after it
}

// writers has programs write files until the filesystem is gone, and notes what was promised to them.
type writers struct {
	mu       sync.Mutex
	promises map[string]*promise
}

// begin notes that data may be stored under name from now on.
func (w *writers) begin(name string, data []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.promises[name]
	if p == nil {
		p = &promise{name: name}
		w.promises[name] = p
	}
	p.possible = append(p.possible, digest(data))
}

// done notes that close or fsync returned for data.
func (w *writers) done(name string, data []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.promises[name].returned, w.promises[name].possible = digest(data), nil
}

// write makes one file as writer i does and returns the first error.
func (w *writers) write(dir, name string, i, round int) error {
	data := bytesOf(uint64(i*1000+round), []int{10, 5000, 300_000, 2 << 20, 9 << 20}[(i+round)%5])
	w.begin(name, data)
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if i%4 == 3 {
		if err := f.Sync(); err != nil {
			return err
		}
		w.done(name, data)
	}
	if err := f.Close(); err != nil {
		return err
	}
	w.done(name, data)
	return nil
}

// awaitFirst waits until a close or fsync has returned: a kill before that shows nothing, and how long it takes is up to the machine.
func (w *writers) awaitFirst(t *testing.T) {
	t.Helper()
	returned := func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, p := range w.promises {
			if p.returned != "" {
				return true
			}
		}
		return false
	}
	for deadline := time.Now().Add(time.Minute); !returned(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no close or fsync returned for a minute")
		}
	}
}

// run starts n writers; each makes new files, and the odd ones write one name again and again.
func (w *writers) run(t *testing.T, dir string, n int) (wait func()) {
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			for round := 0; ; round++ {
				name := fmt.Sprintf("d%d/file%d-%d", i%3, i, round)
				if i%2 == 1 {
					name = fmt.Sprintf("d%d/again%d", i%3, i)
				}
				if err := w.write(dir, name, i, round); err != nil {
					if e := errno(err); e != syscall.ENOTCONN && e != syscall.ECONNABORTED && e != syscall.EIO && e != syscall.ENOENT {
						t.Errorf("writer %d: %v", i, err)
					}
					return
				}
			}
		})
	}
	return group.Wait
}

// check compares the promises with what the foreign client sees.
func (w *writers) check(t *testing.T, objects map[string]object) {
	t.Helper()
	promised := 0
	var problems []string
	for name, p := range w.promises {
		got, stored := objects[name]
		ok := p.returned == "" && !stored || stored && got.SHA256 == p.returned
		for _, sum := range p.possible {
			ok = ok || stored && got.SHA256 == sum
		}
		// A new file that no program had finished is stored as far as it was written, or kept as
		// interrupted; only what a close or fsync returned for is compared.
		if p.returned == "" {
			continue
		}
		promised++
		if !ok {
			problems = append(problems, fmt.Sprintf("%s: close or fsync had returned, the store has %d bytes (stored: %v) of another content", name, got.Size, stored))
		}
	}
	reportSome(t, problems)
	if promised == 0 {
		t.Error("no close or fsync had returned: the test has shown nothing")
	}
	t.Logf("%d files promised", promised)
}

// TestKilledWhileWriting kills objmount while 20 programs write, mounts again and unmounts: what
// was promised must be in the store. In close mode it must be there before the new mount.
func TestKilledWhileWriting(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		store, commit string
		after         time.Duration
	}{
		{"versitygw", "background", 300 * time.Millisecond},
		{"versitygw", "background", 1500 * time.Millisecond},
		{"minio", "background", 800 * time.Millisecond},
		{"versitygw", "close", 1500 * time.Millisecond},
	} {
		t.Run(fmt.Sprintf("%s,%s,%v", c.store, c.commit, c.after), func(t *testing.T) {
			t.Parallel()
			s := openStore(t, c.store)
			bucket := s.newBucket(t)
			p := newProxy(t, s)
			p.on(&rule{match: func(operation, _ string) bool { return operation == "PutObject" || operation == "UploadPart" },
				latency: 100 * time.Millisecond})
			m := newMount(t, mountOptions{store: s, endpoint: p.endpoint, source: "s3://" + bucket, args: []string{"--commit=" + c.commit}})
			for i := range 3 {
				if err := os.Mkdir(filepath.Join(m.dir, fmt.Sprintf("d%d", i)), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			w := &writers{promises: map[string]*promise{}}
			wait := w.run(t, m.dir, 20)
			w.awaitFirst(t)
			time.Sleep(c.after)
			m.kill()
			wait()
			p.clear()
			if c.commit == "close" {
				w.check(t, s.snapshot(t, bucket, ""))
			}
			m = m.again(func(o *mountOptions) { o.noisy = "interrupted|recover" })
			m.unmount()
			w.check(t, s.snapshot(t, bucket, ""))
			tell(t, 1, len(w.promises), 1)
		})
	}
}

// TestKilledTwice: a crash during the recovery loses nothing either.
func TestKilledTwice(t *testing.T) {
	t.Parallel()
	s := openStore(t, "versitygw")
	bucket := s.newBucket(t)
	p := newProxy(t, s)
	hold := &rule{match: func(operation, _ string) bool {
		return operation == "PutObject" || operation == "UploadPart" || operation == "CompleteMultipartUpload"
	}, hold: make(chan struct{})}
	m := newMount(t, mountOptions{store: s, endpoint: p.endpoint, source: "s3://" + bucket, args: []string{"--commit=background"}})
	w := &writers{promises: map[string]*promise{}}
	for i := range 3 {
		if err := os.Mkdir(filepath.Join(m.dir, fmt.Sprintf("d%d", i)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p.on(hold) // nothing is stored from here on
	for i := range 20 {
		if i%4 == 3 {
			continue // these fsync, which would wait
		}
		if err := w.write(m.dir, fmt.Sprintf("d%d/file%d", i%3, i), i, i); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.snapshot(t, bucket, "d0/file")); n != 0 {
		t.Fatalf("%d files are stored, though the store was held", n)
	}
	m.kill()
	m = m.again()
	time.Sleep(500 * time.Millisecond) // it has begun to upload, and waits
	m.kill()
	p.clear()
	m = m.again()
	m.unmount()
	w.check(t, s.snapshot(t, bucket, ""))
	tell(t, 1, len(w.promises), 2)
}
