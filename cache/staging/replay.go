package staging

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"strings"

	"github.com/objmount/objmount/backend"
)

// content is the payload of the records that carry a whole file.
type content struct {
	state      State
	generation string
	spec       Spec
	size       int64
	tail       int64 // first position of the data file that was never used
	first      int64 // recordBegin: where in the file the first local byte goes
	extents    []Extent
}

func (c content) encode() []byte {
	e := encoder{b: make([]byte, 0, 256+16*len(c.extents))}
	e.uint(uint64(c.state))
	e.string(c.generation)
	e.spec(c.spec)
	e.int(c.size)
	e.int(c.tail)
	e.int(c.first)
	e.extents(c.extents)
	return e.b
}

func decodeContent(payload []byte) (content, error) {
	d := decoder{b: payload}
	c := content{state: State(d.uint()), generation: d.string(), spec: d.spec()}
	c.size, c.tail, c.first = d.int(), d.int(), d.int()
	c.extents = d.extents()
	if err := d.done(); err != nil {
		return content{}, err
	}
	end := int64(0)
	if len(c.extents) > 0 {
		if c.extents[0].Off != 0 {
			return content{}, errDecode
		}
		end = c.extents[len(c.extents)-1].End()
	}
	if end != c.size {
		return content{}, errDecode
	}
	return c, nil
}

// history is what the records say about one file.
type history struct {
	file       uint64
	seal, open *content
	sealSeq    uint64
	synced     bool     // the data of the seal is durable
	prev       *content // the last seal with durable data, while that of seal is not
	begun      bool     // open is only a begin record: where later bytes went is not known
	state      State
	hasState   bool
	reason     string
	upload     *Upload
	removed    bool
	damaged    bool // a record after the last seal is lost
}

// replayed is what a segment says.
type replayed struct {
	files   map[uint64]*history
	intents map[uint64]Intent
	boot    string // of the last session
	closed  bool   // it came to an orderly end, with everything durable
	lost    []span // ranges that are not understood
	torn    int64  // bytes at the end that were being written
}

// replayer reads a segment in the order it was written.
type replayer struct {
	segment []byte
	journal *journal // its trails are filled in
	out     replayed
}

// replay reads a segment. The journal learns which frames are live.
func replay(segment []byte, boot string, j *journal) (*replayed, error) {
	r := &replayer{segment: segment, journal: j}
	r.out.files, r.out.intents = make(map[uint64]*history), make(map[uint64]Intent)
	off, err := r.header()
	if err != nil {
		return nil, err
	}
	frames, gaps := r.scan(off)
	r.cutTail(&frames, &gaps, boot)
	j.marks = make(map[uint64]uint64)
	for _, f := range frames {
		if f.kind == recordSynced {
			maps.Copy(j.marks, syncedPairs(f.payload))
		}
	}
	for _, f := range frames {
		r.apply(f)
		j.seq = max(j.seq, f.seq)
	}
	j.marks = nil
	r.out.lost = append(r.out.lost, gaps...)
	return &r.out, nil
}

// header checks the version. A damaged header does not hide the records after it.
func (r *replayer) header() (int64, error) {
	head := r.segment[:min(len(r.segment), headerSize)]
	line, _, _ := bytes.Cut(head, []byte("\n"))
	version, ours := strings.CutPrefix(string(line), headerText)
	switch {
	case ours && version == thisVersion && len(head) == headerSize:
		return headerSize, nil
	case ours && version != thisVersion && isVersion(version):
		return 0, refuse(backend.KindUnsupported, "open staging", backend.ObjectID{}, fmt.Sprintf(
			"its journal has format %s and this objmount reads format %s: let the objmount that wrote it finish its uploads, or give this one another staging directory; nothing was changed",
			version, thisVersion))
	case len(r.segment) > 0:
		r.out.lost = append(r.out.lost, span{0, int64(len(head))})
	}
	if first := nextFrame(r.segment, -1); first >= 0 {
		return first, nil
	}
	return int64(len(r.segment)), nil
}

