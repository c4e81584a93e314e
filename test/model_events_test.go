package test

import (
	"path/filepath"
	"testing"
)

// modelEvents happen to a mount between calls and must change nothing that programs see. A plain directory has nothing to do for
// them, but that files are closed before a mount ends.
var modelEvents = map[string]int{"remount": 1, "evict": 1, "flush": 2, "look": 2}

// A modelRun is a mount that random calls are made on.
type modelRun struct {
	*testing.T
	store      *store
	bucket     string
	background bool
	m          *mount
	second     *mount // of the same bucket, as on another machine
	plain      string // directory that has to be the same
}

func newModelRun(t *testing.T, c combination) *modelRun {
	t.Helper()
	s := openStore(t, c.store)
	run := &modelRun{T: t, store: s, bucket: s.newBucket(t), background: c.background, plain: t.TempDir()}
	run.m = newMount(t, mountOptions{store: s, source: "s3://" + run.bucket, args: c.args()})
	run.second = newMount(t, mountOptions{store: s, source: "s3://" + run.bucket, args: []string{"--read-only", "--metadata-ttl=" + secondTTL.String(), "--negative-ttl=" + secondTTL.String()}})
	return run
}

// do makes a call on the mount or lets an event happen to it.
func (run *modelRun) do(ours, theirs *actor, c call) string {
	if modelEvents[c.what] == 0 {
		return ours.do(c)
	}
	dir, err := filepath.Rel(run.m.dir, ours.root)
	if err != nil {
		return err.Error()
	}
	switch c.what {
	case "remount":
		ours.close()
		run.m.unmount()
		run.m = run.m.again()
		ours.root = filepath.Join(run.m.dir, dir)
	case "evict":
		_, err = run.m.command("ctl", "cache", "evict", ours.root)
	case "flush":
		_, err = run.m.command("ctl", "flush", ours.root)
	case "look":
		err = run.look(ours, theirs, dir)
	}
	return outcome(err)
}

// event is what an actor does for one.
func (a *actor) event(c call) string {
	if c.what == "remount" {
		a.close()
	}
	return outcome(nil)
}
