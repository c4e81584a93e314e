package staging

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/objmount/objmount/backend"
)

const streamedPart = 8 << 10

// growing is a file of parts, each appended and uploaded, and the bytes of it.
func growing(t *testing.T, a *Area, parts int) (*File, []byte) {
	t.Helper()
	f, err := a.Create(Spec{Target: backend.ObjectID{Bucket: "b", Key: "k"}})
	if err != nil {
		t.Fatal(err)
	}
	data := randomBytes(rand.New(rand.NewPCG(1, 2)), parts*streamedPart+100)
	for off := 0; off < len(data); off += 1000 {
		if _, err := f.WriteAt(data[off:min(off+1000, len(data))], int64(off)); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.BeginUpload(f.Spec().Target); err != nil {
		t.Fatal(err)
	}
	if err := f.SetUpload("id"); err != nil {
		t.Fatal(err)
	}
	for i := range parts {
		off := int64(i * streamedPart)
		p := DonePart{Number: int32(i + 1), ETag: fmt.Sprint("etag", i), Off: off, Len: streamedPart, Content: f.Freeze(off, streamedPart)}
		if err := f.AddPart(p); err != nil {
			t.Fatal(err)
		}
	}
	return f, data
}

func wantBusy(t *testing.T, what string, err error) {
	t.Helper()
	if !backend.IsKind(err, backend.KindBusy) {
		t.Errorf("%s: %v", what, err)
	}
}

// TestDropPart: the bytes of a dropped part are not here any more, and nothing takes them for zeros; the space is
// there again, the rest of the file works, and the commit makes them the object's.
func TestDropPart(t *testing.T) {
	t.Parallel()
	a := simArea(t, newSimDisk(), 4*streamedPart)
	f, data := growing(t, a, 3)
	before := f.Extents(0, f.Size())
	if _, err := f.WriteAt(make([]byte, 2*streamedPart), f.Size()); !backend.IsKind(err, backend.KindNoSpace) {
		t.Fatalf("over the limit: %v", err)
	}
	for n := int32(1); n < 3; n++ {
		if !f.DropPart(n) || !f.DropPart(n) { // again changes nothing
			t.Fatal("not dropped")
		}
	}
	if err := a.committer.tick(); err != nil {
		t.Fatal(err)
	}
	if got := a.Usage().Bytes; got != streamedPart+100 || f.Streamed() != 2*streamedPart {
		t.Errorf("%d bytes are used, %d streamed", got, f.Streamed())
	}
	buf := make([]byte, 100)
	for _, list := range [][]Extent{before, f.Extents(0, f.Size())} {
		_, err := f.ReadLocal(list[0], buf, 50)
		wantBusy(t, "read", err)
	}
	_, err := f.Reader(before).Read(make([]byte, 3*streamedPart))
	wantBusy(t, "reader", err)
	_, err = f.WriteAt(buf, 2*streamedPart-50)
	wantBusy(t, "write", err)
	wantBusy(t, "truncate", f.Truncate(streamedPart))
	wantBusy(t, "punch", f.Punch(10, 10))
	wantBusy(t, "remote", f.SetRemote(10, &Remote{Size: 100}, 0, 10))
	wantBusy(t, "copy inside", f.CopyFrom(f.Size(), f, 10, 10))
	wantBusy(t, "rename", f.SetTarget(backend.ObjectID{Bucket: "b", Key: "other"}, backend.Condition{}))
	if err := f.SetTarget(f.Spec().Target, backend.Condition{IfNoneMatch: true}); err != nil {
		t.Error(err)
	}
	more := []byte("more")
	if _, err := f.WriteAt(more, f.Size()); err != nil {
		t.Fatal(err)
	}
	s, err := f.Seal(false)
	if err != nil {
		t.Fatal(err)
	}
	if !SameContent(s.Extents[:1], before[:1]) && !SameContent(f.Extents(0, streamedPart), f.Upload().Parts[0].Content) {
		t.Error("the part is not the file's content any more")
	}
	if f.DropPart(3) {
		t.Error("dropped what is promised")
	}
	whole := &Remote{Source: backend.Source{Bucket: "b", Key: "k", ETag: "e"}, Size: s.Size}
	if clean, err := f.Committed(s, whole); err != nil || !clean || f.Streamed() != 0 {
		t.Errorf("%v, %v, %d streamed", clean, err, f.Streamed())
	}
	s.Release()
	for _, e := range f.Extents(0, f.Size()) {
		if e.Object != whole || e.ObjectOff != e.Off || e.Off == 0 && e.Local {
			t.Errorf("%+v", e)
		}
	}
	if err := f.DropStored(); err != nil {
		t.Fatal(err)
	}
	if got := f.Extents(0, f.Size()); len(got) != 1 || got[0].Local || got[0].Len != int64(len(data)+len(more)) {
		t.Errorf("%+v", got)
	}
	halt(a)
}

// TestNotDropped: only what was written once, at the end, and is not promised is given back.
func TestNotDropped(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before func(*File) error
		want   bool
	}{
		"appended":  {func(f *File) error { _, err := f.WriteAt([]byte("x"), f.Size()); return err }, true},
		"rewritten": {func(f *File) error { _, err := f.WriteAt([]byte("x"), f.Size()-1); return err }, false},
		"gap":       {func(f *File) error { _, err := f.WriteAt([]byte("x"), f.Size()+1); return err }, false},
		"shorter":   {func(f *File) error { return f.Truncate(f.Size() - 1) }, false},
		"longer":    {func(f *File) error { return f.Truncate(f.Size() + 1) }, false},
		"hole":      {func(f *File) error { return f.Punch(f.Size()-1, 1) }, false},
		"copied":    {func(f *File) error { return f.CopyFrom(f.Size(), f, 0, 10) }, false},
		"sealed":    {func(f *File) error { _, err := f.Seal(false); return err }, false},
		"conflict":  {func(f *File) error { return f.SetState(StateConflict, "") }, false},
		"forgotten": {func(f *File) error { return f.ForgetUpload() }, false},
		"emptied": {func(f *File) error {
			if err := f.Truncate(0); err != nil {
				return err
			}
			_, err := f.WriteAt(make([]byte, 2*streamedPart), 0)
			return err
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := simArea(t, newSimDisk(), 0)
			f, _ := growing(t, a, 1)
			if err := c.before(f); err != nil {
				t.Fatal(err)
			}
			if got := f.DropPart(1); got != c.want || (f.Streamed() > 0) != c.want {
				t.Errorf("dropped: %v, %d bytes", got, f.Streamed())
			}
			if f.DropPart(2) {
				t.Error("dropped a part that is not there")
			}
			halt(a)
		})
	}
}

