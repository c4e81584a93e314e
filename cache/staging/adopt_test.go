package staging

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
)

// killed is the directory of an area whose process was killed: one sealed file, one that was being
// written, a promise, and a data file that no journal knows.
func killed(t *testing.T, key string) string {
	t.Helper()
	dir := t.TempDir()
	a, err := open(Config{Dir: dir}, idle())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{key, key + " open"} {
		f, err := a.Create(Spec{Target: backend.ObjectID{Bucket: "b", Key: k}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte("bytes of "+k), 0); err != nil {
			t.Fatal(err)
		}
		if k == key {
			if _, err := f.Seal(true); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := a.AddIntent("delete", []byte(key), true); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data", "what is this"), []byte("?"), 0o600); err != nil {
		t.Fatal(err)
	}
	halt(a)
	if err := a.release(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func osArea(t *testing.T, limit int64) *Area {
	t.Helper()
	a, err := open(Config{Dir: t.TempDir(), Limit: limit}, tuning{every: time.Millisecond, ids: clockIDs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// show lists files as key and state, in any order of their age.
func show(a *Area) []string {
	var list []string
	for _, f := range a.Files() {
		list = append(list, f.Spec().Target.Key+": "+f.State().String())
	}
	slices.Sort(list)
	return list
}

// TestAdopt: what another area holds shows up here, works as if it were of this one, and stays in its own
// journal all the time.
func TestAdopt(t *testing.T) {
	t.Parallel()
	a, dir := osArea(t, 100), killed(t, "k")
	own, err := a.Create(Spec{Target: backend.ObjectID{Bucket: "b", Key: "own"}})
	if err != nil {
		t.Fatal(err)
	}
	other, err := a.Adopt(dir)
	if err != nil || other == nil {
		t.Fatal(other, err)
	}
	if got, want := show(a), []string{"k open: interrupted", "k: sealed", "own: open"}; !slices.Equal(got, want) {
		t.Fatalf("%q, want %q", got, want)
	}
	if u := a.Usage(); u.Files != 3 || u.Quarantined != 1 || u.Bytes != int64(len("bytes of k"+"bytes of k open")) {
		t.Errorf("%+v", u)
	}
	if q, err := a.Quarantined(); err != nil || len(q) != 1 || !strings.HasPrefix(q[0].Path, dir) || q[0].Size == 0 {
		t.Errorf("quarantined: %+v, %v", q, err)
	}
	var f *File
	for _, x := range other.Files() {
		if x.State() == StateSealed {
			f = x
		}
	}
	if text(t, f) != "bytes of k" || f.SameArea(own) || !own.SameArea(own) {
		t.Error("not the file that was written")
	}
	if err := own.CopyFrom(0, f, 0, 5); err != nil || text(t, own) != "bytes" {
		t.Errorf("copy: %v", err)
	}
	// One limit for both, and room that one gives back is room for the other.
	if _, err := own.WriteAt(make([]byte, 80), 5); !backend.IsKind(err, backend.KindNoSpace) {
		t.Errorf("over the limit: %v", err)
	}
	if err := f.Remove(); err != nil {
		t.Fatal(err)
	}
	if err := a.WaitSpace(context.Background(), 76); err != nil {
		t.Fatal(err)
	}
	intents := a.Intents()
	if len(intents) != 1 || string(intents[0].Payload) != "k" {
		t.Fatalf("%v", intents)
	}
	if err := a.DropIntent(intents[0].ID); err != nil || len(other.Intents()) != 0 {
		t.Errorf("%v, %v", err, other.Intents())
	}
	halt(a) // killed again: the other area has all of its own
	halt(other)
	for _, x := range []*Area{a, other} {
		if err := x.release(); err != nil {
			t.Fatal(err)
		}
	}
	again, err := open(Config{Dir: dir}, idle())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got, want := show(again), []string{"k open: interrupted"}; !slices.Equal(got, want) || len(again.Intents()) != 0 {
		t.Errorf("%q, want %q; %v", got, want, again.Intents())
	}
	a.closed = true // its cleanup has nothing to do
}

// TestAdoptOnce: two mounts that adopt at once do not get the same area, and one that is empty is let go.
func TestAdoptOnce(t *testing.T) {
	t.Parallel()
	a, b, dir := osArea(t, 0), osArea(t, 0), killed(t, "k")
	if _, err := a.Adopt(dir); err != nil {
		t.Fatal(err)
	}
	if other, err := b.Adopt(dir); !backend.IsKind(err, backend.KindOther) || other != nil || len(b.Files()) != 0 {
		t.Errorf("%v, %v", other, err)
	}
	empty := t.TempDir()
	for range 2 {
		if other, err := a.Adopt(empty); err != nil || other != nil {
			t.Errorf("%v, %v", other, err)
		}
	}
}

// TestAdoptDoubleNumbers: a copy of an area is not taken in beside it.
func TestAdoptDoubleNumbers(t *testing.T) {
	t.Parallel()
	a, dir, double := osArea(t, 0), killed(t, "k"), t.TempDir()
	if err := os.CopyFS(double, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Adopt(dir); err != nil {
		t.Fatal(err)
	}
	used := a.Usage().Bytes
	if _, err := a.Adopt(double); !backend.IsKind(err, backend.KindOther) {
		t.Error(err)
	}
	if now := a.Usage(); now.Bytes != used || now.Files != 2 {
		t.Errorf("%+v, before %d bytes", now, used)
	}
}
