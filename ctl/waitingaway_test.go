package ctl

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/objmount/objmount/backend"
)

// awayTree knows the place of a path, but the store does not say what is there.
type awayTree struct {
	Tree
	hangs bool
}

func (t awayTree) Locate(ctx context.Context, path string) (Place, error) {
	p := Place{"b", path, Unknown}
	if !t.hangs {
		return p, &backend.Error{Kind: backend.KindUnreachable, Op: "HeadObject"}
	}
	<-ctx.Done()
	return p, &backend.Error{Kind: backend.KindCanceled, Op: "wait", Err: ctx.Err()}
}

func (awayTree) Shown(context.Context) {}

// TestWhatWaitsIsDroppedWhileTheStoreIsAway, a file or what is below a directory.
func TestWhatWaitsIsDroppedWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	for _, hangs := range []bool{true, false} {
		for path, want := range map[string]int{"d/a": 1, "d": 2, "none": 0} {
			synctest.Test(t, func(t *testing.T) {
				stage := &fakeStage{waiting: []Waiting{
					{ID: "1", Bucket: "b", Key: "d/a", State: "waiting"}, {ID: "2", Bucket: "b", Key: "d/k", State: "conflict", Kept: true},
				}}
				v := &Verbs{Tree: awayTree{hangs: hangs}, Stage: stage, Patience: 2 * time.Second, Alive: func(ctx context.Context) error {
					<-ctx.Done()
					return ctx.Err()
				}}
				for _, dry := range []bool{true, false} {
					var sum Summary
					err := v.Run(t.Context(), "pending/drop", DropRequest{Target: Target{Path: Text(path), DryRun: dry}, Recursive: true}, func(l Line) error {
						if l.Result != nil {
							return json.Unmarshal(l.Result, &sum)
						}
						return nil
					})
					if want == 0 {
						if KindOf(err) != KindNotFound {
							t.Errorf("%s, hangs %v: %v", path, hangs, err)
						}
						continue
					}
					if err != nil || path == "d" && sum.Done != int64(want) {
						t.Errorf("%s, hangs %v, dry %v: %+v, %v", path, hangs, dry, sum, err)
					}
				}
				if left := len(stage.waiting); left != 2-want {
					t.Errorf("%s, hangs %v: %d are left", path, hangs, left)
				}
			})
		}
	}
}

// TestDropOfAPathThatIsNone is refused as ever, and so is a call whose client goes.
func TestDropOfAPathThatIsNone(t *testing.T) {
	t.Parallel()
	w, _ := staged(t)
	w.verbs.Tree = hungTree{}
	w.run("pending/drop", DropRequest{Target: target("x")}).wants(t, KindNotFound, "it is over")
	w.verbs.Tree = awayTree{hangs: true}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.verbs.Run(ctx, "pending/drop", DropRequest{Target: target("d/a")}, func(Line) error { return nil }); err == nil {
		t.Error("it went on")
	}
}
