package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/objmount/objmount/backend"
)

// PutObjectRequest makes an object of the bytes that come with it.
type PutObjectRequest struct {
	Target
	Name Text   `json:"name,omitempty"` // of the file, where Path is a directory
	Size *int64 `json:"size,omitempty"` // bytes that come: when there are more or fewer, nothing is stored. Nil: not known
	Only
	Given
	OverLocked bool `json:"over_locked,omitempty"` // also where what is stored is locked: it stays, as the version below
}

func (PutObjectRequest) anew() {}

// Put is Run for "object/put", whose bytes come from body, up to its io.EOF. With any other error of body nothing is stored.
func (v *Verbs) Put(ctx context.Context, r PutObjectRequest, body io.Reader, each func(Line) error) error {
	return v.run(ctx, putVerb, r, body, each)
}

const putVerb = "object/put"

// newFile is the file that a request is about; in a directory the one with its name.
func (r PutObjectRequest) newFile(p Place) (Place, error) {
	if p.Kind == Unknown && r.Directory {
		p.Key, p.Kind = strings.TrimSuffix(p.Key, "/")+"/", Directory
	}
	if p.Kind == Directory {
		switch {
		case r.Name == "":
			return p, p.one()
		case strings.Contains(string(r.Name), "/"):
			return p, &Error{Kind: KindInvalid, Message: fmt.Sprintf("%.100q is no name of a file", string(r.Name))}
		}
		p.Key += string(r.Name)
	}
	p.Kind = File
	return p, nil
}

func putObject(ctx context.Context, c *call, p Place, r PutObjectRequest) error {
	if c.body == nil && !r.DryRun {
		return &Error{Kind: KindInvalid, Message: "an object is put with its bytes: PUT /v1/" + putVerb}
	}
	p, err := r.newFile(p)
	if err != nil {
		return err
	}
	u := &putting{call: c, place: p, request: r, sizes: c.puts, cond: r.condition()}
	if err := u.prepare(ctx); err != nil {
		return err
	}
	if r.DryRun {
		return c.stored(backend.Object{Bucket: p.Bucket, Key: p.Key}, max(u.size, 0))
	}
	made, err := u.run(ctx)
	c.Tree.Changed(p.Bucket, p.Key) // also when the outcome is not known
	if err != nil {
		return err
	}
	return c.stored(made, u.in.count)
}

// putSizes are in bytes; what is 0 is as it should be for stores of today.
type putSizes struct {
	part     int64 // of an upload whose size is not known, at first
	inMemory int64 // parts up to this size are kept in memory, larger ones in a file
	ahead    int64 // so much of the parts that are on their way, at least one
}

func (s putSizes) orUsual() putSizes {
	if s == (putSizes{}) {
		return putSizes{part: 8 * backend.MiB, inMemory: 64 * backend.MiB, ahead: 32 * backend.MiB}
	}
	return s
}

// putting is one run of the verb.
type putting struct {
	*call
	place   Place
	request PutObjectRequest
	sizes   putSizes
	cond    backend.Condition
	caps    backend.Capabilities
	limits  backend.Limits
	props   backend.Properties
	taken   taking
	size    int64 // -1: not known
	in      *source
	mark    string // by which the object is known again when an answer was lost
}

// prepare refuses what can be refused before a byte has come.
func (u *putting) prepare(ctx context.Context) error {
	if err := u.writable(ctx, u.place); err != nil {
		return err
	}
	if err := u.request.Given.check(ctx, u.call, u.place); err != nil {
		return err
	}
	if err := u.replaceable(ctx, u.place, u.request.OverLocked); err != nil {
		return err
	}
	var err error
	if u.caps, err = u.able(ctx, u.place.id(), u.cond); err != nil {
		return err
	}
	if u.limits = u.caps.Limits; u.limits.MinPart == 0 {
		u.limits = backend.S3Limits()
	}
	if u.props, err = u.withDefaults(ctx, u.place, u.request.properties()); err != nil {
		return err
	}
	if u.taken, err = u.takenAt(ctx, u.place, u.props.Headers.ContentType); err != nil {
		return err
	}
	u.sizes, u.size = u.sizes.orUsual(), -1
	if s := u.request.Size; s != nil {
		switch u.size = *s; {
		case u.size < 0:
			return &Error{Kind: KindInvalid, Message: "a size cannot be negative"}
		case u.limits.MaxObject > 0 && u.size > u.limits.MaxObject:
			return &Error{Kind: KindInvalid, Message: fmt.Sprintf("an object of %d bytes is more than the store takes (%d)", u.size, u.limits.MaxObject)}
		}
		if err := u.taken.size(u.size); err != nil {
			return err
		}
	}
	if !u.puts() && (!u.completes() || u.size == 0) || !u.completes() && u.size > u.mostWhole() {
		return u.unconditional()
	}
	if u.cond.IsZero() {
		return nil
	}
	return u.early(ctx)
}

