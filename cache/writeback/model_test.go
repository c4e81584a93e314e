package writeback

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
	"github.com/objmount/objmount/cache/staging"
	"pgregory.net/rapid"
)

// modelFile is a staged file and what it should hold.
type modelFile struct {
	file   *staging.File
	key    string
	data   []byte
	mode   string // a property
	sealed []sealedAs
	grows  bool   // it is only appended to, or emptied, or changed at its start
	first  []byte // what its object held before
}

type sealedAs struct {
	data []byte
	mode string
}

// Whatever programs do to files, and whatever goes wrong on the way: in the end the objects hold what was
// sealed last, and at no time anything that was not sealed.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "writeback")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		options := drawStore(t)
		r := rigIn(t, dir, options...)
		defer r.close()
		first := random(1, rapid.SampledFrom([]int64{60 * kib, 60 * kib, 2 * kib}).Draw(t, "base"))
		base := r.put("base", first)
		grow := rapid.Bool().Draw(t, "files grow")
		files := []*modelFile{
			{file: r.create("new"), key: "new", grows: grow},
			{file: r.edit(base), key: "base", data: first, first: first, grows: grow},
		}
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			m := files[rapid.IntRange(0, 1).Draw(t, "file")]
			r.step(t, m)
			for _, m := range files {
				m.check(t, r)
			}
		}
		if rapid.Bool().Draw(t, "restart") {
			r.restart(options...)
			for _, f := range r.area.Files() {
				if f.State() == staging.StateSealed {
					r.q.Recover(r.seal(f))
				}
			}
		}
		r.faults.Clear()
		if err := r.q.Flush(context.Background(), nil); err != nil {
			t.Fatalf("flush: %v", err)
		}
		for _, m := range files {
			m.stored(t, r)
		}
		if len(r.failures()) > 0 {
			t.Fatalf("failures: %v", r.failures())
		}
	})
}

// drawStore makes a store with some of the abilities.
func drawStore(t *rapid.T) []option {
	lacks := rapid.SampledFrom([]string{"nothing", "nothing", "conditions", "part copy", "different sizes", "destination", "etag", "many parts"}).Draw(t, "store lacks")
	small := rapid.Bool().Draw(t, "small buffer")
	return []option{func(r *rig, c *Config, s *mem.Settings) {
		c.BufferLimit, r.unchecked = 200*kib, small
		if small {
			c.BufferLimit = 40 * kib
		}
		switch caps := &s.Capabilities; lacks {
		case "conditions":
			liar(caps)
		case "part copy":
			caps.PartCopy = false
		case "different sizes":
			caps.Limits.EqualParts = true
		case "destination":
			caps.CopyDestination = false
		case "etag":
			s.EmptyCompleteETag = true
		case "many parts":
			caps.Limits.MaxParts = 12
		}
	}}
}

