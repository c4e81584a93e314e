package ctl

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/objmount/objmount/backend"
)

// hungTree does not answer for a while.
type hungTree struct {
	Tree
	hangs time.Duration
}

func (t hungTree) Locate(ctx context.Context, _ string) (Place, error) {
	select {
	case <-ctx.Done():
		return Place{}, &backend.Error{Kind: backend.KindCanceled, Op: "wait", Err: ctx.Err()}
	case <-time.After(t.hangs):
		return Place{}, &Error{Kind: KindNotFound, Message: "it is over"}
	}
}

// TestStoreThatIsAway runs a verb whose request hangs for a minute.
func TestStoreThatIsAway(t *testing.T) {
	t.Parallel()
	refuses := func(context.Context) error { return &backend.Error{Kind: backend.KindUnreachable, Op: "HeadBucket"} }
	hangs := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	denies := func(context.Context) error { return &backend.Error{Kind: backend.KindPermission, Op: "HeadBucket"} }
	for name, test := range map[string]struct {
		alive    func(context.Context) error
		patience time.Duration
		kind     Kind
		took     time.Duration
		notes    string
	}{
		"refuses":              {refuses, 4 * time.Second, KindUnreachable, 4 * time.Second, "the store E does not answer; it is waited for, up to 4s"},
		"hangs":                {hangs, 20 * time.Second, KindUnreachable, 20 * time.Second, "the store E does not answer; it is waited for, up to 20s"},
		"no patience":          {hangs, 1, KindUnreachable, 2 * time.Second, ""},
		"patience without end": {hangs, 0, KindNotFound, time.Minute, "the store E does not answer"},
		"is only slow":         {denies, 4 * time.Second, KindNotFound, time.Minute, ""},
		"is not watched":       {nil, 4 * time.Second, KindNotFound, time.Minute, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				v := &Verbs{Tree: hungTree{hangs: time.Minute}, Endpoint: "E", Alive: test.alive, Patience: test.patience}
				var notes []string
				began := time.Now()
				err := v.Run(t.Context(), "versions/list", ListVersionsRequest{}, func(l Line) error {
					notes = append(notes, l.Note)
					return nil
				})
				if took := time.Since(began); KindOf(err) != test.kind || took != test.took || strings.Join(notes, "\n") != test.notes {
					t.Errorf("%v (%s) after %v, notes %q", err, KindOf(err), took, notes)
				}
			})
		})
	}
}

// TestStoreThatComesBack tells both, and the verb goes on.
func TestStoreThatComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		back := time.Now().Add(10 * time.Second)
		v := &Verbs{Tree: hungTree{hangs: time.Minute}, Endpoint: "E", Patience: 30 * time.Second, Alive: func(context.Context) error {
			if time.Now().Before(back) {
				return &backend.Error{Kind: backend.KindTransient}
			}
			return nil
		}}
		var notes []string
		err := v.Run(t.Context(), "versions/list", ListVersionsRequest{}, func(l Line) error {
			notes = append(notes, l.Note)
			return nil
		})
		want := "the store E does not answer; it is waited for, up to 30s; the store answers again"
		if got := strings.Join(notes, "; "); got != want || KindOf(err) != KindNotFound {
			t.Errorf("%v, notes %q", err, got)
		}
	})
}

// TestClientThatGoesEndsTheWait at once.
func TestClientThatGoesEndsTheWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := &Verbs{Tree: hungTree{hangs: time.Hour}, Endpoint: "E", Patience: time.Hour, Alive: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		err := v.Run(ctx, "versions/list", ListVersionsRequest{}, func(Line) error { return nil })
		if took := time.Since(began); err == nil || took != 5*time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}
