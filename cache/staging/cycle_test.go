package staging

import (
	"bytes"
	"testing"

	"github.com/objmount/objmount/backend"
)

func TestCycle(t *testing.T) {
	dir := t.TempDir()
	a, err := Open(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	f, err := a.Create(Spec{Target: backend.ObjectID{Bucket: "b", Key: "k"}})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := f.WriteAt([]byte("hello"), 3); n != 5 || err != nil {
		t.Fatal(n, err)
	}
	s, err := f.Seal(true)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	s.Release()
	a, err = Open(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Files()) != 1 {
		t.Fatal(a.Files())
	}
	f = a.Files()[0]
	if f.State() != StateSealed || f.Size() != 8 {
		t.Fatal(f.State(), f.Size())
	}
	s, err = f.Seal(false)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 8)
	if n, err := f.Reader(s.Extents).Read(buf); n != 8 || err != nil || !bytes.Equal(buf, []byte("\x00\x00\x00hello")) {
		t.Fatal(n, err, buf)
	}
	clean, err := f.Committed(s, &Remote{Source: backend.Source{Bucket: "b", Key: "k", ETag: "e"}, Size: 8})
	if !clean || err != nil {
		t.Fatal(clean, err)
	}
	s.Release()
	if err := f.Remove(); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
}
