package staging

import (
	"fmt"
	"maps"
	"slices"

	"pgregory.net/rapid"

	"github.com/objmount/objmount/backend"
)

// actions are what the layers above do with an area.
func (w *world) actions() map[string]func(*rapid.T) {
	list := map[string]func(){
		"create": w.create, "write": w.write, "write2": w.write, "append": w.append, "truncate": w.truncate, "punch": w.punch,
		"setRemote": w.setRemote, "copy": w.copy, "properties": w.properties,
		"freeze": w.freeze, "forget": w.forget, "seal": w.seal, "fsync": w.fsync,
		"release": w.release, "commit": w.commit, "rebase": w.rebase, "remove": w.remove, "unseal": w.unseal, "drop": w.drop,
		"tick": w.tick, "compact": w.compact, "upload": w.upload, "outgrow": w.outgrow, "outgrow2": w.outgrow,
	}
	out := make(map[string]func(*rapid.T))
	for name, fn := range list {
		out[name] = func(t *rapid.T) {
			w.t = t
			fn()
		}
	}
	return out
}

func (w *world) create() {
	if live := slices.DeleteFunc(slices.Clone(w.files), func(m *fileModel) bool { return m.file == nil }); len(live) >= 5 {
		w.t.Skip("enough files")
	}
	key := fmt.Sprint("key", len(w.files))
	spec := Spec{Target: backend.ObjectID{Bucket: "b", Key: key}, Condition: backend.Condition{IfNoneMatch: true}}
	m := &fileModel{target: spec.Target, targets: []backend.ObjectID{spec.Target}, stored: make(map[string]bool)}
	if rapid.Bool().Draw(w.t, "existing") {
		m.data = w.bytes()
		spec.Content = w.object(key, m.data)
		spec.Condition = backend.Condition{IfMatch: spec.Content.ETag}
	}
	f, err := w.area.Create(spec)
	if err != nil {
		w.t.Fatal(err)
	}
	m.file, m.id = f, f.id
	w.files = append(w.files, m)
}

func (w *world) write() {
	m := w.pick()
	w.writeAt(m, w.offset(len(m.data)), w.bytes())
}

func (w *world) append() {
	m := w.pick()
	w.writeAt(m, int64(len(m.data)), w.bytes())
}

func (w *world) writeAt(m *fileModel, off int64, p []byte) {
	n, err := m.file.WriteAt(p, off)
	if w.noSpace(err) {
		if n != 0 {
			w.t.Fatal("wrote over the limit")
		}
		return
	}
	m.put(off, p)
	m.touch()
}

func (w *world) truncate() {
	m := w.pick()
	size := w.offset(len(m.data))
	if w.noSpace(m.file.Truncate(size)) {
		return
	}
	if size == int64(len(m.data)) {
		return
	}
	if size > int64(len(m.data)) {
		m.put(size, nil)
	}
	m.data = m.data[:size:size]
	m.touch()
}

func (w *world) punch() {
	m := w.pick()
	off, n := w.offset(len(m.data)), rapid.Int64Range(1, 9000).Draw(w.t, "n")
	if w.noSpace(m.file.Punch(off, n)) {
		return
	}
	m.put(off, make([]byte, n))
	m.touch()
}

func (w *world) setRemote() {
	m, r := w.pick(), rapid.SampledFrom(w.sources).Draw(w.t, "source")
	from := rapid.Int64Range(0, r.Size-1).Draw(w.t, "from")
	n := rapid.Int64Range(1, r.Size-from).Draw(w.t, "n")
	off := w.offset(len(m.data))
	if w.noSpace(m.file.SetRemote(off, r, from, n)) {
		return
	}
	m.put(off, w.objects[*r][from:from+n])
	m.touch()
}

