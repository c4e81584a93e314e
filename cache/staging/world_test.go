package staging

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/objmount/objmount/backend"
)

// world is an area on a simulated disk, a store that is a map, and a model of both: plain buffers.
type world struct {
	t       *rapid.T
	disk    *simDisk
	area    *Area
	limit   int64
	objects map[Remote][]byte
	sources []*Remote // objects that never change
	files   []*fileModel
	etags   int
	seed    uint64
	ids     uint64 // given out
	keepAll bool   // objects stay, whoever overwrites them
	intents map[uint64]*intentModel
	given   map[uint64]map[int64][]byte // bytes that files gave back, by the position they had
}

// fileModel is what a staged file must be.
type fileModel struct {
	id        uint64
	file      *File
	target    backend.ObjectID
	targets   []backend.ObjectID // that it had; from durableAt on it may have them after a power failure
	durableAt int
	data      []byte
	dirty     bool
	promised  bool // sealed and not committed
	seals     []sealModel
	snapshots []*snapModel
	streams   []frozenModel
	stored    map[string]bool // generations that are in the store
	withdrawn bool            // the last promise was taken back

	changed  bool // ever, since it was created or committed
	recorded bool // the change is older than a tick
	gone     bool // committed and clean, or removed
	goneFor  bool // durably so
	shared   bool // another file copied from it
}

type sealModel struct {
	generation string
	data       []byte
	durable    bool
}

type snapModel struct {
	snap *Snapshot
	data []byte
}

type frozenModel struct {
	seals uint64 // made before
	list  []Extent
	data  []byte
}

type intentModel struct {
	payload string
	durable bool
	dropped bool
	dropFor bool
}

func newWorld(t *rapid.T, limit int64) *world {
	w := &world{
		t: t, disk: newSimDisk(), limit: limit, objects: make(map[Remote][]byte),
		intents: make(map[uint64]*intentModel), given: make(map[uint64]map[int64][]byte), seed: rapid.Uint64().Draw(t, "seed"),
	}
	r := rand.New(rand.NewPCG(w.seed, 0))
	for i := range 2 {
		w.sources = append(w.sources, w.object(fmt.Sprint("source", i), randomBytes(r, 20_000)))
	}
	w.open()
	return w
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.UintN(255)) + 1 // never zero, so that lost bytes show
	}
	return b
}

func (w *world) object(key string, data []byte) *Remote {
	w.etags++
	r := &Remote{Source: backend.Source{Bucket: "b", Key: key, ETag: fmt.Sprint("etag", w.etags)}, Size: int64(len(data))}
	w.objects[*r] = data
	return r
}

func (w *world) open() {
	a, err := open(Config{Dir: "area", Disk: w.disk, Limit: w.limit}, tuning{every: time.Hour, ids: func() uint64 { w.ids++; return w.ids }})
	if err != nil {
		w.t.Fatal("open:", err)
	}
	w.area = a
}

// stop ends the goroutine of an area that is thrown away.
func (w *world) stop() {
	close(w.area.committer.stop)
	<-w.area.committer.ended
}

// read returns the bytes of extents, as fs would read them.
func (w *world) read(f *File, list []Extent) ([]byte, error) {
	var out []byte
	for _, e := range list {
		switch {
		case e.Streamed:
			p, err := w.uploaded(f, e)
			if err != nil {
				return nil, err
			}
			out = append(out, p...)
		case e.Object != nil:
			data, ok := w.objects[*e.Object]
			if !ok {
				return nil, fmt.Errorf("the map refers to %v, which is gone", *e.Object)
			}
			part := data[e.ObjectOff : e.ObjectOff+e.Len]
			if e.Local { // both places must have the same bytes
				here, err := w.read(f, []Extent{{Off: e.Off, Len: e.Len, Local: true, Pos: e.Pos}})
				if err != nil {
					return nil, err
				}
				if !bytes.Equal(here, part) {
					return nil, errors.New("local bytes are not those of the object")
				}
			}
			out = append(out, part...)
		default:
			p := make([]byte, e.Len)
			if _, err := f.ReadLocal(e, p, e.Off); err != nil {
				return nil, err
			}
			out = append(out, p...)
		}
	}
	return out, nil
}