// early looks at the condition before the bytes come; what counts is what the store finds at the end.
func (u *putting) early(ctx context.Context) error {
	o, err := u.Store.Head(ctx, u.place.id(), backend.GetOptions{})
	switch gone := backend.IsKind(err, backend.KindNotExist); {
	case err != nil && !gone:
		return err
	case u.cond.IfNoneMatch && !gone:
		return &backend.Error{Kind: backend.KindExist, Op: "PutObject", Bucket: u.place.Bucket, Key: u.place.Key}
	case u.cond.IfMatch != "" && (gone || o.ETag != u.cond.IfMatch):
		return &backend.Error{Kind: backend.KindChanged, Op: "PutObject", Bucket: u.place.Bucket, Key: u.place.Key}
	}
	return nil
}

// puts tells whether a single request checks the condition, completes whether the end of an upload in parts does.
func (u *putting) puts() bool {
	return !(u.cond.IfNoneMatch && !u.caps.PutIfNoneMatch || u.cond.IfMatch != "" && !u.caps.PutIfMatch)
}

func (u *putting) completes() bool {
	return !(u.cond.IfNoneMatch && !u.caps.CompleteIfNoneMatch || u.cond.IfMatch != "" && !u.caps.CompleteIfMatch)
}

// mostWhole is up to which size the object is sent in one request: more where only that checks the condition.
func (u *putting) mostWhole() int64 {
	most := u.partSize(0)
	if !u.completes() {
		most = u.sizes.inMemory
	}
	if u.limits.MaxPut > 0 {
		most = min(most, u.limits.MaxPut)
	}
	return most
}

// partSize is how large a part is, the first being 0. Where the size of the whole is not known they double with every tenth of
// the number that the store takes: some 8 TiB fit.
func (u *putting) partSize(i int) int64 {
	part, count := u.sizes.part, int64(u.limits.MaxParts)
	switch {
	case u.size >= 0:
		part = max(part, (u.size+count-1)/count)
	case u.limits.EqualParts:
		part = u.sizes.inMemory
	default:
		part <<= int64(i) / max(count/10, 1)
	}
	return min(max(part, u.limits.MinPart), u.limits.MaxPart)
}

// unwritten refuses to cover what a program has begun to write meanwhile: it would come on top.
func (u *putting) unwritten() error {
	if u.Tree.Unsent(u.place) > 0 {
		return &Error{Kind: KindBusy, Message: fmt.Sprintf("a program has begun to write %s meanwhile and would store it on top; nothing was stored", u.place)}
	}
	return nil
}

// source is where the bytes come from.
type source struct {
	*putting
	from  io.Reader
	count int64 // bytes so far
	ended bool  // there are no more
}

// Read is told apart by its errors: io.EOF is the end, and all that there should be has come.
func (s *source) Read(p []byte) (int, error) {
	if s.ended {
		return 0, io.EOF
	}
	n, err := s.from.Read(p)
	s.count += int64(n)
	_ = s.progress(func(step *Step) { step.Bytes, step.Total = s.count, max(s.size, 0) }) // who does not listen has gone, which Read tells, too
	switch {
	case s.size >= 0 && s.count > s.size:
		return n, &Error{Kind: KindInvalid, Message: fmt.Sprintf("more than the %d bytes came that were announced; nothing was stored", s.size)}
	case errors.Is(err, io.EOF) && s.size > s.count:
		return n, &Error{Kind: KindInvalid, Message: fmt.Sprintf("only %d of %d bytes came; nothing was stored", s.count, s.size)}
	case !s.taken.limits.Takes(s.count):
		return n, s.taken.size(s.count)
	case errors.Is(err, io.EOF):
		s.ended = true
	case errors.Is(err, io.ErrUnexpectedEOF):
		return n, &Error{Kind: KindGone, Message: fmt.Sprintf("the bytes broke off after %d; nothing was stored", s.count)}
	}
	return n, err
}
