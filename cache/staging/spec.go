package staging

import (
	"slices"

	"github.com/objmount/objmount/backend"
)

// Spec is what a staged file is to become in the store. The maps in Properties must not be changed.
type Spec struct {
	Target     backend.ObjectID
	Condition  backend.Condition // what must be stored under Target at the commit
	Properties backend.Properties
	Content    *Remote // the version the file began as; nil: it began empty
}

// rebase replaces references to one version by another. The condition follows when the target
// itself was rewritten in place.
func (s *Spec) rebase(old, now *Remote) {
	if s.Content != nil && s.Content.same(old) {
		s.Content = now
	}
	if s.Condition.IfMatch == old.ETag && s.Target == objectOf(old) && s.Target == objectOf(now) {
		s.Condition.IfMatch = now.ETag
	}
}

func objectOf(r *Remote) backend.ObjectID { return backend.ObjectID{Bucket: r.Bucket, Key: r.Key} }

// rebased returns a list with references to one version replaced by another; list is not changed.
func rebased(list []Extent, old, now *Remote) []Extent {
	if !slices.ContainsFunc(list, func(e Extent) bool { return e.Object != nil && e.Object.same(old) }) {
		return list
	}
	list = slices.Clone(list)
	for i := range list {
		if r := list[i].Object; r != nil && r.same(old) {
			list[i].Object = now
		}
	}
	return list
}

// State is how far a staged file got.
type State uint8

const (
	// StateOpen: being written, nothing is promised. After a crash it comes back as StateInterrupted.
	StateOpen State = iota
	// StateSealed: a Seal made a promise that is not kept yet: its snapshot must be uploaded. The
	// file may have changed since (Dirty).
	StateSealed
	// StateCommitted: all of it is in the store. It is kept for readers until Remove, and not over a restart.
	StateCommitted
	// StateConflict: it lost against another client's change and is kept for the user.
	StateConflict
	// StateInterrupted: its writer did not finish it. It is kept for the user.
	StateInterrupted
	// StateScratch: kept only for programs that have it open: no name leads to it any more, or an object
	// has the same bytes. Nothing is promised; after a crash it is gone.
	StateScratch
)

// String is one lower-case word.
func (s State) String() string {
	switch s {
	case StateOpen:
		return "open"
	case StateSealed:
		return "sealed"
	case StateCommitted:
		return "committed"
	case StateConflict:
		return "conflict"
	case StateInterrupted:
		return "interrupted"
	case StateScratch:
		return "scratch"
	}
	return "unknown"
}

// Quarantined is a file in quarantine/: bytes that were in staging and that the journal does not explain.
type Quarantined struct {
	Path string
	Size int64 // bytes
}

// Usage is what an area holds.
type Usage struct {
	Bytes       int64 // local data, also what waits to be given back
	Limit       int64 // 0: none
	Files       int
	Quarantined int // files in quarantine/
}

// Intent is a small promise of the layer above, kept over a restart. The payload is opaque.
type Intent struct {
	ID      uint64
	Kind    string
	Payload []byte
}

// Upload is the multipart upload of a file. Without an UploadID the request that begins it may or
// may not have been sent.
type Upload struct {
	UploadID   string
	Target     backend.ObjectID
	Generation string     // of the content when the upload began
	Parts      []DonePart // ascending by Number
}

// DonePart is a part the store has confirmed.
type DonePart struct {
	Number   int32
	ETag     string
	Off, Len int64    // of the file
	Content  []Extent // what went in: frozen extents of [Off, Off+Len); compare by SameContent
}

// put adds a part or replaces the one of the same number.
func (u *Upload) put(p DonePart) {
	i := len(u.Parts)
	for i > 0 && u.Parts[i-1].Number >= p.Number {
		i--
	}
	if i < len(u.Parts) && u.Parts[i].Number == p.Number {
		u.Parts[i] = p
		return
	}
	u.Parts = append(u.Parts, DonePart{})
	copy(u.Parts[i+1:], u.Parts[i:])
	u.Parts[i] = p
}

// rebased returns the upload with references to one version replaced by another.
func (u *Upload) rebased(old, now *Remote) *Upload {
	u = u.clone()
	for i := range u.Parts {
		u.Parts[i].Content = rebased(u.Parts[i].Content, old, now)
	}
	return u
}

// clone returns a copy whose list of parts is its own.
func (u *Upload) clone() *Upload {
	if u == nil {
		return nil
	}
	c := *u
	c.Parts = append([]DonePart(nil), u.Parts...)
	return &c
}