func isVersion(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// scan finds the frames, in ascending sequence, and the gaps between them.
func (r *replayer) scan(off int64) (frames []frame, gaps []span) {
	seq := uint64(0)
	for off < int64(len(r.segment)) {
		f, state := parseFrame(r.segment, off)
		if state == frameBad {
			next := nextFrame(r.segment, off)
			if next < 0 {
				next = int64(len(r.segment))
			}
			gaps = append(gaps, span{off, next - off})
			off = next
			continue
		}
		off += f.size()
		switch {
		case len(frames) > 0 && f.seq <= seq: // the rest of a write that failed
			continue
		case state == frameBadPayload || f.kind == 0 || f.kind >= recordEnd:
			gaps = append(gaps, span{f.off, f.size()})
			f.payload, f.kind = nil, 0
		}
		seq = f.seq
		frames = append(frames, f)
	}
	return frames, gaps
}

// cutTail leaves out what was being written when the power failed: what follows a gap in the part
// that was not synced. A gap in the synced part is damage, and what follows it counts.
func (r *replayer) cutTail(frames *[]frame, gaps *[]span, boot string) {
	durable := int64(0)
	for _, f := range *frames {
		durable = max(durable, f.durable)
		if f.kind == recordSession {
			r.out.boot = string(f.payload)
		}
	}
	for i, gap := range *gaps {
		last := gap.off+gap.len == int64(len(r.segment))
		if gap.off < durable || !last && r.out.boot == boot {
			continue
		}
		r.out.torn = int64(len(r.segment)) - gap.off
		*gaps = (*gaps)[:i]
		for k, f := range *frames {
			if f.off >= gap.off {
				*frames = (*frames)[:k]
				break
			}
		}
		if !last {
			*gaps = append(*gaps, span{gap.off, r.out.torn}) // kept, in case it is not what it seems
		}
		return
	}
}

func (r *replayer) history(file uint64) *history {
	h := r.out.files[file]
	if h == nil {
		h = &history{file: file}
		r.out.files[file] = h
	}
	return h
}

// apply takes in one record. One that cannot be understood counts as lost.
func (r *replayer) apply(f frame) {
	if f.kind == 0 {
		if f.file != 0 && r.out.files[f.file] != nil {
			r.out.files[f.file].damaged = true
		}
		return
	}
	var err error
	switch f.kind {
	case recordSession, recordSynced:
	case recordClosed:
		r.out.closed = true
	case recordIntent:
		d := decoder{b: f.payload}
		in := Intent{ID: f.file, Kind: d.string(), Payload: []byte(d.string())}
		if err = d.done(); err == nil {
			r.out.intents[f.file] = in
		}
	case recordNoIntent:
		delete(r.out.intents, f.file)
	case recordRemove:
		r.out.files[f.file] = &history{file: f.file, removed: true}
	case recordBegin, recordCheckpoint, recordSeal, recordCommit:
		err = r.applyContent(f)
	default:
		err = r.history(f.file).change(f)
	}
	if err != nil {
		r.out.lost = append(r.out.lost, span{f.off, f.size()})
		if h := r.out.files[f.file]; h != nil {
			h.damaged = true
		}
		return
	}
	r.journal.note(f)
}

func (r *replayer) applyContent(f frame) error {
	c, err := decodeContent(f.payload)
	if err != nil {
		return err
	}
	h := r.history(f.file)
	switch f.kind {
	case recordSeal:
		next := history{file: f.file, seal: &c, sealSeq: f.seq, state: c.state, upload: h.upload}
		next.synced = r.journal.marks[f.file] == f.seq
		if h.synced && !next.synced {
			next.prev = h.seal
		} else if !next.synced {
			next.prev = h.prev
		}
		*h = next
	case recordCommit:
		*h = history{file: f.file, open: &c, state: c.state}
	default:
		h.open, h.begun, h.removed = &c, f.kind == recordBegin, false
		if h.seal == nil {
			h.damaged = false
			if !h.hasState {
				h.state = c.state
			}
		}
	}
	return nil
}

// change takes in a record that changes what earlier ones said.
func (h *history) change(f frame) error {
	d := decoder{b: f.payload}
	switch f.kind {
	case recordSpec:
		spec := d.spec()
		if err := d.done(); err != nil {
			return err
		}
		for _, c := range []*content{h.seal, h.prev, h.open} {
			if c != nil {
				c.spec.Target, c.spec.Condition = spec.Target, spec.Condition
			}
		}
	case recordState:
		state, reason := State(d.uint()), d.string()
		if err := d.done(); err != nil {
			return err
		}
		h.state, h.reason, h.hasState = state, reason, true
	case recordRebase:
		old, now := d.remote(), d.remote()
		if err := d.done(); err != nil || old == nil || now == nil {
			return errDecode
		}
		for _, c := range []*content{h.seal, h.prev, h.open} {
			if c != nil {
				c.extents = rebased(c.extents, old, now)
				c.spec.rebase(old, now)
			}
		}
		if h.upload != nil {
			h.upload = h.upload.rebased(old, now)
		}
	case recordUpload:
		up := &Upload{Target: d.object(), UploadID: d.string(), Generation: d.string()}
		if err := d.done(); err != nil {
			return err
		}
		h.upload = up
	case recordPart:
		p := DonePart{Number: int32(d.int()), ETag: d.string(), Off: d.int(), Len: d.int(), Content: d.extents()}
		if err := d.done(); err != nil {
			return err
		}
		if h.upload != nil {
			h.upload.put(p)
		}
	case recordNoUpload:
		h.upload = nil
	case recordNoOpen:
		h.open = nil
	}
	return nil
}

// readSegment reads a whole file, with zeros in the place of what the disk cannot read.
func readSegment(file DiskFile) ([]byte, error) {
	size, err := file.Size()
	if err != nil {
		return nil, err
	}
	const step = 64 << 10
	segment := make([]byte, size)
	for off := int64(0); off < size; off += step {
		part := segment[off:min(off+step, size)]
		if n, err := file.ReadAt(part, off); err != nil && err != io.EOF {
			clear(part[n:])
		}
	}
	return segment, nil
}