func (w *world) copy() {
	m, src := w.pick(), w.pick()
	if len(src.data) == 0 {
		w.t.Skip("empty source")
	}
	src.shared = src.shared || src != m
	from := rapid.Int64Range(0, int64(len(src.data))-1).Draw(w.t, "from")
	n := rapid.Int64Range(1, int64(len(src.data))-from).Draw(w.t, "n")
	off := w.offset(len(m.data))
	err := m.file.CopyFrom(off, src.file, from, n)
	if m == src && off < from+n && from < off+n {
		if !backend.IsKind(err, backend.KindInvalid) {
			w.t.Fatal("overlapping copy: ", err)
		}
		return
	}
	if w.noSpace(err) {
		return
	}
	m.put(off, src.data[from:from+n])
	m.touch()
}

func (w *world) properties() {
	m := w.pick()
	if err := m.file.SetProperties(backend.Properties{StorageClass: "X"}); err != nil {
		w.t.Fatal(err)
	}
	m.touch()
}

func (w *world) freeze() {
	m := w.pick()
	if len(m.streams) > 3 {
		w.t.Skip("enough streams")
	}
	off := rapid.Int64Range(0, int64(len(m.data))).Draw(w.t, "off")
	n := rapid.Int64Range(0, int64(len(m.data))-off).Draw(w.t, "n")
	m.streams = append(m.streams, frozenModel{m.file.seals, m.file.Freeze(off, n), m.data[off : off+n]})
}

func (w *world) forget() {
	m := w.pick()
	if w.bound(m) {
		w.t.Skip("the upload is all there is")
	}
	if err := m.file.ForgetUpload(); err != nil {
		w.t.Fatal(err)
	}
	m.streams = nil
}

// upload begins an upload and adds a part of what is frozen.
func (w *world) upload() {
	m := w.pick()
	if len(m.streams) == 0 || m.gone || w.bound(m) {
		w.t.Skip("nothing frozen")
	}
	if up := m.file.Upload(); up == nil || up.UploadID == "" {
		if err := m.file.BeginUpload(m.target); err != nil {
			w.t.Fatal(err)
		}
		if err := m.file.SetUpload("upload"); err != nil {
			w.t.Fatal(err)
		}
	}
	m.changed = true // the journal knows the file now
	s := m.streams[len(m.streams)-1]
	if len(s.list) == 0 {
		return
	}
	number := rapid.Int32Range(1, 5).Draw(w.t, "number")
	p := DonePart{Number: number, ETag: "e", Off: s.list[0].Off, Len: int64(len(s.data)), Content: s.list}
	if err := m.file.AddPart(p); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) seal()  { w.sealFile(false) }
func (w *world) fsync() { w.sealFile(true) }

func (w *world) sealFile(fsynced bool) { w.sealModel(w.pick(), fsynced) }

func (w *world) sealModel(m *fileModel, fsynced bool) {
	before := m.file.Generation()
	s, err := m.file.Seal(fsynced)
	if err != nil {
		w.t.Fatal(err)
	}
	if s.Generation != before || m.file.State() != StateSealed {
		w.t.Fatal("a seal changed the generation, or the state is ", m.file.State())
	}
	if len(m.seals) == 0 || m.seals[len(m.seals)-1].generation != s.Generation {
		m.seals = append(m.seals, sealModel{generation: s.Generation, data: m.data})
	}
	m.snapshots = append(m.snapshots, &snapModel{s, m.data})
	m.dirty, m.promised, m.withdrawn, m.gone, m.goneFor = false, true, false, false, false
	if fsynced {
		m.seals[len(m.seals)-1].durable = true
		w.flushed()
	}
}

func (w *world) release() {
	m := w.pick()
	if len(m.snapshots) == 0 {
		w.t.Skip("no snapshot")
	}
	i := rapid.IntRange(0, len(m.snapshots)-1).Draw(w.t, "snapshot")
	snap := m.snapshots[i].snap
	snap.Release()
	m.snapshots = slices.Delete(m.snapshots, i, i+1)
	m.streams = slices.DeleteFunc(m.streams, func(s frozenModel) bool { return s.seals < snap.number })
}

