package writeback

import (
	"fmt"
	"slices"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// Kind is the way a snapshot becomes an object.
type Kind uint8

// The kinds of Plan.
const (
	KindPut       Kind = iota // one PutObject of the whole content
	KindCopy                  // one CopyObject of a whole object
	KindMultipart             // parts
)

// String returns a short lower-case word.
func (k Kind) String() string {
	return [...]string{"put", "copy", "multipart"}[k]
}

// Action is how one part gets its bytes.
type Action uint8

// The actions of a Part.
const (
	Upload   Action = iota // local bytes and zeros are sent
	CopyPart               // a range of one object is copied inside the store
	Merge                  // remote pieces are fetched and sent with the local ones around them
)

// String returns a short lower-case word.
func (a Action) String() string {
	return [...]string{"upload", "copy", "merge"}[a]
}

// Part is one part of a multipart plan: [Off, Off+Len) of the file, in bytes.
type Part struct {
	Number  int32
	Action  Action
	Off     int64
	Len     int64
	Extents []staging.Extent // of exactly this range
	Source  *staging.Remote  // CopyPart: the object, and where in it the range begins
	From    int64
	ETag    string // not empty: the store has this part already
}

// Plan is what to send so that a file of Size bytes is stored. Parts ascend in Number and Off
// and cover the file without a gap; a Put or Copy has none.
type Plan struct {
	Kind    Kind
	Size    int64
	Extents []staging.Extent // the whole file
	Source  *staging.Remote  // of a Copy
	Parts   []Part
}

// Moved is how many bytes travel between this machine and the store: bytes that are sent count
// once, bytes that are fetched first count twice. Parts that the store has are free.
func (p Plan) Moved() int64 {
	switch p.Kind {
	case KindCopy:
		return 0
	case KindPut:
		return cost(p.Extents)
	default:
		var sum int64
		for _, part := range p.Parts {
			sum += part.moved()
		}
		return sum
	}
}

func (p Part) moved() int64 {
	if p.Action == CopyPart || p.ETag != "" {
		return 0
	}
	return cost(p.Extents)
}

// Options tune a plan. Zero fields have the defaults said.
type Options struct {
	PartSize  int64             // the usual size of a part that is sent; 8 MiB
	PutSize   int64             // the largest file that is one Put; twice PartSize
	CopySize  int64             // the usual size of a part that is copied; 512 MiB
	Target    backend.ObjectID  // where the object goes
	Condition backend.Condition // what must be there
	NoCopy    bool              // the store refused to copy the whole object
	Done      []staging.DonePart
}

const (
	defaultPartSize = 8 * backend.MiB
	defaultCopySize = 512 * backend.MiB
)

func (o Options) withDefaults(lim backend.Limits) Options {
	if o.PartSize <= 0 {
		o.PartSize = defaultPartSize
	}
	o.PartSize = min(max(o.PartSize, lim.MinPart), lim.MaxPart)
	if o.PutSize <= 0 {
		o.PutSize = 2 * o.PartSize
	}
	o.PutSize = min(o.PutSize, lim.MaxPut)
	if o.CopySize <= 0 {
		o.CopySize = defaultCopySize
	}
	o.CopySize = min(max(o.CopySize, o.PartSize), lim.MaxPart)
	return o
}

// fillLimits replaces what a store did not say by the limits of S3.
func fillLimits(l backend.Limits) backend.Limits {
	s3 := backend.S3Limits()
	if l.MinPart <= 0 {
		l.MinPart = s3.MinPart
	}
	if l.MaxPart <= 0 {
		l.MaxPart = s3.MaxPart
	}
	if l.MaxParts <= 0 {
		l.MaxParts = s3.MaxParts
	}
	if l.MaxPut <= 0 {
		l.MaxPut = s3.MaxPut
	}
	if l.MaxCopy <= 0 {
		l.MaxCopy = s3.MaxCopy
	}
	if l.MaxObject <= 0 {
		l.MaxObject = s3.MaxObject
	}
	return l
}

// PlanUpload decides how a file of size bytes, described by exts (ascending, gapless, from 0), is
// stored with the fewest bytes moved that the limits allow. Pure. With Options.Done it uses again
// what an unfinished upload has: parts of the same content keep number, range and ETag, others of
// its parts are sent again under their numbers where that is best. KindTooLarge: no legal plan.
func PlanUpload(size int64, exts []staging.Extent, lim backend.Limits, caps backend.Capabilities, opt Options) (Plan, error) {
	lim = fillLimits(lim)
	opt = opt.withDefaults(lim)
	plan := Plan{Size: size, Extents: exts}
	if end := endOf(exts); end != size {
		return plan, &backend.Error{Kind: backend.KindInvalid, Op: "Plan", Message: fmt.Sprintf("extents end at %d of %d bytes", end, size)}
	}
	if size > lim.MaxObject || size > max(lim.MaxPut, largest(lim)) {
		return plan, tooLarge(size, lim)
	}
	if size == 0 {
		return plan, nil
	}
	if src := wholeObject(size, exts); src != nil && !opt.NoCopy && size <= lim.MaxCopy && copyable(src, caps.CopySourceIfMatch) && !betterPut(size, exts, src, caps, opt) {
		plan.Kind, plan.Source = KindCopy, src
		return plan, nil
	}
	pl := planner{lim: lim, opt: opt, cost: newCosts(exts)}
	if caps.PartCopy {
		pl.runs = findRuns(exts, caps.CopyPartIfMatch)
	}
	sent := cost(exts)
	if size <= opt.PutSize && len(opt.Done) == 0 && (len(pl.runs) == 0 || sent < lim.MinPart) {
		return plan, nil
	}
	parts, err := pl.best(size)
	if size <= opt.PutSize && (err != nil || sent-moved(parts) < lim.MinPart) {
		return plan, nil // parts would save too little for their requests
	}
	plan.Kind, plan.Parts = KindMultipart, parts
	return plan, err
}

// largest is the largest object that parts can make.
func largest(lim backend.Limits) int64 {
	if lim.MaxPart > lim.MaxObject/int64(lim.MaxParts) {
		return lim.MaxObject
	}
	return lim.MaxPart * int64(lim.MaxParts)
}

func tooLarge(size int64, lim backend.Limits) error {
	return &backend.Error{Kind: backend.KindTooLarge, Op: "Plan",
		Message: fmt.Sprintf("%d bytes do not fit in %d parts of at most %d bytes (object limit %d)", size, lim.MaxParts, lim.MaxPart, lim.MaxObject)}
}

// wholeObject returns the object that the extents are all of, unchanged; else nil.
func wholeObject(size int64, exts []staging.Extent) *staging.Remote {
	src, next := exts[0].Object, int64(0)
	for _, e := range exts {
		if e.Object == nil || !sameVersion(e.Object, src) || e.ObjectOff != next {
			return nil
		}
		next += e.Len
	}
	if src.Size != size {
		return nil
	}
	return src
}

// betterPut tells whether local content that is in the store too is better sent once more: a Put
// can be conditional where a copy to another key cannot.
func betterPut(size int64, exts []staging.Extent, src *staging.Remote, caps backend.Capabilities, opt Options) bool {
	if size > opt.PutSize || fetched(exts) > 0 || opt.Condition.IsZero() || caps.CopyDestination {
		return false
	}
	self := src.Bucket == opt.Target.Bucket && src.Key == opt.Target.Key
	return !self && (opt.Condition.IfNoneMatch && caps.PutIfNoneMatch || opt.Condition.IfMatch != "" && caps.PutIfMatch)
}

// copyable tells whether the store copies this version or nothing. The null version's id names whatever has it.
func copyable(r *staging.Remote, conditional bool) bool {
	return r.VersionID != "" && r.VersionID != backend.NullVersion || conditional && r.ETag != ""
}

func sameVersion(a, b *staging.Remote) bool {
	return a == b || a != nil && b != nil && a.Source == b.Source
}

// cost is how many bytes move when the extents are sent.
func cost(exts []staging.Extent) int64 {
	var sum int64
	for _, e := range exts {
		sum += e.Len * price(e)
	}
	return sum
}

// price of a byte of an extent: sent, or fetched and sent. One that only a part of the unfinished upload has
// cannot be sent: it costs so much that every plan uses that part.
func price(e staging.Extent) int64 {
	switch {
	case e.Streamed:
		return 1 << 12
	case e.Object != nil && !e.Local:
		return 2
	default:
		return 1
	}
}

// onlyUploaded tells whether some bytes are only in parts of an unfinished upload.
func onlyUploaded(exts []staging.Extent) bool {
	return slices.ContainsFunc(exts, func(e staging.Extent) bool { return e.Streamed })
}

// possible tells whether all bytes that are to be sent are there.
func (p Plan) possible() bool {
	if p.Kind != KindMultipart {
		return !onlyUploaded(p.Extents)
	}
	return !slices.ContainsFunc(p.Parts, func(part Part) bool { return part.ETag == "" && onlyUploaded(part.Extents) })
}

func fetched(exts []staging.Extent) int64 {
	var sum int64
	for _, e := range exts {
		if e.Object != nil && !e.Local {
			sum += e.Len
		}
	}
	return sum
}

func endOf(exts []staging.Extent) int64 {
	if len(exts) == 0 {
		return 0
	}
	last := exts[len(exts)-1]
	return last.Off + last.Len
}