// TestStreamedAndCrash: after the end of the process, or of the power, each byte of a dropped part is here or in
// a part that the journal knows.
func TestStreamedAndCrash(t *testing.T) {
	t.Parallel()
	seen := make(map[string]int)
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 3))
		disk := newSimDisk()
		a := simArea(t, disk, 0)
		f, data := growing(t, a, 3)
		ticks := r.IntN(3)
		for range ticks {
			if err := a.committer.tick(); err != nil {
				t.Fatal(err)
			}
		}
		f.DropPart(2)
		f.DropPart(1)
		if r.IntN(2) == 0 {
			if err := a.committer.tick(); err != nil {
				t.Fatal(err)
			}
		}
		sealed := r.IntN(2) == 0
		if sealed {
			s, err := f.Seal(r.IntN(2) == 0)
			if err != nil {
				t.Fatal(err)
			}
			s.Release()
		}
		halt(a)
		power := r.IntN(2) == 0
		next := disk.kill()
		if power {
			next = disk.crash(r)
		}
		a = simArea(t, next, 0)
		for _, f := range a.Files() {
			seen[fmt.Sprint(power, f.State(), f.Streamed())]++
			if !power && f.Streamed() == 0 && sealed {
				t.Errorf("seed %d: %s", seed, describe(f))
			}
			checkStreamed(t, seed, f, data, power && f.State() != StateSealed)
		}
		if len(a.Files()) == 0 && !power {
			t.Errorf("seed %d: nothing is left", seed)
		}
		halt(a)
	}
	if len(seen) < 4 {
		t.Errorf("only %v", seen)
	}
}

