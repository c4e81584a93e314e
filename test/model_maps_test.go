package test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// A mapsCall is what a program does on one of two mounts, or another client in the bucket.
type mapsCall struct {
	who        int // 0 and 1: the mounts; 2: the other client
	what       string
	key, other string
	handle     int
	flags      int
	off        int64
	n          int
	seed       uint64 // of a choice
}

func (c mapsCall) String() string {
	who := []string{"first mount", "second mount", "other client"}[c.who]
	return fmt.Sprintf("%s: %s(%q, %q, handle %d, %#x, %d at %d, %d)", who, c.what, c.key, c.other, c.handle, c.flags, c.n, c.off, c.seed)
}

var (
	mapsKeys    = []string{"f", "d/f", "g", "d/g", "d/e/f", "e/f"}
	mapsFolders = []string{"d", "d/e", "e"}
	mapsMounted = map[string]int{
		"open": 40, "write": 30, "truncate": 8, "read": 30, "fsync": 8, "close": 40, "stat": 15, "cat": 15, "unlink": 12, "rename": 12,
		"mkdir": 8, "rmdir": 8, "readdir": 10, "evict": 1, "flush": 2, "remount": 1,
	}
	mapsForeign = map[string]int{"put": 40, "delete": 15, "clear": 5, "get": 20}
)

func weighted(weights map[string]int) []string {
	var all []string
	for what, weight := range sortedMap(weights) {
		all = append(all, slices.Repeat([]string{what}, weight)...)
	}
	return all
}

// mapsCalls makes lists of calls on few names.
func mapsCalls(large int) *rapid.Generator[[]mapsCall] {
	sizes := append(slices.Repeat([]int{1, 10, 100, 4095, 4096, 5000, 70_001, 131_072}, 4), large)
	flags := []int{
		unix.O_RDONLY, unix.O_RDONLY, unix.O_RDWR, unix.O_RDWR, unix.O_WRONLY, unix.O_RDWR | unix.O_CREAT, unix.O_RDWR | unix.O_CREAT, unix.O_RDWR | unix.O_APPEND,
		unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC, unix.O_WRONLY | unix.O_TRUNC, unix.O_RDWR | unix.O_CREAT | unix.O_EXCL,
	}
	mounted, foreign := weighted(mapsMounted), weighted(mapsForeign)
	one := rapid.Custom(func(t *rapid.T) mapsCall {
		c := mapsCall{
			who:    rapid.SampledFrom([]int{0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2}).Draw(t, "who"),
			key:    rapid.SampledFrom(mapsKeys).Draw(t, "key"),
			other:  rapid.SampledFrom(mapsKeys).Draw(t, "other"),
			handle: rapid.IntRange(0, handles-1).Draw(t, "handle"),
			flags:  rapid.SampledFrom(flags).Draw(t, "flags"),
			off:    int64(rapid.SampledFrom(append([]int{0, 0}, sizes...)).Draw(t, "off")),
			n:      rapid.SampledFrom(sizes).Draw(t, "n"),
			seed:   rapid.Uint64Range(0, 11).Draw(t, "seed"),
		}
		if c.what = rapid.SampledFrom(mounted).Draw(t, "what"); c.who == 2 {
			c.what = rapid.SampledFrom(foreign).Draw(t, "what")
		}
		return c
	})
	lists := rapid.SliceOfN(rapid.SliceOfN(one, 0, 40), 8, 40)
	return rapid.Map(lists, func(lists [][]mapsCall) []mapsCall { return slices.Concat(lists...) })
}

// mapsTTL is how old a mount's answers may be.
const mapsTTL = "0s"

// A mapsRun is two mounts of one bucket.
type mapsRun struct {
	*testing.T
	server     *store
	bucket     string
	background bool
	mounts     [2]*mount
	cases      int
	applied    int
	bytes      uint64 // seed of the next that are written: all are different
}

// A mapsCase is one sequence of calls in a directory of its own.
type mapsCase struct {
	*mapsRun
	dir    string
	store  *mapsStore
	actors [2]*mapsActor
	said   []string

	cleared map[string]bool // directories whose marker the other client has deleted
}

// TestLikeMaps applies random calls to two mounts of a bucket, as on two machines, while another client changes it too. What each call
// answers is compared with a model that is only maps; in the end the bucket is what the maps are.
func TestLikeMaps(t *testing.T) {
	checks := "2"
	if os.Getenv("OBJMOUNT_SOAK") != "" {
		checks = "60"
		setFlag(t, "rapid.shrinktime", "3m")
	}
	setFlag(t, "rapid.checks", checks)
	setFlag(t, "rapid.nofailfile", "true")
	for _, c := range combinations() {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			run := newMapsRun(t, c)
			defer time.AfterFunc(10*time.Minute, func() { run.mounts[0].dumpGoroutines(); run.mounts[1].dumpGoroutines() }).Stop()
			large := 1<<20 + 1
			if c.diskCache { // who reads a large one past the page cache keeps the inode of before when another begins to write
				large = 1 << 20
			}
			calls := mapsCalls(large)
			defer func() { tell(t, run.cases, run.applied, 0) }()
			rapid.Check(t, func(t *rapid.T) { run.check(t, calls.Draw(t, "calls")) })
		})
	}
}

func newMapsRun(t *testing.T, c combination) *mapsRun {
	t.Helper()
	s := openStore(t, c.store)
	run := &mapsRun{T: t, server: s, bucket: s.newBucket(t), background: c.background}
	for i := range run.mounts {
		run.mounts[i] = newMount(t, mountOptions{
			store: s, source: "s3://" + run.bucket, args: append(c.args(), "--metadata-ttl="+mapsTTL, "--negative-ttl="+mapsTTL),
			noisy: `(?i)conflict|another client|changed|the last close failed.*stale file handle|` + killedCopyNoise,
		})
	}
	return run
}

