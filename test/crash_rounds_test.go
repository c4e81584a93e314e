package test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A crashPoint is where objmount is killed: at a request to the store, before or after the store has done it, or at a write to its
// journal (then the binary has the points, see cache/staging/disk_crashpoints.go); else after some time.
type crashPoint struct {
	operation string
	after     bool
	journal   string   // "before", "torn" or "after"
	favours   []string // calls that lead there
	large     bool     // with files larger than a part
}

func (p crashPoint) String() string {
	when := "before"
	if p.after {
		when = "after"
	}
	switch {
	case p.journal != "":
		return "journal " + p.journal
	case p.operation != "":
		return when + " " + p.operation
	}
	return "any time"
}

var crashPoints = points()

// points has writes to the journal between the others, because these are many kinds of moments.
func points() []crashPoint {
	var all []crashPoint
	for i, operation := range []crashPoint{
		{operation: "PutObject"}, {operation: "UploadPart", large: true}, {operation: "CopyObject", favours: []string{"rename"}},
		{operation: "CompleteMultipartUpload", large: true}, {operation: "DeleteObject", favours: []string{"rename", "unlink"}},
		{operation: "CreateMultipartUpload", large: true}, {operation: "UploadPartCopy", large: true, favours: []string{"edit"}},
	} {
		after := operation
		after.after = true
		all = append(all, operation, crashPoint{journal: []string{"before", "torn", "after"}[i%3], large: i%4 == 0}, after)
		if i%3 == 0 {
			all = append(all, crashPoint{})
		}
	}
	return all
}

// A chain is a bucket, and objmount that crashes again and again while programs work in it.
type chain struct {
	*testing.T
	store    *store
	bucket   string
	commit   string
	proxy    *proxy
	rng      *rand.Rand
	trigger  string // file that tells the binary with points of the journal where to crash
	mount    *mount
	programs []*program
	struck   int
	uploads  map[string]bool // ids of multipart uploads that a request used: the journal knows them
}

// TestCrashRounds kills objmount at named points while programs write, edit, rename and remove, mounts again, and looks at what the
// store has: every call that returned is done, the one under way is done or not done, nothing is in conflict, no upload is forgotten.
func TestCrashRounds(t *testing.T) {
	t.Parallel()
	chains, rounds := 10, 5
	if os.Getenv("OBJMOUNT_SOAK") != "" {
		chains, rounds = 12, 12
	}
	seed := uint64(time.Now().UnixNano())
	for i := range chains {
		storeName, commit := []string{"versitygw", "minio"}[i%2], []string{"close", "background"}[i/2%2]
		t.Run(fmt.Sprintf("%d,%s,%s", i, storeName, commit), func(t *testing.T) {
			t.Parallel()
			t.Logf("seed %d", seed+uint64(i))
			c := newChain(t, storeName, commit, seed+uint64(i))
			for k := range rounds {
				c.round(k, crashPoints[(int(seed%1000)+i*rounds+k)%len(crashPoints)])
				if t.Failed() {
					return
				}
			}
			c.finish(rounds)
		})
	}
}

func newChain(t *testing.T, storeName, commit string, seed uint64) *chain {
	s := openStore(t, storeName)
	c := &chain{T: t, store: s, bucket: s.newBucket(t), commit: commit, proxy: newProxy(t, s), rng: rand.New(rand.NewPCG(seed, 1)),
		trigger: filepath.Join(t.TempDir(), "crash"), uploads: map[string]bool{}}
	binary, err := shared.crashing()
	if err != nil {
		t.Fatal(err)
	}
	c.mount = newMount(t, mountOptions{
		store: s, endpoint: c.proxy.endpoint, source: "s3://" + c.bucket, args: []string{"--commit=" + commit, "--part-size=5MiB", "--metadata-ttl=500ms"},
		noisy: ".", binary: binary, env: []string{"OBJMOUNT_TEST_CRASH_AT=" + c.trigger},
	})
	for i := range 4 {
		p := newProgram(c.mount.in(fmt.Sprintf("w%d", i)), c.rng.Uint64())
		if err := os.Mkdir(p.dir, 0o755); err != nil {
			t.Fatal(err)
		}
		c.programs = append(c.programs, p)
	}
	return c
}

// round lets the programs work until objmount is killed, mounts again, once more if it is killed while it takes up what was left, and
// looks.
func (c *chain) round(number int, point crashPoint) {
	point.large = point.large || c.rng.IntN(12) == 0
	before := c.calls()
	c.work(point)
	c.proxy.clear()
	c.Logf("round %d: %s, after %d calls, struck %v", number, point, c.calls()-before, c.struck)
	if c.commit == "close" {
		objects := c.store.snapshot(c.T, c.bucket, "")
		for i, p := range c.programs {
			reportSome(c.T, p.missing(fmt.Sprintf("w%d/", i), objects))
		}
	}
	c.mountAgain()
	for c.rng.IntN(6) == 0 {
		time.Sleep(time.Duration(c.rng.IntN(100)) * time.Millisecond)
		c.mountAgain()
	}
	c.check()
	tell(c.T, 1, c.calls()-before, 1)
}

