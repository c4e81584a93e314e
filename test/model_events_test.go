package test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// modelEvents happen to a mount between calls and must change nothing that programs see. A plain directory has nothing to do for
// them, but that files are closed before a mount ends.
var modelEvents = map[string]int{"remount": 1, "evict": 1, "flush": 2, "look": 2, "drop": 1}

// A modelRun is a mount that random calls are made on, by several programs side by side: each has a directory of its own there.
type modelRun struct {
	*testing.T
	store      *store
	bucket     string
	background bool
	second     *mount // of the same bucket, as on another machine
	plain      string // directory that has to be the same

	alone   sync.RWMutex // held for each call; a remount, which closes everybody's files, has it alone
	m       *mount
	working map[*modelCase]bool
	mu      sync.Mutex // guards working while alone is shared

	cases, applied atomic.Int64
	failing        atomic.Pointer[string] // the program whose calls found something: the others leave it alone with them
}

// A modelCase is one sequence of calls, made in a directory of the mount and in a plain one.
type modelCase struct {
	run          *modelRun
	dir          string
	ours, theirs *actor
	steps        []step
}

func newModelRun(t *testing.T, c combination) *modelRun {
	t.Helper()
	s := openStore(t, c.store)
	run := &modelRun{T: t, store: s, bucket: s.newBucket(t), background: c.background, plain: t.TempDir(), working: map[*modelCase]bool{}}
	run.m = newMount(t, mountOptions{store: s, source: "s3://" + run.bucket, args: c.args()})
	run.second = newMount(t, mountOptions{store: s, source: "s3://" + run.bucket, args: []string{"--read-only", "--metadata-ttl=" + secondTTL.String(), "--negative-ttl=" + secondTTL.String()}})
	return run
}

func (run *modelRun) newCase() *modelCase {
	run.alone.RLock()
	defer run.alone.RUnlock()
	dir := fmt.Sprintf("case%d", run.cases.Add(1))
	mc := &modelCase{run: run, dir: dir, ours: newActor(filepath.Join(run.m.dir, dir)), theirs: newActor(filepath.Join(run.plain, dir))}
	run.mu.Lock()
	defer run.mu.Unlock()
	run.working[mc] = true
	return mc
}

// end closes what is held. Most cases are removed, because all of them would be too much to look at in the end.
func (mc *modelCase) end(remove bool) error {
	run := mc.run
	run.alone.RLock()
	defer run.alone.RUnlock()
	run.mu.Lock()
	delete(run.working, mc)
	run.mu.Unlock()
	mc.ours.close()
	mc.theirs.close()
	if !remove {
		return nil
	}
	if err := os.RemoveAll(mc.theirs.root); err != nil {
		return err
	}
	return os.RemoveAll(mc.ours.root)
}

// step makes one call and compares.
func (mc *modelCase) step(t *rapid.T, c call) {
	if c.what == "remount" {
		mc.run.alone.Lock()
		defer mc.run.alone.Unlock()
		mc.run.remount()
		return
	}
	mc.run.alone.RLock()
	defer mc.run.alone.RUnlock()
	got, said := mc.do(c), mc.theirs.do(c)
	mc.steps = append(mc.steps, step{call: c, said: said})
	if want := mc.theirs.expected(c, said, got); got != want {
		t.Fatalf("call %d, %v: the mount answers %s, want %s\n%s", len(mc.steps)-1, c, got, want, shellScript(mc.steps))
	}
	if said == outcome(nil) {
		if err := mc.run.stored(c, mc.dir, mc.theirs); err != nil {
			t.Fatalf("call %d, %v: %v\n%s", len(mc.steps)-1, c, err, shellScript(mc.steps))
		}
	}
}

// remount ends the mount and begins it anew, for everybody.
func (run *modelRun) remount() {
	for mc := range run.working {
		mc.ours.close()
		mc.theirs.close()
		mc.steps = append(mc.steps, step{call: call{what: "remount"}, said: outcome(nil)})
	}
	run.m.unmount()
	run.m = run.m.again()
	for mc := range run.working {
		mc.ours.root = filepath.Join(run.m.dir, mc.dir)
	}
}

// do makes a call on the mount or lets an event happen to it.
func (mc *modelCase) do(c call) string {
	var err error
	switch c.what {
	case "evict":
		_, err = mc.run.m.ask("cache/evict", mc.dir, nil)
	case "flush":
		_, err = mc.run.m.ask("pending/flush", mc.dir, nil)
	case "look":
		err = mc.run.look(mc.ours, mc.theirs, mc.dir)
	case "drop":
		if c.seed%10 == 0 { // it is slow, and concerns the whole machine
			dropCaches()
		}
	default:
		return mc.ours.do(c)
	}
	return outcome(err)
}

// dropCaches makes the kernel drop pages and names of everything, so that inodes are forgotten. Root may do that.
func dropCaches() {
	_ = os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0)
}

// event is what an actor does for one.
func (a *actor) event(c call) string {
	if c.what == "remount" {
		a.close()
	}
	return outcome(nil)
}

// dumpAfter ends a mount that hangs, with its stacks in the log.
func (run *modelRun) dumpAfter(d time.Duration) (stop func() bool) {
	return time.AfterFunc(d, func() { run.m.dumpGoroutines() }).Stop
}
