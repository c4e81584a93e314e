package test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sys/unix"
)

// What another client, or another mount, does to an object that is open for reading: its new content, nil when it is deleted.
var outsideChanges = []struct {
	name string
	now  func(old []byte, seed uint64) []byte
}{
	{"same size", func(old []byte, seed uint64) []byte { return bytesOf(seed, len(old)) }},
	{"smaller", func(_ []byte, seed uint64) []byte { return bytesOf(seed, mib+mib/2) }},
	{"larger", func(old []byte, seed uint64) []byte { return bytesOf(seed, len(old)+3*mib+1) }},
	{"deleted", func([]byte, uint64) []byte { return nil }},
}

// Where the bytes are when that happens.
const (
	isCold    = "nowhere"
	isWarm    = "in memory"
	isOnDisk  = "on the disk tier"
	isThrough = "complete on the disk tier: passthrough"
)

const outsideSize = 9*mib + 4097

// boundaries are the offsets around which bytes of two versions would meet: blocks of the cache, its pieces, parts, pages, and both ends.
func boundaries() []int64 {
	all := []int64{0, 4096, 32 << 10, 64 << 10, 512 << 10, outsideSize - 4096, outsideSize - 1}
	for b := int64(mib); b < outsideSize; b += mib {
		all = append(all, b)
	}
	return append(all, 5*mib, 8*mib)
}

// around is a range of a few bytes on both sides of an offset.
func around(off int64) (start, end int64) { return max(off-3, 0), min(off+3, outsideSize) }

// An openFile is a file that is open for reading while its object changes.
type openFile struct {
	*testing.T
	f   *os.File
	old []byte
	// versions: the bucket keeps the old one, so ESTALE is no answer.
	versions bool

	reads, stales atomic.Int64
}

// readAt reads a range: the old bytes, or ESTALE.
func (o *openFile) readAt(start, end int64) {
	o.Helper()
	got := make([]byte, end-start)
	n, err := o.f.ReadAt(got, start)
	o.reads.Add(1)
	if !bytes.Equal(got[:n], o.old[start:start+int64(n)]) {
		o.Errorf("[%d, %d): bytes that are not of the version which was opened", start, end)
	}
	switch {
	case err == nil:
	case errno(err) == syscall.ESTALE && !o.versions:
		o.stales.Add(1)
	default:
		o.Errorf("[%d, %d): %d bytes, %v; want the old ones, or ESTALE", start, end, n, err)
	}
}