// step does something to a file, its uploads or the network.
func (r *rig) step(t *rapid.T, m *modelFile) {
	size := int64(len(m.data))
	off := rapid.Int64Range(0, size).Draw(t, "off")
	if m.grows && off > 500 {
		off = size
	}
	n := rapid.SampledFrom([]int64{1, 100, 3 * kib, 9 * kib, 20 * kib}).Draw(t, "n")
	step := rapid.IntRange(0, 12).Draw(t, "step")
	if m.grows && step < 2 {
		step = 2
	}
	switch step {
	case 0, 1:
		m.write(r, random(uint64(n+off), n), off)
	case 2, 3:
		for range rapid.IntRange(1, 5).Draw(t, "appends") {
			m.write(r, random(uint64(n+off), n), int64(len(m.data)))
			r.q.Grown(m.file)
		}
		if m.grows && rapid.Bool().Draw(t, "outgrows") {
			for end := time.Now().Add(5 * time.Millisecond); m.file.Streamed() == 0 && time.Now().Before(end); {
				r.q.MakeRoom(m.file)
			}
		}
	case 4:
		if err := m.file.Truncate(off); err == nil {
			m.data = m.data[:off:off]
		} else if !backend.IsKind(err, backend.KindBusy) || m.file.Streamed() == 0 {
			t.Fatal(err)
		}
	case 5:
		m.mode = fmt.Sprint(n)
		if err := m.file.SetProperties(backend.Properties{Metadata: map[string]string{"mode": m.mode}}); err != nil {
			t.Fatal(err)
		}
	case 6:
		r.q.Enqueue(m.seal(r), time.Duration(rapid.IntRange(0, 2).Draw(t, "delay"))*time.Millisecond)
	case 7:
		r.faults.Clear() // else it may never end
		if _, err := r.q.Commit(context.Background(), m.seal(r)); err != nil {
			t.Fatalf("commit: %v", err)
		}
		m.stored(t, r)
	case 8:
		r.faults.Clear()
		if _, err := r.q.Cancel(context.Background(), m.file); err != nil {
			t.Fatalf("cancel: %v", err)
		}
		if m.file.State() == staging.StateSealed {
			r.q.Enqueue(m.seal(r), 0) // as after a rename that failed
		}
	case 9, 10:
		r.q.MakeRoom(m.file)
	default:
		// Of an upload whose id did not arrive nothing is known until it is old: not part of this.
		op := rapid.SampledFrom([]string{"PutObject", "UploadPart", "UploadPartCopy", "CopyObject", "CompleteMultipartUpload", "HeadObject", "GetObject", "ListParts"}).Draw(t, "op")
		faults := []mem.Action{mem.Fail(backend.KindTransient), mem.LoseReply(), mem.Flip(3), mem.Cut(500), mem.Delay(time.Millisecond)}
		if op == "GetObject" || r.unchecked { // of a range or a streamed body, nothing but TLS tells that bytes were changed
			faults[2] = mem.Cut(100)
		}
		do := faults[rapid.IntRange(0, 4).Draw(t, "fault")]
		r.faults.Add(mem.Rule{Op: op, Nth: rapid.IntRange(1, 3).Draw(t, "nth"), Times: rapid.IntRange(1, 4).Draw(t, "times"), Do: []mem.Action{do}})
	}
}

func (m *modelFile) write(r *rig, data []byte, off int64) {
	if _, err := m.file.WriteAt(data, off); backend.IsKind(err, backend.KindBusy) && m.file.Streamed() > 0 {
		return // given back
	} else if err != nil {
		r.t.Fatal(err)
	}
	grown := make([]byte, max(int64(len(m.data)), off+int64(len(data))))
	copy(grown, m.data)
	copy(grown[off:], data)
	m.data = grown
}

func (m *modelFile) seal(r *rig) *staging.Snapshot {
	s := r.seal(m.file)
	m.sealed = append(m.sealed, sealedAs{m.data, m.mode})
	return s
}

// check compares the object with everything that was sealed.
func (m *modelFile) check(t *rapid.T, r *rig) {
	body, err := r.mem.Get(context.Background(), id(m.key), backend.GetOptions{})
	if backend.IsKind(err, backend.KindNotExist) && m.key == "new" {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	body.Close()
	now := r.get(m.key)
	if m.key == "base" && bytes.Equal(now, m.first) {
		return
	}
	for _, s := range m.sealed {
		if bytes.Equal(s.data, now) {
			return
		}
	}
	t.Fatalf("%q holds %d bytes that were never sealed", m.key, len(now))
}

// stored compares the object with what was sealed last.
func (m *modelFile) stored(t *rapid.T, r *rig) {
	if len(m.sealed) == 0 {
		return
	}
	want := m.sealed[len(m.sealed)-1]
	r.has(m.key, want.data)
	if head := r.head(m.key); head.Metadata["mode"] != want.mode {
		t.Fatalf("%q has mode %q, want %q", m.key, head.Metadata["mode"], want.mode)
	}
	if !m.file.Dirty() { // else it may be streamed
		r.noUploads(m.key)
	}
}