// commit stores the oldest snapshot, as write-back does: in order.
func (w *world) commit() {
	m := w.pick()
	if len(m.snapshots) == 0 {
		w.t.Skip("no snapshot")
	}
	s := m.snapshots[0]
	m.snapshots = m.snapshots[1:]
	list, _ := s.snap.Current()
	w.expect("upload", m.file, list, s.data)
	r := w.object(m.target.Key, s.data)
	clean, err := m.file.Committed(s.snap, r)
	if err != nil {
		w.t.Fatal(err)
	}
	m.stored[s.snap.Generation] = true
	w.forgetObjects(m, r)
	last := m.seals[len(m.seals)-1].generation == s.snap.Generation
	if last {
		m.promised = false
	}
	want := last && !m.dirty
	if clean != want || (m.file.State() == StateCommitted) != want {
		w.t.Fatalf("clean is %v, state %v", clean, m.file.State())
	}
	if want {
		m.gone, m.goneFor, m.changed = true, false, false
	}
	if got := m.file.Spec().Condition; got.IfMatch != r.ETag {
		w.t.Fatal("condition is ", got)
	}
	m.streams = nil
	s.snap.Release()
}

// forgetObjects drops older versions of a file's object: nothing of this file may need them. Where
// another file copied from it, fs keeps the older version or waits.
func (w *world) forgetObjects(m *fileModel, keep *Remote) {
	maps.DeleteFunc(w.objects, func(r Remote, _ []byte) bool { return !w.keepAll && !m.shared && r.Key == keep.Key && r != *keep })
}

// rebase gives the file's base another ETag.
func (w *world) rebase() {
	m := w.pick()
	old := m.file.Spec().Content
	if old == nil {
		w.t.Skip("no base")
	}
	now := w.object(old.Key, w.objects[*old])
	for _, o := range w.files {
		if o.file != nil {
			if err := o.file.Rebase(old, now); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	for _, o := range w.files {
		for i := range o.streams {
			o.streams[i].list = rebased(o.streams[i].list, old, now)
		}
	}
	if !w.keepAll {
		delete(w.objects, *old)
	}
	if c := m.file.Spec().Condition; c.IfMatch != now.ETag {
		w.t.Fatal("condition is ", c)
	}
}

func (w *world) drop() {
	m := w.pick()
	if err := m.file.DropStored(); err != nil {
		w.t.Fatal(err)
	}
	for _, e := range m.file.Extents(0, 1<<40) {
		if e.Local && e.Object != nil {
			w.t.Fatal("stored bytes are still here")
		}
	}
}

// unseal takes a promise back, as unlink does while a program has the file open.
func (w *world) unseal() {
	m := w.pick()
	if !m.promised {
		w.t.Skip("no promise")
	}
	if err := m.file.SetState(StateOpen, "test"); err != nil {
		w.t.Fatal(err)
	}
	m.promised, m.withdrawn, m.changed, m.recorded = false, true, true, true
	for i := range m.seals { // a later promise has to be made durable by itself
		m.seals[i].durable = false
	}
}

func (w *world) remove() {
	m := w.pick()
	if err := m.file.Remove(); err != nil {
		w.t.Fatal(err)
	}
	m.file.Remove()
	for _, s := range m.snapshots { // still readable
		list, _ := s.snap.Current()
		w.expect("snapshot of a removed file", m.file, list, s.data)
		s.snap.Release()
	}
	if _, err := m.file.WriteAt([]byte("x"), 0); !backend.IsKind(err, backend.KindNotExist) {
		w.t.Fatal("write after remove: ", err)
	}
	m.file, m.snapshots, m.streams, m.gone, m.goneFor = nil, nil, nil, true, false
}

// tick is the sync that comes every second.
func (w *world) tick() {
	if err := w.area.committer.tick(); err != nil {
		w.t.Fatal(err)
	}
	for _, m := range w.files {
		if m.promised && len(m.seals) > 0 {
			m.seals[len(m.seals)-1].durable = true
		}
		m.recorded = true
	}
	w.flushed()
}

func (w *world) compact() {
	c := w.area.committer
	c.run.Lock()
	defer c.run.Unlock()
	if err := w.area.disk.SyncDir(w.area.dataDir); err != nil {
		w.t.Fatal(err)
	}
	if err := w.area.journal.compact(); err != nil {
		w.t.Fatal(err)
	}
	w.flushed()
}