func (run *mapsRun) check(t *rapid.T, calls []mapsCall) {
	run.cases++
	c := &mapsCase{mapsRun: run, dir: fmt.Sprintf("case%d", run.cases), store: &mapsStore{objects: map[string]*mapsVersion{}, markers: map[string]bool{}}, cleared: map[string]bool{}}
	for i := range c.actors {
		c.actors[i] = &mapsActor{mapsCase: c, who: i, model: newMapsMount()}
	}
	defer c.release()
	if err := os.Mkdir(c.actors[0].path(""), 0o755); err != nil {
		t.Fatal(err)
	}
	for i, call := range calls {
		said, err := c.step(call)
		c.said = append(c.said, fmt.Sprintf("%v -> %s", call, said))
		if err != nil {
			t.Fatalf("call %d, %v: %v\n%s\n%s", i, call, err, c.views(), strings.Join(c.said, "\n"))
		}
		run.applied++
	}
	if err := c.finish(); err != nil {
		t.Fatalf("in the end: %v\n%s", err, strings.Join(c.said, "\n"))
	}
}

// views says what there is after a call that went wrong, everywhere.
func (c *mapsCase) views() string {
	keys, err := c.bucketKeys()
	all := fmt.Sprintf("the model has %q and directories %q, the bucket %q %v", slices.Sorted(maps.Keys(c.store.objects)), slices.Sorted(maps.Keys(c.store.markers)), keys, err)
	for _, a := range c.actors {
		entries, err := os.ReadDir(a.path(""))
		all += fmt.Sprintf(", mount %d %v %v", a.who+1, entries, err)
	}
	return all
}

// step makes one call. What waits to be stored at one mount is stored before others look; the other client may also come in between.
func (c *mapsCase) step(call mapsCall) (string, error) {
	for i, a := range c.actors {
		if call.who == i || len(a.model.waiting()) == 0 {
			continue
		}
		if call.who == 2 && call.what != "get" && call.seed%2 == 0 && !slices.ContainsFunc(c.actors[:], func(b *mapsActor) bool { return b.keepsFromRacing(a, call.what) }) {
			said := ""
			err := a.raced(func() (err error) { said, err = c.foreignDo(call); return err })
			return said, err
		}
		if err := a.flush(); err != nil {
			return "", err
		}
	}
	if call.who == 2 {
		return c.foreignDo(call)
	}
	a := c.actors[call.who]
	if named := slices.Contains([]string{"unlink", "rename", "rmdir"}, call.what); named && len(a.model.waiting()) > 0 {
		if err := a.flush(); err != nil {
			return "", err
		}
	}
	if c.store.news && slices.Contains([]string{"open", "rename", "mkdir", "rmdir", "readdir"}, call.what) {
		if err := c.learnMarkers(); err != nil {
			return "", err
		}
	}
	return a.do(call)
}

// keepsFromRacing tells whether a change by the other client while racer's files wait would leave more open than whether they were lost: a
// new file that is deleted may be there or not.
func (a *mapsActor) keepsFromRacing(racer *mapsActor, what string) bool {
	waits := a.model.waiting()
	return a != racer && len(waits) > 0 || slices.ContainsFunc(waits, func(n *mapsNode) bool { return n.writers > 0 || n.base == nil && what != "put" })
}

func (a *mapsActor) mount() *mount { return a.mounts[a.who] }

func (run *mapsRun) newBytes(n int) []byte {
	run.bytes++
	return contentOf(run.bytes, n)
}

// release closes what is open, whatever happened.
func (c *mapsCase) release() {
	for _, a := range c.actors {
		for i, h := range a.held {
			if h != nil {
				_ = unix.Close(h.fd)
				a.held[i] = nil
			}
		}
	}
}

// finish closes everything and compares the bucket, and both mounts, with the maps.
func (c *mapsCase) finish() error {
	for _, a := range c.actors {
		if err := a.closeAll(); err != nil {
			return err
		}
	}
	for _, a := range c.actors {
		if err := a.checkConflicts(); err != nil {
			return err
		}
		if err := a.saveConflicts(); err != nil {
			return err
		}
	}
	return c.compare()
}

func (c *mapsCase) compare() error {
	var reply struct{ Objects map[string]object }
	client, err := c.server.foreign()
	if err == nil {
		err = client.ask(map[string]any{"op": "snapshot", "bucket": c.bucket, "prefix": c.dir + "/"}, &reply)
	}
	if err != nil {
		return err
	}
	want := map[string]entry{}
	for key, v := range c.store.objects {
		want[key] = entry{size: int64(len(v.bytes)), sha256: digest(v.bytes)}
	}
	got := map[string]entry{}
	for key, o := range below(reply.Objects, c.dir+"/") {
		if !strings.HasSuffix(key, "/") {
			got[key] = entry{size: o.Size, sha256: o.SHA256}
		}
	}
	problems := treeDifferences(got, want, mtimes|modes)
	for _, a := range c.actors {
		tree, err := readTree(strings.TrimSuffix(a.path(""), "/"))
		if err != nil {
			return err
		}
		for name, e := range tree {
			if e.mode.IsDir() {
				delete(tree, name)
			}
		}
		problems = append(problems, treeDifferences(tree, want, mtimes|modes)...)
	}
	if len(problems) > 0 {
		return fmt.Errorf("%s", strings.Join(problems, "\n"))
	}
	return nil
}
