package test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// An outageCall is what one program does while the store is away, in a directory of its own: the kernel lets one create, rename or
// unlink at a time into a directory, and the next one waits for it.
type outageCall struct {
	name    string
	stored  map[string][]byte // before it is mounted
	prepare func(o *outage)   // before the store goes away; may be nil
	call    func(o *outage) error
	check   func(o *outage) // of what another client sees afterwards; may be nil
}

// An outage is a mount whose store goes away for a while.
type outage struct {
	*testing.T
	store  *store
	bucket string
	m      *mount
	open   map[string]*os.File // before the store went away
}

func (o *outage) in(name string) string { return filepath.Join(o.m.dir, name) }

// holds checks what another client sees under a name.
func (o *outage) holds(name string, want []byte) {
	o.Helper()
	if got := o.store.get(o.T, o.bucket, name); !bytes.Equal(got, want) {
		o.Errorf("%s in the store: %s", name, firstDifference(got, want))
	}
}

func (o *outage) gone(name string) {
	o.Helper()
	if _, there := o.store.snapshot(o.T, o.bucket, name)[name]; there {
		o.Errorf("%s is still in the store", name)
	}
}

// reads checks what the mount shows under a name.
func (o *outage) reads(name string, want []byte) error {
	got, err := os.ReadFile(o.in(name))
	if err == nil && !bytes.Equal(got, want) {
		return fmt.Errorf("%s: %s", name, firstDifference(got, want))
	}
	return err
}

var (
	outageSmall = bytesOf(1, 10_000)
	outageBig   = bytesOf(2, 20*mib)
)

