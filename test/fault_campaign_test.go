package test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A fault is one way in which a store fails, and what of a mount's requests it is for.
type fault struct {
	name       string
	operations []string // nil: all
	rule       rule
}

var (
	changing  = []string{"PutObject", "UploadPart", "CompleteMultipartUpload", "CopyObject", "UploadPartCopy", "DeleteObject", "DeleteObjects", "CreateMultipartUpload", "AbortMultipartUpload"}
	uploading = []string{"PutObject", "UploadPart"}
)

// faults: those that a mount with patience hides from programs, every one of them. Bits that change in a download are not among them:
// a range has no checksum (TestSpoiledDownloads has what has one).
var faults = []fault{
	{name: "500", rule: rule{status: 500}},
	{name: "503", rule: rule{status: 503}},
	{name: "429", rule: rule{status: 429}},
	{name: "connection lost before", rule: rule{strike: func() {}}},
	{name: "lost reply", operations: changing, rule: rule{lose: true}},
	{name: "no answer", rule: rule{hold: make(chan struct{})}},
	{name: "late answer", rule: rule{latency: 100 * time.Millisecond}},
	{name: "upload reset", operations: uploading, rule: rule{reset: 5}},
	{name: "upload reset later", operations: uploading, rule: rule{reset: 200_000}},
	{name: "bit changed in an upload", operations: uploading, rule: rule{spoil: true}},
	{name: "download cut", operations: []string{"GetObject"}, rule: rule{cut: 3}},
	{name: "download cut later", operations: []string{"GetObject"}, rule: rule{cut: 150_000}},
	{name: "download stalls", operations: []string{"GetObject"}, rule: rule{stall: 2000}},
	{name: "listing cut", operations: []string{"ListObjectsV2"}, rule: rule{cut: 300}},
	{name: "listing shorter", operations: []string{"ListObjectsV2"}, rule: rule{short: 30}},
	{name: "upload forgotten", operations: []string{"UploadPart", "CompleteMultipartUpload"}, rule: rule{status: 404, code: "NoSuchUpload"}},
	{name: "part forgotten", operations: []string{"CompleteMultipartUpload"}, rule: rule{status: 400, code: "InvalidPart"}},
}

// sizes of files, by the first letter of their names.
var sizes = []struct {
	letter string
	most   int
}{{"s", 100}, {"s", 50_000}, {"m", 2 * mib}, {"l", 12 * mib}, {"l", 24 * mib}}

// A faultyProgram changes files of its own directory, and knows what each may hold.
type faultyProgram struct {
	*testing.T
	m     *mount
	dir   string
	rng   *rand.Rand
	files map[string][][]byte // what a name may hold, nil meaning no file; one where the last call told
	count int
	calls int
	fails map[syscall.Errno]int
}

func (p *faultyProgram) path(name string) string { return p.m.in(p.dir + "/" + name) }

