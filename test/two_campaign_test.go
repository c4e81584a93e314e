package test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// A contest: two mounts and other clients read, change and write the same few files, each as fast as it can. Every update notes what it was
// made from, so that one that is lost shows as two updates of the same version.
type contest struct {
	*testing.T
	store     *store
	bucket    string
	mounts    []*mount
	local     map[*mount]map[string]*sync.RWMutex // as programs of one machine have file locks
	ledgers   []*ledger
	logs      []*logbook
	deadline  time.Time
	steps     int // most that a rival does
	versioned bool

	done   [4]atomic.Int64 // by outcome
	reads  atomic.Int64
	stales atomic.Int64 // reads that ended in ESTALE

	mu   sync.Mutex
	kept map[string]map[uint64]bool // by mount and key
}

// A rival is one writer: a program on a mount, or a client of the store (then m is nil).
type rival struct {
	name string
	m    *mount
	rng  *rand.Rand
	// background: close returns before the object is stored.
	background bool
}

const contestNoise = `(?i)conflict|another client|changed|412|ESTALE|stale`

func (c *contest) run(rivals []*rival) {
	var group sync.WaitGroup
	for _, r := range rivals {
		group.Go(func() {
			for i := 0; i < c.steps && time.Now().Before(c.deadline) && !c.Failed(); i++ {
				c.step(r)
			}
		})
	}
	group.Wait()
}

func (c *contest) step(r *rival) {
	if len(c.logs) > 0 && r.m != nil && r.rng.IntN(3) == 0 {
		c.appendSome(r, c.logs[r.rng.IntN(len(c.logs))])
		return
	}
	l := c.ledgers[min(r.rng.IntN(len(c.ledgers)), r.rng.IntN(len(c.ledgers)))] // the first ones are fought for
	if r.m == nil {
		c.foreignStep(r, l)
		return
	}
	lock := c.local[r.m][l.key]
	if r.rng.IntN(3) == 0 {
		lock.RLock()
		defer lock.RUnlock()
		c.look(r, l)
		return
	}
	lock.Lock()
	defer lock.Unlock()
	switch {
	case l.hazards:
		c.hazard(r, l)
	case l.blind && r.rng.IntN(4) == 0:
		c.replaceBlindly(r, l)
	default:
		c.edit(r, l)
	}
}

// note writes an update down.
func (c *contest) note(l *ledger, r *rival, next cargo, base uint64, what string) {
	l.add(&update{token: next.token, base: base, by: r, what: what})
	c.done[map[string]int{isStored: 0, isLost: 1, isRefused: 2, isPending: 3}[what]].Add(1)
}

// edit reads a file and changes it, once or several times, through one descriptor.
func (c *contest) edit(r *rival, l *ledger) {
	f, err := os.OpenFile(r.m.in(l.key), os.O_RDWR, 0)
	if c.passes("open", l, err) {
		return
	}
	defer f.Close()
	now, ok := c.read(r, l, f)
	if !ok {
		return
	}
	for last := false; !last; {
		last = r.rng.IntN(3) > 0
		next := cargo{newCargo(r.rng, l.large).token, now.bulk}
		time.Sleep(time.Duration(r.rng.IntN(60)) * time.Millisecond) // others may be faster
		if err := c.write(r, f, &next, l.large); err != nil {
			c.passes("write", l, err)
			c.note(l, r, next, now.token, isRefused)
			return
		}
		what := isStored
		switch {
		case !last || r.rng.IntN(3) == 0:
			err = f.Sync()
		default:
			last, err = true, f.Close()
			if r.background {
				what = isPending
			}
		}
		if c.passes("fsync or close", l, err) {
			c.note(l, r, next, now.token, isLost)
			return
		}
		c.note(l, r, next, now.token, what)
		now = next
	}
}

// write makes an open file hold next: only its seals, or another content altogether.
func (c *contest) write(r *rival, f *os.File, next *cargo, large bool) error {
	if r.rng.IntN(3) > 0 {
		places := sealsOf(next.size())
		for _, i := range r.rng.Perm(len(places)) {
			if _, err := f.WriteAt(next.seal(), int64(places[i])); err != nil {
				return err
			}
		}
		return nil
	}
	next.bulk = newCargo(r.rng, large).bulk
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt(next.bytes(), 0)
	return err
}

// replaceBlindly empties a file at open and writes it, whatever it held.
func (c *contest) replaceBlindly(r *rival, l *ledger) {
	next := newCargo(r.rng, l.large)
	f, err := os.OpenFile(r.m.in(l.key), os.O_WRONLY|os.O_TRUNC, 0)
	if c.passes("open", l, err) {
		return
	}
	defer f.Close()
	if _, err := f.Write(next.bytes()); c.passes("write", l, err) {
		c.note(l, r, next, 0, isRefused)
		return
	}
	if c.passes("fsync", l, f.Sync()) {
		c.note(l, r, next, 0, isLost)
		return
	}
	c.note(l, r, next, 0, isStored)
}