// readBoundaries reads over every boundary, in any order, from the kernel's cache and without it.
func (o *openFile) readBoundaries(rng *rand.Rand, drop bool) {
	o.Helper()
	if drop {
		if err := unix.Fadvise(int(o.f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
			o.Error(err)
		}
	}
	all := boundaries()
	for _, i := range rng.Perm(len(all)) {
		o.readAt(around(all[i]))
	}
}

// TestChangedWhileOpen: a file whose object another client, or another mount, replaces or deletes keeps its bytes or fails with ESTALE, at
// every boundary, wherever the bytes are, also for mmap, and while it happens. The next open has the new bytes.
func TestChangedWhileOpen(t *testing.T) {
	t.Parallel()
	rounds, all := 1, false
	if os.Getenv("OBJMOUNT_SOAK") != "" {
		rounds, all = 3, true
	}
	seed := uint64(time.Now().UnixNano())
	onEachStore(t, func(t *testing.T, s *store) {
		for round := range rounds {
			own := seed + uint64(round)
			t.Run(fmt.Sprint(round), func(t *testing.T) {
				t.Cleanup(func() {
					if t.Failed() {
						t.Logf("seed %d", own)
					}
				})
				changeWhileOpen(t, s, own, all)
			})
		}
	})
}

func changeWhileOpen(t *testing.T, s *store, seed uint64, all bool) {
	rng := rand.New(rand.NewPCG(seed, 1))
	o := &outside{T: t, store: s, bucket: s.newBucket(t), versions: all && rng.IntN(3) == 0}
	if o.versions {
		o.bucket = s.newVersionedBucket(t)
	}
	states := []string{isCold, isWarm, isOnDisk, isThrough}
	type work struct {
		key, state string
		change     int
		old        []byte
	}
	var list []work
	first, other := rng.IntN(len(outsideChanges)), map[string]int{"minio": 1}[s.name]
	for i, state := range states {
		for j := range outsideChanges {
			if all || (first+i)%len(outsideChanges) == j && (first+i+other)%2 == 0 { // half of them on each store
				w := work{fmt.Sprintf("d/%d-%d", i, j), state, j, bytesOf(seed+uint64(i*10+j), outsideSize)}
				list = append(list, w)
				o.put(w.key, w.old)
			}
		}
	}
	plain := mountOptions{store: s, source: "s3://" + o.bucket, args: []string{"--cache-size=0", "--metadata-ttl=50ms"}, noisy: contestNoise}
	o.plain, o.other = newMount(t, plain), newMount(t, plain)
	plain.args = []string{"--cache-size=512MiB", "--metadata-ttl=50ms"}
	o.disk = newMount(t, plain)
	for _, w := range list { // the disk tier has these, and the memory of a new mount has not
		if w.state == isOnDisk {
			o.fill(o.disk, w.key)
		}
	}
	o.disk.unmount()
	o.disk = o.disk.again()
	for i, w := range list {
		own := rand.New(rand.NewPCG(seed, 2+uint64(i)))
		t.Run(w.state+", "+outsideChanges[w.change].name, func(t *testing.T) {
			o.changed(t, w.key, w.state, w.old, outsideChanges[w.change].now(w.old, seed+1000+uint64(i)), own)
		})
	}
	t.Logf("versions %v: %d readings, %d of them ESTALE", o.versions, o.reads.Load(), o.stales.Load())
	tell(t, len(list), int(o.reads.Load()), len(list))
	for _, m := range []*mount{o.plain, o.other, o.disk} {
		m.unmount()
	}
}

type outside struct {
	*testing.T
	store              *store
	bucket             string
	versions           bool
	plain, other, disk *mount
	reads, stales      atomic.Int64
}

func (o *outside) put(key string, data []byte) {
	o.Helper()
	if _, err := o.store.client.PutObject(context.Background(), &s3.PutObjectInput{Bucket: &o.bucket, Key: &key, Body: bytes.NewReader(data)}); err != nil {
		o.Fatal(err)
	}
}

// fill reads a file until the disk tier has all of it.
func (o *outside) fill(m *mount, key string) {
	o.Helper()
	before := m.diskUsed()
	if _, err := os.ReadFile(m.in(key)); err != nil {
		o.Fatal(err)
	}
	(&workspace{T: o.T}).eventually("the disk tier to have "+key, func() bool { return m.diskUsed() >= before+outsideSize })
}

func (m *mount) diskUsed() int64 {
	m.t.Helper()
	out, err := m.command("status", "--json", m.dir)
	if err != nil {
		m.t.Fatal(err)
	}
	var status struct {
		Cache struct {
			DiskUsed int64 `json:"disk_used"`
		}
	}
	if err := json.Unmarshal([]byte(out), &status); err != nil {
		m.t.Fatal(err)
	}
	return status.Cache.DiskUsed
}

// changed opens a file, lets its object be changed while it is read, and looks at what both descriptors and mappings give.
func (o *outside) changed(t *testing.T, key, state string, old, now []byte, rng *rand.Rand) {
	m := o.plain
	switch state {
	case isOnDisk:
		m = o.disk
	case isThrough:
		m = o.disk
		(&outside{T: t}).fill(m, key)
	}
	f, err := os.Open(m.in(key))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	x := &openFile{T: t, f: f, old: old, versions: o.versions}
	if state == isWarm {
		x.readAt(0, outsideSize)
	}
	mapped := newMapping(t, m.in(key), state == isWarm)
	defer mapped.stop()

	stop := make(chan struct{})
	var group sync.WaitGroup
	own := rand.New(rand.NewPCG(rng.Uint64(), 2))
	group.Go(func() { // while it happens
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				x.readAt(around(boundaries()[own.IntN(len(boundaries()))]))
			}
		}
	})
	o.replace(t, key, now, rng)
	close(stop)
	group.Wait()
	x.readBoundaries(rng, false)
	x.readBoundaries(rng, true)
	mapped.compare(x)
	o.shows(t, m, key, now)
	x.readBoundaries(rng, true) // with the new version in the caches, too
	o.reads.Add(x.reads.Load())
	o.stales.Add(x.stales.Load())
}

