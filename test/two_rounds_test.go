package test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// TestContest: two mounts and other clients change the same files at once, in both commit modes, small files and large ones. No update of content
// is lost, no record appended twice or never, nobody reads a mixture, and what lost is kept.
func TestContest(t *testing.T) {
	t.Parallel()
	rounds, steps, limit := 1, 12, 20*time.Second
	if os.Getenv("OBJMOUNT_SOAK") != "" {
		rounds, steps, limit = 6, 120, 25*time.Second
	}
	seed := uint64(time.Now().UnixNano())
	for i, storeName := range []string{"versitygw", "minio"} {
		t.Run(storeName, func(t *testing.T) {
			t.Parallel()
			for round := range rounds {
				own := seed + uint64(i*rounds+round)
				if !t.Run(fmt.Sprint(round), func(t *testing.T) { contestRound(t, storeName, own, steps, limit) }) {
					t.Logf("the seed of what was drawn was %d; who was faster was chance", own)
					return
				}
			}
		})
	}
}

func contestRound(t *testing.T, storeName string, seed uint64, steps int, limit time.Duration) {
	rng := rand.New(rand.NewPCG(seed, 1))
	s := openStore(t, storeName)
	c := &contest{T: t, store: s, steps: steps, versioned: rng.IntN(3) == 0, local: map[*mount]map[string]*sync.RWMutex{}}
	if c.bucket = s.newBucket(t); c.versioned {
		c.bucket = s.newVersionedBucket(t)
	}
	c.ledgers = []*ledger{
		{key: "d/small"}, {key: "d/large", large: true}, {key: "d/small-blind", blind: true}, {key: "d/large-blind", large: true, blind: true},
		{key: "d/renamed", hazards: true}, {key: "d/removed", hazards: true}, {key: "d/attributes", hazards: true}, {key: "d/large-attributes", large: true, hazards: true},
	}
	c.logs = []*logbook{{key: "d/log", alone: true}, {key: "d/log-together"}, {key: "d/large-log", base: bytesOf(7, 6*mib), alone: true}}
	if s.lacks(guardedParts) {
		c.logs = c.logs[:2]
	}
	if c.versioned && s.lacks(guardedVersions) {
		c.logs = nil
	}
	others := &rival{name: "another client", rng: rng}
	for _, l := range c.ledgers {
		l.hazards = l.hazards || l.large && s.lacks(guardedParts) || c.versioned && s.lacks(guardedVersions)
		first := newCargo(rng, l.large)
		s.put(t, c.bucket, l.key, first.bytes())
		c.note(l, others, first, 0, isStored)
	}
	for _, l := range c.logs {
		s.put(t, c.bucket, l.key, l.base)
	}
	var rivals []*rival
	modes := rng.Perm(4)[:2] // of both bits
	for i, mode := range modes {
		background, disk := mode&1 == 1, mode&2 == 2
		m := newMount(t, mountOptions{store: s, source: "s3://" + c.bucket, args: combination{background: background, diskCache: disk}.args(), noisy: contestNoise})
		c.mounts, c.local[m] = append(c.mounts, m), map[string]*sync.RWMutex{}
		for _, key := range c.keys() {
			c.local[m][key] = &sync.RWMutex{}
		}
		for j := range 2 {
			rivals = append(rivals, &rival{name: fmt.Sprintf("program %d of mount %d", j, i), m: m, background: background, rng: rand.New(rand.NewPCG(rng.Uint64(), 2))})
		}
	}
	for range 1 + rng.IntN(2) {
		rivals = append(rivals, &rival{name: "another client", rng: rand.New(rand.NewPCG(rng.Uint64(), 3))})
	}
	c.deadline = time.Now().Add(limit)
	c.run(rivals)
	c.finish(modes)
}

func (c *contest) keys() []string {
	var all []string
	for _, l := range c.ledgers {
		all = append(all, l.key)
	}
	for _, l := range c.logs {
		all = append(all, l.key)
	}
	return all
}

// finish waits until everything is stored, and judges.
func (c *contest) finish(modes []int) {
	c.Helper()
	for _, m := range c.mounts {
		if a := m.ctl("flush", "."); a.code != 0 && !strings.Contains(a.problems, "another client") {
			c.Logf("flush: exit code %d: %s%s", a.code, a.out, a.problems)
		}
		(&workspace{T: c.T}).eventually("all to be stored or kept", func() bool {
			return !slices.ContainsFunc(m.pending("."), func(w waiting) bool { return !w.Kept })
		})
	}
	hazards := 0
	for _, l := range c.ledgers {
		c.finishLedger(l)
		hazards += l.lost
	}
	records := 0
	for _, l := range c.logs {
		reportSome(c.T, l.judge(c.store.get(c.T, c.bucket, l.key), c.keptBy))
		records += len(l.records)
	}
	updates := c.done[0].Load() + c.done[1].Load() + c.done[2].Load() + c.done[3].Load()
	c.Logf("modes %v, versions %v: %d updates (%d stored, %d conflicts, %d refused, %d closed in the background), %d records, %d readings (%d ended in ESTALE); lost where status says so: %d",
		modes, c.versioned, updates, c.done[0].Load(), c.done[1].Load(), c.done[2].Load(), c.done[3].Load(), records, c.reads.Load(), c.stales.Load(), hazards)
	tell(c.T, 1, int(updates+c.reads.Load())+records, 0)
	for _, m := range c.mounts {
		m.unmount()
	}
}