// certain returns a name of which it is known what it holds, "" if there is none.
func (p *faultyProgram) certain() string {
	var names []string
	for name, may := range p.files {
		if len(may) == 1 && may[0] != nil {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return names[p.rng.IntN(len(names))]
}

// did notes what a call has made of a name, or may have.
func (p *faultyProgram) did(call, name string, after []byte, err error) {
	if err == nil {
		p.files[name] = [][]byte{after}
		return
	}
	p.failed(call, name, err)
	p.files[name] = append(p.files[name], after)
}

// failed checks that an error is one that the documents name for a store that fails.
func (p *faultyProgram) failed(call, name string, err error) {
	number := errno(err)
	p.fails[number]++
	if number != syscall.EIO {
		p.Errorf("%s %s/%s: %v", call, p.dir, name, err)
	}
}

func (p *faultyProgram) step() {
	p.calls++
	name := p.certain()
	switch what := p.rng.IntN(20); {
	case name == "" || what < 6:
		size := sizes[p.rng.IntN(len(sizes))]
		if what < 4 || name == "" || name[0] != size.letter[0] {
			p.count++
			name = fmt.Sprintf("%s%d", size.letter, p.count)
			p.files[name] = [][]byte{nil}
		}
		data := bytesOf(p.rng.Uint64(), p.rng.IntN(size.most))
		p.did("write", name, data, os.WriteFile(p.path(name), data, 0o644))
	case what < 9:
		p.edit(name)
	case what < 11:
		p.count++
		to := fmt.Sprintf("%c%d", name[0], p.count)
		err := os.Rename(p.path(name), p.path(to))
		data := p.files[name][0]
		p.files[to] = [][]byte{nil}
		p.did("rename", to, data, err)
		p.did("rename", name, nil, err)
		if err != nil {
			p.fails[errno(err)]--
		}
	case what < 12:
		p.did("unlink", name, nil, os.Remove(p.path(name)))
	case what < 14:
		p.list()
	default:
		got, err := os.ReadFile(p.path(name))
		if err != nil {
			p.failed("read", name, err)
		} else if !bytes.Equal(got, p.files[name][0]) {
			p.Errorf("read %s/%s: %s", p.dir, name, firstDifference(got, p.files[name][0]))
		}
	}
}

// edit changes some bytes, or adds some.
func (p *faultyProgram) edit(name string) {
	data := slices.Clone(p.files[name][0])
	patch := bytesOf(p.rng.Uint64(), 1+p.rng.IntN(1000))
	off := len(data)
	if off > 0 && p.rng.IntN(2) == 0 {
		off = p.rng.IntN(off)
	}
	data = append(data[:off:off], append(patch, data[min(off+len(patch), len(data)):]...)...)
	f, err := os.OpenFile(p.path(name), os.O_RDWR, 0)
	if err != nil {
		p.failed("open", name, err)
		return
	}
	_, err = f.WriteAt(patch, int64(off))
	p.did("edit", name, data, errors.Join(err, f.Close()))
}

// list checks that a listing that succeeds is complete.
func (p *faultyProgram) list() {
	entries, err := os.ReadDir(p.m.in(p.dir))
	if err != nil {
		p.failed("list", "", err)
		return
	}
	shown := map[string]bool{}
	for _, e := range entries {
		shown[e.Name()] = true
	}
	for name, may := range p.files {
		if len(may) == 1 && shown[name] != (may[0] != nil) {
			p.Errorf("list %s: %s is shown: %v", p.dir, name, shown[name])
		}
	}
}

// check compares a name with what it may hold. open returns nil where there is nothing.
func (p *faultyProgram) check(where string, read func(name string) []byte) {
	for name, may := range p.files {
		got := read(name)
		if !slices.ContainsFunc(may, func(want []byte) bool { return (want == nil) == (got == nil) && bytes.Equal(want, got) }) {
			last := may[len(may)-1]
			p.Errorf("%s: %s/%s is none of %d contents that it may have: there %v, %s", where, p.dir, name, len(may), got != nil, firstDifference(got, last))
		}
	}
}

// TestFaultyCampaign: several programs work while one request of some is spoilt in some way. Calls succeed, or fail as documented; what
// succeeded is in the store at the end, with the right bytes, and nothing waits or is a conflict.
func TestFaultyCampaign(t *testing.T) {
	t.Parallel()
	seed, lasts := uint64(time.Now().UnixNano()), 5*time.Second
	if soaking() {
		lasts = time.Minute
	}
	for i, storeName := range []string{"versitygw", "minio"} {
		for j, commit := range []string{"close", "background"} {
			if !soaking() && i != j {
				continue // every pair in soak
			}
			t.Run(storeName+"/"+commit, func(t *testing.T) {
				t.Parallel()
				runFaulty(t, storeName, commit, seed+uint64(2*i+j), lasts)
			})
		}
	}
}

func runFaulty(t *testing.T, storeName, commit string, seed uint64, lasts time.Duration) {
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	s := openStore(t, storeName)
	bucket := s.newBucket(t)
	proxy := newProxy(t, s)
	m := newMount(t, mountOptions{store: s, endpoint: proxy.endpoint, source: "s3://" + bucket, noisy: `.`, args: []string{
		"--commit=" + commit, "--first-byte-timeout=2s", "--stall-timeout=2s", "--metadata-ttl=2s", "--part-size=5MiB", "--retry-timeout=2m", "--memory-limit=128MiB",
	}})
	injected := map[string]int{}
	rate := []float64{0.05, 0.15, 0.4}[rng.IntN(3)]
	proxy.mu.Lock()
	proxy.choose = func(operation, _ string) *rule {
		f := &faults[rng.IntN(len(faults))]
		if rng.Float64() > rate || f.operations != nil && !slices.Contains(f.operations, operation) {
			return nil
		}
		injected[f.name]++
		return &f.rule
	}
	proxy.mu.Unlock()
	var programs []*faultyProgram
	var running sync.WaitGroup
	for i := range 4 {
		p := &faultyProgram{T: t, m: m, dir: fmt.Sprint("d", i), rng: rand.New(rand.NewPCG(seed, uint64(i)+2)), files: map[string][][]byte{}, fails: map[syscall.Errno]int{}}
		programs = append(programs, p)
		running.Go(func() {
			if err := os.Mkdir(m.in(p.dir), 0o755); err != nil {
				p.failed("mkdir", "", err)
				return
			}
			for end := time.Now().Add(lasts); (time.Now().Before(end) || p.calls < 15) && !t.Failed(); {
				p.step()
			}
		})
	}
	running.Wait()
	proxy.clear()
	m.mustCtl("flush", ".")
	if left := m.pending(); len(left) > 0 {
		t.Errorf("at the end there is left: %+v", left)
	}
	faultCount, calls, fails := 0, 0, map[syscall.Errno]int{}
	for _, n := range injected {
		faultCount += n
	}
	objects := s.snapshot(t, bucket, "")
	for _, p := range programs {
		calls += p.calls
		for number, n := range p.fails {
			fails[number] += n
		}
		p.check("the mount", func(name string) []byte {
			got, err := os.ReadFile(p.path(name))
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Error(err)
			}
			if err == nil && got == nil {
				got = []byte{}
			}
			return got
		})
		p.check("the store", func(name string) []byte {
			if _, there := objects[p.dir+"/"+name]; !there {
				return nil
			}
			return append([]byte{}, s.get(t, bucket, p.dir+"/"+name)...)
		})
	}
	t.Logf("%d calls, %d faults (%v), failed calls: %v", calls, faultCount, injected, fails)
	m.unmount()
	if t.Failed() {
		return
	}
	tell(t, 1, calls, faultCount)
}