// replace changes the object: as another client, or by the other mount.
func (o *outside) replace(t *testing.T, key string, now []byte, rng *rand.Rand) {
	t.Helper()
	var err error
	switch byMount := rng.IntN(2) == 0; {
	case now == nil && byMount:
		err = os.Remove(o.other.in(key))
	case now == nil:
		_, err = o.store.client.DeleteObject(context.Background(), &s3.DeleteObjectInput{Bucket: &o.bucket, Key: &key})
	case byMount:
		err = os.WriteFile(o.other.in(key), now, 0o644)
	default:
		_, err = o.store.client.PutObject(context.Background(), &s3.PutObjectInput{Bucket: &o.bucket, Key: &key, Body: bytes.NewReader(now)})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// shows: who opens the file now sees what is stored now.
func (o *outside) shows(t *testing.T, m *mount, key string, now []byte) {
	t.Helper()
	got, err := os.ReadFile(m.in(key))
	switch {
	case now == nil && !errors.Is(err, os.ErrNotExist):
		t.Errorf("a deleted file is opened: %d bytes, %v", len(got), err)
	case now != nil && (err != nil || !bytes.Equal(got, now)):
		t.Errorf("the next open: %v, %s", err, firstDifference(got, now))
	}
}

// A mapping is a program that has a file in its memory.
type mapping struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	stop func()
}

func newMapping(t *testing.T, name string, warm bool) *mapping {
	t.Helper()
	args := []string{"testdata/mapped.py", name, map[bool]string{true: "1", false: "0"}[warm], "6"}
	for _, b := range boundaries() {
		start, _ := around(b)
		args = append(args, strconv.FormatInt(start, 10))
	}
	cmd := exec.Command("python3", args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := startChild(cmd, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	x := &mapping{cmd: cmd, in: in, out: bufio.NewReader(out)}
	x.stop = sync.OnceFunc(func() { in.Close(); _ = cmd.Wait() })
	if line, err := x.out.ReadString('\n'); line != "ready\n" {
		t.Errorf("mmap: %q, %v", line, err)
	}
	return x
}

// compare lets the program read over every boundary: the old bytes, or SIGBUS.
func (x *mapping) compare(o *openFile) {
	o.Helper()
	fmt.Fprintln(x.in, "go")
	for range boundaries() {
		line, err := x.out.ReadString('\n')
		var off int64
		var text string
		if _, scanErr := fmt.Sscan(line, &off, &text); scanErr != nil {
			o.Errorf("mmap: %q, %v", line, err)
			return
		}
		o.reads.Add(1)
		if text == "SIGBUS" {
			if o.stales.Add(1); o.versions {
				o.Errorf("mmap at %d: SIGBUS, and the bucket keeps the version", off)
			}
			continue
		}
		if got, err := hex.DecodeString(text); err != nil || !bytes.Equal(got, o.old[off:off+int64(len(got))]) {
			o.Errorf("mmap at %d: %q, not of the version that was opened, %v", off, text, err)
		}
	}
	x.stop()
}

// TestReplacedWithinASecond: sizes and times are the same, and still the versions are told apart.
func TestReplacedWithinASecond(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		const size = 2*mib + 4097
		o := &outside{T: t, store: s, bucket: s.newBucket(t)}
		m := newMount(t, mountOptions{store: s, source: "s3://" + o.bucket, noisy: contestNoise})
		for try := range 3 { // on a busy machine none may be quick enough
			key := fmt.Sprintf("file%d", try)
			old, now := bytesOf(1, size), bytesOf(2, size)
			time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(1010 * time.Millisecond)))
			o.put(key, old)
			first := o.modified(key)
			f, err := os.Open(m.in(key))
			if err != nil {
				t.Fatal(err)
			}
			x := &openFile{T: t, f: f, old: old}
			x.readAt(0, 1)
			o.put(key, now)
			for off := int64(0); off < size; off += 32 << 10 {
				x.readAt(max(off-1, 0), min(off+1, size))
			}
			x.readAt(size-1, size)
			o.shows(t, m, key, now)
			f.Close()
			if o.modified(key).Equal(first) {
				break
			}
		}
		m.unmount()
	})
}

// modified is when an object was stored, in whole seconds.
func (o *outside) modified(key string) time.Time {
	o.Helper()
	out, err := o.store.client.HeadObject(context.Background(), &s3.HeadObjectInput{Bucket: &o.bucket, Key: &key})
	if err != nil {
		o.Fatal(err)
	}
	return out.LastModified.Truncate(time.Second)
}
