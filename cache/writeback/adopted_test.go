package writeback

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// TestAdoptedFilesOfOneKey: two mounts each left content for the same key. The first is stored; the second
// knew nothing of it, so it is a conflict and not its successor.
func TestAdoptedFilesOfOneKey(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var snaps []*staging.Snapshot
	for i := range 2 {
		dir := t.TempDir()
		other, err := staging.Open(staging.Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		f, err := other.Create(staging.Spec{Target: id("a"), Condition: backend.Condition{IfNoneMatch: true}})
		if err != nil {
			t.Fatal(err)
		}
		r.write(f, fmt.Appendf(nil, "of mount %d", i), 0)
		r.seal(f).Release()
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := r.area.Adopt(dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range r.area.Files() {
		snaps = append(snaps, r.seal(f))
	}
	for _, s := range snaps {
		r.q.Recover(s)
	}
	wantKind(t, r.q.Flush(context.Background(), nil), backend.KindChanged)
	r.has("a", []byte("of mount 0"))
	if fails := r.failures(); len(fails) != 1 || !Conflict(fails[0]) {
		t.Errorf("%v", fails)
	}
}
