package test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A crashPoint is where objmount is killed: at a request to the store, before or after the store has done it, or at a write to its
// journal (then the binary has the points, see cache/staging/disk_crashpoints.go); else after some time.
type crashPoint struct {
	operation string
	after     bool
	journal   string // "before", "torn" or "after"
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

var crashPoints = []crashPoint{
	{}, {operation: "PutObject"}, {operation: "PutObject", after: true}, {journal: "before"}, {operation: "UploadPart"}, {operation: "UploadPart", after: true},
	{journal: "torn"}, {operation: "CompleteMultipartUpload"}, {operation: "CompleteMultipartUpload", after: true}, {journal: "after"},
	{operation: "CopyObject"}, {operation: "CopyObject", after: true}, {operation: "DeleteObject"}, {operation: "DeleteObject", after: true},
	{operation: "CreateMultipartUpload"}, {operation: "CreateMultipartUpload", after: true}, {operation: "UploadPartCopy"}, {operation: "UploadPartCopy", after: true},
}

// claim is what one name may hold after a crash.
type claim struct {
	must string   // digest of what the last call that returned has left; "": nothing
	may  []string // what a call under way may have made of it
	gone string   // the name that a rename under way moves it to; "": none
	old  []string // what earlier calls had left: an unlink under way may have dropped the newest content, which is kept as interrupted, and not the object yet
}

// program is one writer with names of its own.
type program struct {
	dir     string
	rng     *rand.Rand
	claims  map[string]*claim
	content map[string][]byte // of what is stored under a name, as far as it is certain
	made    int
	calls   int
}

func (p *program) name() string {
	p.made++
	return fmt.Sprintf("f%d", p.made)
}

func (p *program) some() string {
	names := make([]string, 0, len(p.content))
	for name := range p.content {
		names = append(names, name)
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return names[p.rng.IntN(len(names))]
}

// step makes one change and returns its error.
func (p *program) step() error {
	p.calls++
	name := p.some()
	switch what := p.rng.IntN(10); {
	case name == "" || what < 4:
		if name == "" || what < 3 {
			name = p.name()
		}
		return p.put(name, bytesOf(p.rng.Uint64(), []int{10, 5000, 300_000, 2 << 20, 11 << 20}[p.rng.IntN(5)]))
	case what < 6: // an edit in the middle
		data := slices.Clone(p.content[name])
		off := p.rng.IntN(len(data) + 1)
		patch := bytesOf(p.rng.Uint64(), 1+p.rng.IntN(100_000))
		data = append(data[:off:off], append(slices.Clone(patch), data[min(off+len(patch), len(data)):]...)...)
		return p.edit(name, data, patch, int64(off))
	case what < 8:
		return p.rename(name, p.name())
	default:
		return p.unlink(name)
	}
}

func (p *program) put(name string, data []byte) error {
	return p.change(name, data, func() error {
		f, err := os.OpenFile(filepath.Join(p.dir, name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
		if err != nil {
			return err
		}
		return p.finish(f, data, 0)
	})
}

func (p *program) edit(name string, data, patch []byte, off int64) error {
	return p.change(name, data, func() error {
		f, err := os.OpenFile(filepath.Join(p.dir, name), os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return p.finish(f, patch, off)
	})
}

func (p *program) finish(f *os.File, data []byte, off int64) error {
	_, err := f.WriteAt(data, off)
	if err == nil && p.rng.IntN(3) == 0 {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// change notes what a call may leave, makes it, and notes what it has left.
func (p *program) change(name string, data []byte, do func() error) error {
	c := p.claims[name]
	if c == nil {
		c = &claim{}
		p.claims[name] = c
	}
	c.may = append(c.may, digest(data))
	if err := do(); err != nil {
		return err
	}
	c.old = append(c.old, c.must)
	c.must, c.may = digest(data), nil
	p.content[name] = data
	return nil
}

func (p *program) rename(from, to string) error {
	p.claims[to] = &claim{may: []string{p.claims[from].must}}
	p.claims[from].gone = to
	if err := os.Rename(filepath.Join(p.dir, from), filepath.Join(p.dir, to)); err != nil {
		return err
	}
	p.claims[to] = &claim{must: p.claims[from].must}
	p.claims[from] = &claim{}
	p.content[to] = p.content[from]
	delete(p.content, from)
	return nil
}

func (p *program) unlink(name string) error {
	p.claims[name].may = append(p.claims[name].old, "")
	if err := os.Remove(filepath.Join(p.dir, name)); err != nil {
		return err
	}
	p.claims[name] = &claim{}
	delete(p.content, name)
	return nil
}

// problems compares the claims with what the store has below a prefix.
func (p *program) problems(prefix string, objects map[string]object) []string {
	var out []string
	digestAt := func(name string) string { return objects[prefix+name].SHA256 }
	for name, c := range p.claims {
		got := digestAt(name)
		switch {
		case got == c.must || slices.Contains(c.may, got):
		case c.gone != "" && digestAt(c.gone) == c.must: // a rename under way; the old name may still have what was stored before
		case c.must == "" && got != "" && len(c.may) > 0: // a new file that no program had finished, as far as it was written
		default:
			out = append(out, fmt.Sprintf("%s%s has %.8q, want %.8q or one of %.8q (rename to %q, which has %.8q)", prefix, name, got, c.must, c.may, c.gone, digestAt(c.gone)))
		}
	}
	return out
}

// TestCrashRounds kills objmount at named points while programs write, edit, rename and remove, mounts again, and looks at what the store has.
func TestCrashRounds(t *testing.T) {
	rounds := 50
	if os.Getenv("OBJMOUNT_SOAK") != "" {
		rounds = 150
	}
	seed := uint64(time.Now().UnixNano())
	for i := range rounds {
		point, store, commit := crashPoints[i%len(crashPoints)], []string{"versitygw", "minio"}[i/len(crashPoints)%2], []string{"close", "background"}[(i+i/len(crashPoints)/2)%2]
		t.Run(fmt.Sprintf("%d,%s,%s,%s", i, store, commit, strings.ReplaceAll(point.String(), " ", "-")), func(t *testing.T) {
			t.Parallel()
			t.Logf("seed %d", seed+uint64(i))
			crashRound(t, store, commit, point, rand.New(rand.NewPCG(seed+uint64(i), 1)))
		})
	}
}

func crashRound(t *testing.T, storeName, commit string, point crashPoint, rng *rand.Rand) {
	s := openStore(t, storeName)
	bucket := s.newBucket(t)
	p := newProxy(t, s)
	o := mountOptions{store: s, endpoint: p.endpoint, source: "s3://" + bucket, args: []string{"--commit=" + commit}, noisy: "."}
	if point.journal != "" {
		var err error
		if o.binary, err = shared.crashing(); err != nil {
			t.Fatal(err)
		}
		o.env = []string{fmt.Sprintf("OBJMOUNT_TEST_CRASH_AT=journal-%s:%d", point.journal, 2+rng.IntN(60))}
	}
	m := newMount(t, o)
	kill := m.cmd.Process.Kill // of this process, also when another one has taken its place
	programs := make([]*program, 4)
	for i := range programs {
		programs[i] = &program{dir: m.in(fmt.Sprintf("w%d", i)), rng: rand.New(rand.NewPCG(rng.Uint64(), 2)), claims: map[string]*claim{}, content: map[string][]byte{}}
		if err := os.Mkdir(programs[i].dir, 0o755); err != nil && m.running() {
			t.Fatal(err)
		}
	}
	if point.operation != "" {
		p.on(&rule{match: operations(point.operation), from: 1 + rng.IntN(4), times: 1, after: point.after, strike: func() { _ = kill() }})
	}
	deadline := time.AfterFunc(time.Duration(500+rng.IntN(2500))*time.Millisecond, func() { _ = kill() })
	defer deadline.Stop()
	var group sync.WaitGroup
	for _, w := range programs {
		group.Go(func() {
			for {
				if err := w.step(); err != nil {
					if !slices.Contains([]syscall.Errno{syscall.ENOTCONN, syscall.ECONNABORTED, syscall.EIO, syscall.ENOENT}, errno(err)) {
						t.Errorf("%s: %v", w.dir, err)
					}
					return
				}
			}
		})
	}
	group.Wait()
	m.kill()
	p.clear()
	before := map[string]object{}
	if commit == "close" {
		before = s.snapshot(t, bucket, "")
	}
	m = m.again(func(o *mountOptions) { o.env = nil })
	m.mustCtl("flush", ".")
	kept := m.pending(".")
	m.unmount()
	after := s.snapshot(t, bucket, "")
	calls := 0
	for i, w := range programs {
		calls += w.calls
		prefix := fmt.Sprintf("w%d/", i)
		reportSome(t, w.problems(prefix, after))
		if commit == "close" {
			reportSome(t, w.missing(prefix, before))
		}
	}
	if t.Failed() {
		t.Logf("kept: %+v\nlog of the second mount:\n%s", kept, m.log.tail())
	}
	// An upload that belongs to what is kept is known; no other is left with parts. One without parts may be another client's that has just
	// begun: it is aborted when it is old.
	if n := s.unfinishedWithParts(t, bucket); n > len(kept) {
		t.Errorf("%d unfinished uploads are left, %d files are kept\nlog of the second mount:\n%s", n, len(kept), m.log.tail())
	}
	tell(t, 1, calls, 1)
}

// missing are the names whose content was not in the store before the next mount though their close had returned. A rename
// of an edit that is under way may take it to the other name.
func (p *program) missing(prefix string, objects map[string]object) []string {
	var out []string
	for name, c := range p.claims {
		if got := objects[prefix+name].SHA256; c.must != "" && len(c.may) == 0 && c.gone == "" && got != c.must {
			out = append(out, fmt.Sprintf("%s%s: close had returned, the store has %.8q", prefix, name, got))
		}
	}
	return out
}

// unfinishedWithParts counts the unfinished uploads in a bucket that have a part.
func (s *store) unfinishedWithParts(t testing.TB, bucket string) int {
	t.Helper()
	var uploads struct {
		Uploads []struct {
			Key      string
			UploadID string `json:"UploadId"`
		}
	}
	s.boto(t, "list_multipart_uploads", map[string]any{"Bucket": bucket}, &uploads)
	count := 0
	for _, up := range uploads.Uploads {
		var parts struct{ Parts []map[string]any }
		s.boto(t, "list_parts", map[string]any{"Bucket": bucket, "Key": up.Key, "UploadId": up.UploadID}, &parts)
		if len(parts.Parts) > 0 {
			t.Logf("unfinished: %s with %d parts", up.Key, len(parts.Parts))
			count++
		}
	}
	return count
}