var outageCalls = []outageCall{
	{
		name: "read a small file", stored: map[string][]byte{"r/small": outageSmall},
		call: func(o *outage) error { return o.reads("r/small", outageSmall) },
	},
	{
		name: "read a large file", stored: map[string][]byte{"big/large": outageBig},
		call: func(o *outage) error { return o.reads("big/large", outageBig) },
	},
	{
		name: "read on in an open file", stored: map[string][]byte{"o/opened": outageBig},
		prepare: func(o *outage) {
			f, err := os.Open(o.in("o/opened"))
			if err != nil {
				o.Fatal(err)
			}
			o.open["opened"] = f
		},
		call: func(o *outage) error {
			defer o.open["opened"].Close()
			got, err := io.ReadAll(o.open["opened"])
			if err == nil && !bytes.Equal(got, outageBig) {
				err = errors.New(firstDifference(got, outageBig))
			}
			return err
		},
	},
	{
		name: "write and close", call: func(o *outage) error { return os.WriteFile(o.in("w1/written"), outageSmall, 0o644) },
		check: func(o *outage) { o.holds("w1/written", outageSmall) },
	},
	{
		name: "write parts and close", call: func(o *outage) error { return os.WriteFile(o.in("w2/parts"), outageBig, 0o644) },
		check: func(o *outage) { o.holds("w2/parts", outageBig) },
	},
	{
		name: "close what is written",
		prepare: func(o *outage) {
			for name, data := range map[string][]byte{"half": outageSmall, "halves": outageBig} {
				f, err := os.Create(o.in(name))
				if err == nil {
					_, err = f.Write(data)
				}
				if err != nil {
					o.Fatal(err)
				}
				o.open[name] = f
			}
		},
		call:  func(o *outage) error { return errors.Join(o.open["half"].Close(), o.open["halves"].Close()) },
		check: func(o *outage) { o.holds("half", outageSmall); o.holds("halves", outageBig) },
	},
	{
		name: "fsync",
		prepare: func(o *outage) {
			f, err := os.Create(o.in("synced"))
			if err == nil {
				_, err = f.Write(outageSmall)
			}
			if err != nil {
				o.Fatal(err)
			}
			o.open["synced"] = f
		},
		call: func(o *outage) error {
			err := o.open["synced"].Sync()
			return errors.Join(err, o.open["synced"].Close())
		},
		check: func(o *outage) { o.holds("synced", outageSmall) },
	},
	{
		name: "edit", stored: map[string][]byte{"e/edited": outageBig},
		call: func(o *outage) error {
			f, err := os.OpenFile(o.in("e/edited"), os.O_RDWR, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteAt(outageSmall, 3*mib)
			return errors.Join(err, f.Close())
		},
		check: func(o *outage) {
			o.holds("e/edited", slices.Concat(outageBig[:3*mib], outageSmall, outageBig[3*mib+len(outageSmall):]))
		},
	},
	{
		name:   "list",
		stored: map[string][]byte{"l/a": nil, "l/b/c": nil},
		call: func(o *outage) error {
			entries, err := os.ReadDir(o.in("l"))
			if err == nil && len(entries) != 2 {
				err = fmt.Errorf("%d names: %v", len(entries), entries)
			}
			return err
		},
	},
	{
		name: "look for what is not there",
		call: func(o *outage) error {
			if _, err := os.Stat(o.in("nowhere/nothing")); !errors.Is(err, syscall.ENOENT) {
				return err
			}
			return nil
		},
	},
	{
		name: "rename", stored: map[string][]byte{"n/from": outageSmall},
		call:  func(o *outage) error { return os.Rename(o.in("n/from"), o.in("n/to")) },
		check: func(o *outage) { o.holds("n/to", outageSmall); o.gone("n/from") },
	},
	{
		name:   "rename a directory",
		stored: map[string][]byte{"d/a/x": outageSmall, "d/a/y": nil},
		call:   func(o *outage) error { return os.Rename(o.in("d/a"), o.in("d/b")) },
		check:  func(o *outage) { o.holds("d/b/x", outageSmall); o.gone("d/a/x") },
	},
	{
		name: "unlink", stored: map[string][]byte{"u/unlinked": outageSmall},
		call:  func(o *outage) error { return os.Remove(o.in("u/unlinked")) },
		check: func(o *outage) { o.gone("u/unlinked") },
	},
	{name: "make a directory", stored: map[string][]byte{"m/": nil, "w1/": nil, "w2/": nil, "nowhere/": nil}, call: func(o *outage) error { return os.Mkdir(o.in("m/made"), 0o755) }},
	{
		name: "remove a directory", stored: map[string][]byte{"rm/removed/": nil},
		call: func(o *outage) error { return os.Remove(o.in("rm/removed")) },
	},
	{
		name: "copy", stored: map[string][]byte{"c/origin": outageBig},
		call: func(o *outage) error {
			from, err := os.Open(o.in("c/origin"))
			if err != nil {
				return err
			}
			defer from.Close()
			to, err := os.Create(o.in("c/copied"))
			if err != nil {
				return err
			}
			_, err = io.Copy(to, from)
			return errors.Join(err, to.Close())
		},
		check: func(o *outage) { o.holds("c/copied", outageBig) },
	},
	{
		name: "set a tag", stored: map[string][]byte{"x/tagged": nil},
		call: func(o *outage) error {
			return errors.Join(unix.Setxattr(o.in("x/tagged"), "user.s3.tag.colour", []byte("red"), 0))
		},
	},
	{
		name: "truncate", stored: map[string][]byte{"t/cut": outageSmall},
		call:  func(o *outage) error { return os.Truncate(o.in("t/cut"), 100) },
		check: func(o *outage) { o.holds("t/cut", outageSmall[:100]) },
	},
}

func newOutage(t *testing.T, s *store, endpoint string, args ...string) *outage {
	t.Helper()
	o := &outage{T: t, store: s, bucket: s.newBucket(t), open: map[string]*os.File{}}
	for _, c := range outageCalls {
		for name, data := range c.stored {
			s.put(t, o.bucket, name, data)
		}
	}
	o.m = newMount(t, mountOptions{store: s, endpoint: endpoint, source: "s3://" + o.bucket, args: args, noisy: `.`})
	for _, dir := range strings.Fields("w1 w2 e n d m rm c x t u l nowhere r big o") { // the store is away for what is in them
		if _, err := os.Stat(o.in(dir)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range outageCalls {
		if c.prepare != nil {
			c.prepare(o)
		}
	}
	return o
}

// result is how one call ended.
type result struct {
	err  error
	took time.Duration
}

// begin starts all calls at once; wait returns how they ended.
func (o *outage) begin() (wait func() map[string]result) {
	var mu sync.Mutex
	var calls sync.WaitGroup
	results := map[string]result{}
	for _, c := range outageCalls {
		calls.Go(func() {
			start := time.Now()
			err := c.call(o)
			mu.Lock()
			defer mu.Unlock()
			results[c.name] = result{err, time.Since(start)}
		})
	}
	return func() map[string]result { calls.Wait(); return results }
}

// checkAll compares the store with what every call has done.
func (o *outage) checkAll() {
	o.Helper()
	for _, c := range outageCalls {
		if c.check != nil {
			c.check(o)
		}
	}
}

// TestOutage: whatever the store does not do for a while, programs wait and then go on without an error.
func TestOutage(t *testing.T) {
	t.Parallel()
	lasts := 2500 * time.Millisecond
	args := []string{"--first-byte-timeout=1s", "--connect-timeout=1s", "--stall-timeout=1s"}
	if soaking() {
		lasts, args = 60*time.Second, nil
	}
	for _, storeName := range []string{"versitygw", "minio"} {
		for _, way := range []string{"holds everything", "stopped", "restarted"} {
			if storeName == "minio" && way != "holds everything" && !soaking() {
				continue // they take a server of their own each
			}
			t.Run(storeName+"/"+way, func(t *testing.T) {
				t.Parallel()
				var o *outage
				var away, back func()
				if way == "holds everything" {
					s := openStore(t, storeName)
					p := newProxy(t, s)
					o = newOutage(t, s, p.endpoint, args...)
					away = func() { p.on(&rule{match: everything, hold: make(chan struct{})}) }
					back = p.clear
				} else {
					s := newOwnServer(t, storeName)
					o = newOutage(t, s.store, "", args...)
					away, back = s.stop, s.goOn
					if way == "restarted" {
						away, back = s.kill, s.start
					}
				}
				away()
				wait := o.begin()
				time.Sleep(lasts)
				back()
				for name, r := range wait() {
					if r.err != nil {
						t.Errorf("%s: %v after %v", name, r.err, r.took)
					}
				}
				o.checkAll()
				(&pair{T: t, store: o.store, bucket: o.bucket}).nothingKept(o.m)
				o.m.unmount()
				tell(t, 1, len(outageCalls), 1)
			})
		}
	}
}

// TestOutageThatLasts: a call ends with EIO when the store has been away for --retry-timeout, and the attempt that is then under
// way, at most --first-byte-timeout later; what was written is stored afterwards.
func TestOutageThatLasts(t *testing.T) {
	t.Parallel()
	for _, storeName := range []string{"versitygw", "minio"} {
		t.Run(storeName, func(t *testing.T) {
			t.Parallel()
			const limit, first = 2 * time.Second, 2 * time.Second
			s := openStore(t, storeName)
			p := newProxy(t, s)
			o := newOutage(t, s, p.endpoint, "--retry-timeout="+limit.String(), "--first-byte-timeout="+first.String(), "--stall-timeout="+first.String())
			p.on(&rule{match: everything, hold: make(chan struct{})})
			// With five attempts, and once more as many by who waits, it would be twenty seconds and more.
			const slack = 5 * time.Second
			for name, r := range o.begin()() {
				if errno(r.err) != syscall.EIO && !strings.Contains(fmt.Sprint(r.err), syscall.EIO.Error()) {
					t.Errorf("%s: %v, want EIO", name, r.err)
				}
				if r.took < limit/2 || r.took > limit+first+slack {
					t.Errorf("%s took %v", name, r.took)
				}
			}
			p.clear()
			w := &workspace{T: t}
			for name, want := range map[string][]byte{"half": outageSmall, "halves": outageBig, "synced": outageSmall} {
				w.eventually(name+" to be stored", func() bool {
					_, there := s.snapshot(t, o.bucket, name)[name]
					return there
				})
				o.holds(name, want)
			}
			(&pair{T: t, store: s, bucket: o.bucket}).nothingKept(o.m)
			o.m.unmount()
		})
	}
}
