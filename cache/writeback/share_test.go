package writeback

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
	"github.com/objmount/objmount/cache/staging"
)

// TestStoresShareNothing: files and parts that hang on their way to one store leave room for those to another. With
// one share for all of them the upload would wait for ever.
func TestStoresShareNothing(t *testing.T) {
	t.Parallel()
	const away = "away"
	r := newRig(t, func(_ *rig, c *Config, _ *mem.Settings) {
		c.Files, c.Parts, c.StoreOf = 2, 2, func(bucket string) string { return bucket }
	})
	if err := r.mem.CreateBucket(t.Context(), away); err != nil {
		t.Fatal(err)
	}
	stalled := r.faults.Add(mem.Rule{Key: func(key string) bool { return strings.HasPrefix(key, away) }, Do: []mem.Action{mem.Stall()}})
	stage := func(bucket, key string, size int64) *staging.Snapshot {
		f := r.stage(staging.Spec{Target: backend.ObjectID{Bucket: bucket, Key: key}, Condition: backend.Condition{IfNoneMatch: true}})
		r.write(f, make([]byte, size), 0)
		return r.seal(f)
	}
	for n := range 5 {
		r.q.Submit(stage(away, away+strconv.Itoa(n), 4*partSize))
	}
	for stalled.Hits() < 2 {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, size := range []int64{10, 4 * partSize} {
		key := "here" + strconv.FormatInt(size, 10)
		if _, err := r.q.Commit(ctx, stage(bucket, key, size)); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	if s := r.q.Stats(); s.Running != 2 || s.Queued != 3 {
		t.Errorf("%d run, %d wait; want 2 and 3 of the store that hangs", s.Running, s.Queued)
	}
	stalled.Remove()
	for _, p := range r.q.Pending() {
		if p.Bucket != away {
			t.Errorf("not stored: %+v", p)
		}
	}
	closing, stop := context.WithCancel(context.Background())
	stop()
	if err := r.q.Close(closing); err != nil && !backend.IsKind(err, backend.KindCanceled) {
		t.Error(err)
	}
	if err := r.area.Close(); err != nil {
		t.Error(err)
	}
	r.q = nil
}