func (w *world) expect(what string, f *File, list []Extent, want []byte) {
	w.t.Helper()
	got, err := w.read(f, list)
	if err != nil {
		w.t.Fatalf("%s: %v", what, err)
	}
	if !bytes.Equal(got, want) {
		at := 0
		for at < len(got) && at < len(want) && got[at] == want[at] {
			at++
		}
		w.t.Fatalf("%s: %d bytes, want %d; first difference at %d; extents %v", what, len(got), len(want), at, list)
	}
}

// check compares everything with the model.
func (w *world) check() {
	held := int64(0)
	for _, m := range w.files {
		if m.file == nil {
			continue
		}
		if got := m.file.Size(); got != int64(len(m.data)) {
			w.t.Fatalf("size %d, want %d", got, len(m.data))
		}
		w.expect("file", m.file, m.file.Extents(0, 1<<40), m.data)
		if m.file.Dirty() != m.dirty {
			w.t.Fatalf("dirty is %v", !m.dirty)
		}
		for _, s := range m.snapshots {
			list, _ := s.snap.Current()
			w.expect("snapshot", m.file, list, s.data)
		}
		for _, s := range m.streams {
			w.expect("frozen", m.file, s.list, s.data)
			if !slices.ContainsFunc(s.list, func(e Extent) bool { return e.Object != nil && !e.Local || e.Streamed }) {
				got, err := io.ReadAll(m.file.Reader(s.list))
				if err != nil || !bytes.Equal(got, s.data) {
					w.t.Fatalf("reader: %v", err)
				}
			}
		}
		for _, e := range m.file.Extents(0, 1<<40) {
			if e.Local && !e.Streamed {
				held += e.Len
			}
		}
	}
	if use := w.area.Usage(); use.Bytes < held || w.limit > 0 && use.Bytes > w.limit {
		w.t.Fatalf("usage %+v, files hold %d", use, held)
	}
}

// pick draws a file of the model.
func (w *world) pick() *fileModel {
	var live []*fileModel
	for _, m := range w.files {
		if m.file != nil {
			live = append(live, m)
		}
	}
	if len(live) == 0 {
		w.t.Skip("no file")
	}
	return rapid.SampledFrom(live).Draw(w.t, "file")
}

// bytes draws data; its length is often that of blocks.
func (w *world) bytes() []byte {
	n := rapid.OneOf(rapid.IntRange(1, 300), rapid.Just(4096), rapid.IntRange(1, 12_000)).Draw(w.t, "n")
	w.seed++
	return randomBytes(rand.New(rand.NewPCG(w.seed, 1)), n)
}

func (w *world) offset(size int) int64 {
	return rapid.OneOf(rapid.Int64Range(0, int64(size)), rapid.Just(int64(size)), rapid.Int64Range(0, int64(size)+5000),
		rapid.Map(rapid.Int64Range(0, 5), func(i int64) int64 { return i * 4096 })).Draw(w.t, "off")
}

// touch is what every change does to the model.
func (m *fileModel) touch() {
	m.dirty, m.changed, m.recorded, m.gone, m.goneFor = true, true, false, false, false
}

func (m *fileModel) put(off int64, p []byte) {
	if end := off + int64(len(p)); end > int64(len(m.data)) {
		m.data = append(slices.Clip(m.data), make([]byte, end-int64(len(m.data)))...)
	} else {
		m.data = slices.Clone(m.data)
	}
	copy(m.data[off:], p)
}

// flushed takes in that the journal was synced.
func (w *world) flushed() {
	for _, m := range w.files {
		if m.gone {
			m.goneFor = true
		}
		m.durableAt = max(0, len(m.targets)-1)
	}
	for _, in := range w.intents {
		in.durable = true
		in.dropFor = in.dropped
	}
}

// noSpace tells whether a change was refused for want of space, as it may under a limit, or because bytes were
// given back.
func (w *world) noSpace(err error) bool {
	if err == nil {
		return false
	}
	if w.limit > 0 && backend.IsKind(err, backend.KindNoSpace) {
		return true
	}
	if backend.IsKind(err, backend.KindBusy) && slices.ContainsFunc(w.files, func(m *fileModel) bool { return m.file != nil && m.file.Streamed() > 0 }) {
		return true
	}
	w.t.Fatal(err)
	return false
}
