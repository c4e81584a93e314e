package staging

import (
	"slices"
	"testing"

	"github.com/objmount/objmount/backend"
)

func version(key, etag string, size int64) *Remote {
	return &Remote{Source: backend.Source{Bucket: "b", Key: key, ETag: etag}, Size: size}
}

// TestCommitOrder: a range that was copied inside the file, hidden by a write in a later snapshot, and
// copied again, is found in the object of each commit.
func TestCommitOrder(t *testing.T) {
	t.Parallel()
	a := simArea(t, newSimDisk(), 0)
	defer a.Close()
	base := version("k", "0", 100)
	f, err := a.Create(Spec{Target: objectOf(base), Content: base})
	if err != nil {
		t.Fatal(err)
	}
	copyHead := func() {
		if err := f.CopyFrom(10, f, 0, 10); err != nil {
			t.Fatal(err)
		}
	}
	seal := func() *Snapshot {
		s, err := f.Seal(false)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	copyHead()
	first := seal()
	write(t, f, make([]byte, 90), 10)
	second := seal()
	copyHead()
	for i, s := range []*Snapshot{first, second} {
		r := version("k", string(rune('1'+i)), 100)
		if clean, err := f.Committed(s, r); clean || err != nil {
			t.Fatal(clean, err)
		}
		list := f.Extents(0, 20)
		if !slices.ContainsFunc(list, func(e Extent) bool { return e.Object == r }) {
			t.Fatalf("commit %d: %v", i, list)
		}
		for _, e := range list {
			if e.Object != r || e.ObjectOff > 0 && i == 1 && e.Off == 10 {
				t.Fatalf("commit %d: the head is at %v, which the object may not have", i, e)
			}
		}
		s.Release()
	}
}

// TestCommitMovesSources: what was copied from another object is the new object's, so that the other one may
// go; what was copied since is still the other's.
func TestCommitMovesSources(t *testing.T) {
	t.Parallel()
	a := simArea(t, newSimDisk(), 0)
	defer a.Close()
	f, source := create(t, a), version("source", "s", 100)
	set := func(off, from, n int64) {
		if err := f.SetRemote(off, source, from, n); err != nil {
			t.Fatal(err)
		}
	}
	set(0, 0, 50)
	s, err := f.Seal(false)
	if err != nil {
		t.Fatal(err)
	}
	set(50, 20, 50)
	r := version("k", "1", 50)
	if _, err := f.Committed(s, r); err != nil {
		t.Fatal(err)
	}
	want := []Extent{
		{Off: 0, Len: 50, Object: r},
		{Off: 50, Len: 30, Object: r, ObjectOff: 20},
		{Off: 80, Len: 20, Object: source, ObjectOff: 50},
	}
	if got := f.Extents(0, 100); !slices.Equal(got, want) {
		t.Fatalf("%v", got)
	}
	if !f.References("b", "source") || !f.References("b", "k") || f.References("b", "other") {
		t.Error("references are wrong")
	}
}