func (c *chain) calls() int {
	n := 0
	for _, p := range c.programs {
		n += p.calls
	}
	return n
}

func (c *chain) mountAgain() {
	c.mount.kill()
	_ = os.Remove(c.trigger)
	c.mount = c.mount.again()
	for i, p := range c.programs {
		p.dir = c.mount.in(fmt.Sprintf("w%d", i))
	}
}

// work has the programs make some calls each, and kills objmount at the point, at the latest when they are done.
func (c *chain) work(point crashPoint) {
	m := c.mount
	kill := m.cmd.Process.Kill // of this process, also when another one has taken its place
	struck := make(chan struct{}, 1)
	switch {
	case point.journal != "":
		if err := os.WriteFile(c.trigger+".new", fmt.Appendf(nil, "journal-%s:%d", point.journal, 1+c.rng.IntN(20)), 0o600); err != nil {
			c.Fatal(err)
		}
		if err := os.Rename(c.trigger+".new", c.trigger); err != nil {
			c.Fatal(err)
		}
	case point.operation != "":
		c.proxy.on(&rule{match: operations(point.operation), from: 1 + c.rng.IntN(2), times: 1, after: point.after, strike: func() {
			_ = kill()
			struck <- struct{}{}
		}})
	default:
		timer := time.AfterFunc(time.Duration(20+c.rng.IntN(400))*time.Millisecond, func() { _ = kill() })
		defer timer.Stop()
	}
	var group sync.WaitGroup
	for _, p := range c.programs {
		p.favours, p.large = point.favours, point.large
		count := 3 + c.rng.IntN(6)
		group.Go(func() {
			for range count {
				if err := p.step(); err != nil {
					select {
					case <-m.exited:
					case <-time.After(10 * time.Second):
						c.Errorf("%s: %v, and objmount runs", p.dir, err)
					}
					return
				}
			}
		})
	}
	group.Wait()
	select {
	case <-struck:
		c.struck++
	case <-m.exited: // at a point of the journal, or the time
		c.struck++
	default:
		m.kill()
	}
}

// check waits until all is stored and compares.
func (c *chain) check() {
	c.mount.mustCtl("flush", ".")
	kept := c.mount.pending(".")
	for _, k := range kept {
		if k.State != "interrupted" {
			c.Errorf("kept after a crash, without another client: %+v", k)
		}
	}
	objects := c.store.snapshot(c.T, c.bucket, "")
	for i, p := range c.programs {
		reportSome(c.T, p.settle(fmt.Sprintf("w%d/", i), objects))
		if !c.Failed() {
			reportSome(c.T, c.shown(p))
		}
	}
	if n := c.unfinished(); n > len(kept) {
		c.Errorf("%d uploads that the journal knows are left, %d files are kept", n, len(kept))
	}
	if c.Failed() {
		c.Logf("kept: %+v\nlog of the last mount:\n%s", kept, c.mount.log.tail())
	}
}

// shown compares what the mount shows with what the store has. A listing that the mount has made before the last request of its predecessor
// came to an end in the store may be shown as long as listings are.
func (c *chain) shown(p *program) (problems []string) {
	for range 20 {
		if problems = p.shown(); len(problems) == 0 {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	return problems
}

// finish drops what is kept and unmounts; no upload is left then.
func (c *chain) finish(rounds int) {
	if len(c.mount.pending(".")) > 0 {
		c.mount.mustCtl("drop", "--yes", "--recursive", ".")
	}
	c.mount.unmount()
	if n := c.unfinished(); n > 0 {
		c.Errorf("%d uploads that the journal knew are left", n)
	}
	c.Logf("%d of %d rounds met their point", c.struck, rounds)
}

// unfinished counts the uploads in the bucket that a request has used. One that was made and not used is one whose id the journal may not
// have: it could be another client's that has just begun, and is aborted when it is old.
func (c *chain) unfinished() int {
	for _, request := range c.proxy.take().requests {
		if _, query, ok := strings.Cut(request, "?"); ok {
			if values, err := url.ParseQuery(query); err == nil && values.Get("uploadId") != "" {
				c.uploads[values.Get("uploadId")] = true
			}
		}
	}
	var list struct {
		Uploads []struct {
			Key      string
			UploadID string `json:"UploadId"`
		}
	}
	c.store.boto(c.T, "list_multipart_uploads", map[string]any{"Bucket": c.bucket}, &list)
	count := 0
	for _, up := range list.Uploads {
		if c.uploads[up.UploadID] {
			c.Logf("unfinished: %s %s", up.Key, up.UploadID)
			count++
		}
	}
	return count
}