// look reads a file through a mount, slowly.
func (c *contest) look(r *rival, l *ledger) {
	f, err := os.Open(r.m.in(l.key))
	if c.passes("open", l, err) {
		return
	}
	defer f.Close()
	c.read(r, l, f)
}

func (c *contest) read(r *rival, l *ledger, f *os.File) (cargo, bool) {
	now, err := readCargo(f, r.rng, func() {
		if r.rng.IntN(4) == 0 {
			time.Sleep(time.Duration(r.rng.IntN(20)) * time.Millisecond)
		}
	})
	c.reads.Add(1)
	var mixed mixture
	if errors.As(err, &mixed) {
		c.Errorf("%s reads a mixture of %s: %v", r.name, l.key, err)
		return now, false
	}
	if errno(err) == syscall.ESTALE {
		c.stales.Add(1)
	}
	return now, !c.passes("read", l, err)
}

// passes tells whether a call failed as it may: with ESTALE, and where files come and go with ENOENT and EEXIST.
func (c *contest) passes(what string, l *ledger, err error) (failed bool) {
	switch e := errno(err); {
	case err == nil:
		return false
	case e == syscall.ESTALE, l.hazards && (e == syscall.ENOENT || e == syscall.EEXIST):
	default:
		c.Errorf("%s of %s: %v", what, l.key, err)
	}
	return true
}

// foreignStep is the same by a bare client: a conditional update, or a PUT without a condition where that is allowed.
func (c *contest) foreignStep(r *rival, l *ledger) {
	now, etag, err := c.get(l.key)
	if err != nil && !(l.hazards && refusedByStore(err)) {
		c.Errorf("another client reads %s: %v", l.key, err)
	}
	if err != nil || r.rng.IntN(3) == 0 {
		return
	}
	next := newCargo(r.rng, l.large)
	in := &s3.PutObjectInput{Bucket: &c.bucket, Key: &l.key, Body: bytes.NewReader(next.bytes()), IfMatch: aws.String(etag)}
	base := now.token
	if l.blind && r.rng.IntN(3) == 0 {
		in.IfMatch, base = nil, 0
	}
	if l.large && r.rng.IntN(2) == 0 {
		err = c.putInParts(in, next.bytes())
	} else {
		_, err = c.store.client.PutObject(context.Background(), in)
	}
	switch {
	case err == nil:
		c.note(l, r, next, base, isStored)
	case refusedByStore(err):
		c.note(l, r, next, base, isRefused)
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE): // MinIO refuses before it has read the body, and closes
		c.note(l, r, next, base, isPending)
	default:
		c.Errorf("another client writes %s: %v", l.key, err)
	}
}

func (c *contest) putInParts(in *s3.PutObjectInput, data []byte) error {
	ctx, client := context.Background(), c.store.client
	up, err := client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: in.Bucket, Key: in.Key})
	if err != nil {
		return err
	}
	var parts []types.CompletedPart
	for number := int32(1); len(data) > 0; number++ {
		n := min(5*mib, len(data))
		part, err := client.UploadPart(ctx, &s3.UploadPartInput{Bucket: in.Bucket, Key: in.Key, UploadId: up.UploadId, PartNumber: &number, Body: bytes.NewReader(data[:n])})
		if err != nil {
			return err
		}
		parts, data = append(parts, types.CompletedPart{ETag: part.ETag, PartNumber: &number}), data[n:]
	}
	_, err = client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: in.Bucket, Key: in.Key, UploadId: up.UploadId, IfMatch: in.IfMatch,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}})
	return err
}

// get reads an object by a bare client.
func (c *contest) get(key string) (cargo, string, error) {
	out, err := c.store.client.GetObject(context.Background(), &s3.GetObjectInput{Bucket: &c.bucket, Key: &key})
	if err != nil {
		return cargo{}, "", err
	}
	defer out.Body.Close()
	data, err := io.ReadAll(out.Body)
	if err != nil {
		return cargo{}, "", err
	}
	now, err := unpack(data)
	return now, strings.Trim(aws.ToString(out.ETag), `"`), err
}

// refusedByStore tells whether an answer means that a condition was not met.
func refusedByStore(err error) bool {
	return err != nil && regexp.MustCompile(`PreconditionFailed|ConditionalRequestConflict|NoSuchKey|NotFound`).MatchString(err.Error())
}

// keptBy finds the tokens in what a mount has kept of a key.
func (c *contest) keptBy(r *rival, key string) map[uint64]bool {
	if r.m == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	id := fmt.Sprintf("%p %s", r.m, key)
	if found := c.kept[id]; found != nil {
		return found
	}
	found := map[uint64]bool{}
	for _, w := range jsonLines[waiting](c, r.m.mustCtl("conflicts", "list", "--json", ".")) {
		if w.Key != key || w.LocalFile == "" { // attributes alone have no bytes here
			continue
		}
		data, err := os.ReadFile(w.LocalFile)
		if err != nil {
			c.Errorf("what was kept of %s: %v", key, err)
		}
		for token := range tokensIn(data) {
			found[token] = true
		}
	}
	if c.kept == nil {
		c.kept = map[string]map[uint64]bool{}
	}
	c.kept[id] = found
	return found
}