func (c *contest) finishLedger(l *ledger) {
	last, _, err := c.get(l.key)
	if err != nil && !(l.hazards && refusedByStore(err)) {
		c.Errorf("%s at the end: %v", l.key, err)
		return
	}
	reportSome(c.T, l.settle(last.token, c.keptBy))
	problems := l.judge(last.token)
	if err == nil {
		reportSome(c.T, problems)
	}
	if c.versioned && l.key != "d/removed" { // a removal is no version
		reportSome(c.T, l.inOrder(c.history(l.key)))
	}
	if l.hazards {
		return
	}
	for i, m := range c.mounts {
		data, err := os.ReadFile(m.in(l.key))
		if err != nil {
			c.Errorf("mount %d, %s at the end: %v", i, l.key, err)
			continue
		}
		if err := last.holds(data, 0); err != nil || len(data) != last.size() {
			c.Errorf("mount %d shows %s otherwise than the store: %v", i, l.key, err)
		}
	}
}

// history reads the tokens of all versions of a key, the oldest first.
func (c *contest) history(key string) []uint64 {
	var tokens []uint64
	in := &s3.ListObjectVersionsInput{Bucket: &c.bucket, Prefix: &key}
	for pages := s3.NewListObjectVersionsPaginator(c.store.client, in); pages.HasMorePages(); {
		page, err := pages.NextPage(context.Background())
		if err != nil {
			c.Fatal(err)
		}
		for _, v := range page.Versions {
			if aws.ToString(v.Key) != key {
				continue
			}
			out, err := c.store.client.GetObject(context.Background(), &s3.GetObjectInput{Bucket: &c.bucket, Key: &key, VersionId: v.VersionId, Range: aws.String("bytes=0-31")})
			if err != nil {
				c.Fatal(err)
			}
			seal := make([]byte, sealSize)
			_, err = out.Body.Read(seal)
			out.Body.Close()
			now, sealErr := cargoOf(seal)
			if sealErr != nil {
				c.Errorf("a version of %s: %v, %v", key, sealErr, err)
			}
			tokens = append(tokens, now.token)
		}
	}
	slices.Reverse(tokens)
	return tokens
}

// hazard does what a store may not guard.
func (c *contest) hazard(r *rival, l *ledger) {
	switch {
	case strings.HasSuffix(l.key, "attributes"):
		if r.rng.IntN(2) == 0 {
			c.edit(r, l)
			return
		}
		c.passes("chmod", l, os.Chmod(r.m.in(l.key), []os.FileMode{0o600, 0o640, 0o644}[r.rng.IntN(3)]))
	case l.key == "d/removed":
		c.removeOrMake(r, l)
	default:
		c.renameOver(r, l)
	}
}

// known reads what a file holds by a descriptor of its own.
func (c *contest) known(r *rival, l *ledger) (cargo, error) {
	f, err := os.Open(r.m.in(l.key))
	if c.passes("open", l, err) {
		return cargo{}, err
	}
	defer f.Close()
	now, ok := c.read(r, l, f)
	if !ok {
		return now, os.ErrInvalid
	}
	return now, nil
}

func (c *contest) removeOrMake(r *rival, l *ledger) {
	now, err := c.known(r, l)
	switch {
	case os.IsNotExist(err):
		next := newCargo(r.rng, l.large)
		f, err := os.OpenFile(r.m.in(l.key), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if c.passes("create", l, err) {
			return
		}
		defer f.Close()
		_, err = f.Write(next.bytes())
		if err == nil {
			err = f.Sync()
		}
		what := isStored
		if c.passes("write", l, err) {
			what = isLost
		}
		c.note(l, r, next, 0, what)
	case err == nil:
		if !c.passes("unlink", l, os.Remove(r.m.in(l.key))) {
			c.note(l, r, newCargo(r.rng, false), now.token, isStored)
		}
	}
}

func (c *contest) renameOver(r *rival, l *ledger) {
	now, err := c.known(r, l)
	if err != nil {
		return
	}
	next, tmp := newCargo(r.rng, l.large), r.m.in("d/tmp of "+r.name)
	if c.passes("write", l, os.WriteFile(tmp, next.bytes(), 0o644)) || c.passes("rename", l, os.Rename(tmp, r.m.in(l.key))) {
		c.note(l, r, next, now.token, isRefused)
		return
	}
	what := isStored
	if r.background { // it may have been renamed before it was stored
		what = isPending
	}
	c.note(l, r, next, now.token, what)
}