// checkStreamed compares what is local, and looks for the rest among the parts. Bytes that were never synced may be
// missing, which is an error when they are read, or torn.
func checkStreamed(t *testing.T, seed uint64, f *File, data []byte, torn bool) {
	t.Helper()
	for _, e := range f.Extents(0, f.Size()) {
		p := make([]byte, e.Len)
		switch n, err := f.ReadLocal(e, p, e.Off); {
		case e.Streamed:
			wantBusy(t, "read", err)
			for off := e.Off; off < e.End(); off += streamedPart {
				i := off / streamedPart
				if up := f.Upload(); up == nil || up.UploadID != "id" || len(up.Parts) <= int(i) ||
					!SameContent(up.Parts[i].Content, f.Extents(off, streamedPart)) {
					t.Fatalf("seed %d: bytes at %d are nowhere: %s", seed, off, describe(f))
				}
			}
		case torn:
		case err != nil || n != len(p) || !bytes.Equal(p, data[e.Off:e.End()]):
			t.Fatalf("seed %d: other bytes at %d: %v, %s", seed, e.Off, err, describe(f))
		}
	}
}

// outgrow makes a new file that is appended to, uploaded and given back: two parts, so that they can be joined.
func (w *world) outgrow() {
	w.create()
	m := w.files[len(w.files)-1]
	for number := int32(1); number < 3; number++ {
		off, p := int64(len(m.data)), w.bytes()
		w.writeAt(m, off, p)
		if int64(len(m.data)) == off { // no room
			return
		}
		list := m.file.Freeze(off, int64(len(p)))
		if number == 1 {
			if err := m.file.BeginUpload(m.target); err != nil {
				w.t.Fatal(err)
			}
			if err := m.file.SetUpload("upload"); err != nil {
				w.t.Fatal(err)
			}
		}
		if err := m.file.AddPart(DonePart{Number: number, ETag: "e", Off: off, Len: int64(len(p)), Content: list}); err != nil {
			w.t.Fatal(err)
		}
		if !m.file.DropPart(number) {
			w.t.Fatal("not given back")
		}
		if w.given[m.id] == nil {
			w.given[m.id] = make(map[int64][]byte)
		}
		w.given[m.id][list[0].Pos] = p
		if rapid.Bool().Draw(w.t, "tick") {
			w.tick()
		}
	}
}

// bound tells whether the upload of a file is the only place of some bytes, of its content or of a snapshot's: write-back
// leaves it alone then.
func (w *world) bound(m *fileModel) bool { return w.given[m.id] != nil && len(m.stored) == 0 }

// uploaded returns the bytes of a streamed extent. Parts of the file's upload must have them, or, after a power
// failure that took back the last second, an object that was stored of the file: write-back looks for that.
func (w *world) uploaded(f *File, e Extent) ([]byte, error) {
	up := f.Upload()
	stored := slices.ContainsFunc(w.files, func(m *fileModel) bool { return m.id == f.id && len(m.stored) > 0 })
	if up == nil && !stored {
		return nil, errors.New("the upload with these bytes is gone")
	}
	var out []byte
	for pos := e.Pos; pos < e.Pos+e.Len; {
		off := e.Off + pos - e.Pos
		if up != nil && !slices.ContainsFunc(up.Parts, func(p DonePart) bool {
			return p.Off <= off && off < p.Off+p.Len && len(p.Content) == 1 && p.Content[0].Pos+off-p.Off == pos
		}) {
			return nil, fmt.Errorf("no part has the bytes at %d", off)
		}
		next := pos
		for start, data := range w.given[f.id] {
			if start <= pos && pos < start+int64(len(data)) {
				next = min(start+int64(len(data)), e.Pos+e.Len)
				out = append(out, data[pos-start:next-start]...)
			}
		}
		if next == pos {
			return nil, fmt.Errorf("nothing was given back at %d", pos)
		}
		pos = next
	}
	return out, nil
}
