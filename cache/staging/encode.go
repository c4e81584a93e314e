package staging

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/objmount/objmount/backend"
)

// The payloads of records are written in a compact binary form: integers as varints, strings with
// their length, in a fixed order of fields. Strings are bytes, because keys may be any bytes.

type encoder struct{ b []byte }

func (e *encoder) uint(v uint64)   { e.b = binary.AppendUvarint(e.b, v) }
func (e *encoder) int(v int64)     { e.b = binary.AppendVarint(e.b, v) }
func (e *encoder) string(s string) { e.uint(uint64(len(s))); e.b = append(e.b, s...) }
func (e *encoder) bool(v bool) {
	if v {
		e.b = append(e.b, 1)
	} else {
		e.b = append(e.b, 0)
	}
}

// stringMap keeps the difference between nil and empty.
func (e *encoder) stringMap(m map[string]string) {
	if m == nil {
		e.uint(0)
		return
	}
	e.uint(uint64(len(m)) + 1)
	for _, k := range slices.Sorted(maps.Keys(m)) {
		e.string(k)
		e.string(m[k])
	}
}

func (e *encoder) object(id backend.ObjectID) { e.string(id.Bucket); e.string(id.Key) }

func (e *encoder) remote(r *Remote) {
	e.bool(r != nil)
	if r == nil {
		return
	}
	e.string(r.Bucket)
	e.string(r.Key)
	e.string(r.ETag)
	e.string(r.VersionID)
	e.int(r.Size)
}

func (e *encoder) spec(s Spec) {
	e.object(s.Target)
	e.string(s.Condition.IfMatch)
	e.bool(s.Condition.IfNoneMatch)
	e.remote(s.Content)
	e.properties(s.Properties)
}

func (e *encoder) properties(p backend.Properties) {
	h := p.Headers
	for _, s := range []string{
		h.ContentType, h.CacheControl, h.ContentDisposition, h.ContentEncoding, h.ContentLanguage, h.Expires, h.WebsiteRedirect,
		p.StorageClass, p.Encryption.Algorithm, p.Encryption.KMSKeyID,
	} {
		e.string(s)
	}
	locked := p.Lock != backend.ObjectLock{}
	flags := byte(0)
	if p.Encryption.BucketKey {
		flags |= flagBucketKey
	}
	if locked {
		flags |= flagLock
	}
	if p.Lock.LegalHold {
		flags |= flagLegalHold
	}
	e.b = append(e.b, flags)
	e.stringMap(p.Metadata)
	e.stringMap(p.Tags)
	if locked {
		e.string(string(p.Lock.Retention.Mode))
		e.int(p.Lock.Retention.Until.Unix())
		e.int(int64(p.Lock.Retention.Until.Nanosecond()))
	}
}

// Flags of encoded properties. Records of before there were locks have 0 or flagBucketKey.
const (
	flagBucketKey = 1
	flagLock      = 2 // a retention follows the tags
	flagLegalHold = 4
)

// Flags of an encoded extent.
const (
	extentLocal    = 1
	extentObject   = 2
	extentStreamed = 4
)

// remoteTable numbers the objects of a list. Most extents share one pointer, so the value is looked
// at only when a pointer is new.
type remoteTable struct {
	list     []*Remote
	values   map[Remote]uint64
	pointers map[*Remote]uint64
	last     *Remote
	lastID   uint64
}

func (t *remoteTable) id(r *Remote) uint64 {
	if r == t.last {
		return t.lastID
	}
	id, ok := t.pointers[r]
	if !ok {
		if t.pointers == nil {
			t.pointers, t.values = make(map[*Remote]uint64), make(map[Remote]uint64)
		}
		if id, ok = t.values[*r]; !ok {
			id = uint64(len(t.list))
			t.list, t.values[*r] = append(t.list, r), id
		}
		t.pointers[r] = id
	}
	t.last, t.lastID = r, id
	return id
}

// extents writes a gapless list: a table of the objects, then the extents, each a flag byte, its
// length, and its places.
func (e *encoder) extents(list []Extent) {
	var table remoteTable
	for i := range list {
		if r := list[i].Object; r != nil {
			table.id(r)
		}
	}
	e.uint(uint64(len(table.list)))
	for _, r := range table.list {
		e.remote(r)
	}
	e.uint(uint64(len(list)))
	if len(list) == 0 {
		return
	}
	e.int(list[0].Off)
	for i := range list {
		x := &list[i]
		flags := byte(0)
		if x.Local {
			flags |= extentLocal
		}
		if x.Object != nil {
			flags |= extentObject
		}
		if x.Streamed {
			flags |= extentStreamed
		}
		e.b = append(e.b, flags)
		e.int(x.Len)
		if x.Local {
			e.int(x.Pos)
		}
		if x.Object != nil {
			e.uint(table.id(x.Object))
			e.int(x.ObjectOff)
		}
	}
}

var errDecode = errors.New("the record's content is not understood")

// decoder reads what an encoder wrote. After the first error every value is zero; done tells.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail() {
	d.b, d.err = nil, errDecode
}

// done returns the error, also when bytes are left over.
func (d *decoder) done() error {
	if d.err == nil && len(d.b) > 0 {
		d.fail()
	}
	return d.err
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

// count reads the length of a list whose elements take at least one byte each.
func (d *decoder) count() int {
	n := d.uint()
	if n > uint64(len(d.b)) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) string() string {
	n := d.count()
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) bool() bool { return d.byte() != 0 }

func (d *decoder) stringMap() map[string]string {
	n := d.uint()
	if n == 0 {
		return nil
	}
	if n--; n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	m := make(map[string]string, n)
	for range n {
		k := d.string()
		m[k] = d.string()
	}
	return m
}

func (d *decoder) object() backend.ObjectID {
	return backend.ObjectID{Bucket: d.string(), Key: d.string()}
}

func (d *decoder) remote() *Remote {
	if !d.bool() {
		return nil
	}
	r := &Remote{}
	r.Bucket, r.Key, r.ETag, r.VersionID = d.string(), d.string(), d.string(), d.string()
	r.Size = d.int()
	return r
}

func (d *decoder) spec() Spec {
	s := Spec{Target: d.object()}
	s.Condition.IfMatch = d.string()
	s.Condition.IfNoneMatch = d.bool()
	s.Content = d.remote()
	s.Properties = d.properties()
	return s
}

func (d *decoder) properties() backend.Properties {
	var p backend.Properties
	h := &p.Headers
	for _, s := range []*string{
		&h.ContentType, &h.CacheControl, &h.ContentDisposition, &h.ContentEncoding, &h.ContentLanguage, &h.Expires, &h.WebsiteRedirect,
		&p.StorageClass, &p.Encryption.Algorithm, &p.Encryption.KMSKeyID,
	} {
		*s = d.string()
	}
	flags := d.byte()
	if flags&^(flagBucketKey|flagLock|flagLegalHold) != 0 {
		d.fail()
	}
	p.Encryption.BucketKey = flags&flagBucketKey != 0
	p.Metadata = d.stringMap()
	p.Tags = d.stringMap()
	if flags&flagLock != 0 {
		p.Lock.LegalHold = flags&flagLegalHold != 0
		p.Lock.Retention.Mode = backend.RetentionMode(d.string())
		if seconds, nanos := d.int(), d.int(); seconds != (time.Time{}).Unix() || nanos != 0 {
			p.Lock.Retention.Until = time.Unix(seconds, nanos).UTC()
		}
	}
	return p
}

func (d *decoder) extents() []Extent {
	table := make([]*Remote, 0, 1)
	for range d.count() {
		r := d.remote()
		if r == nil {
			d.fail()
		}
		table = append(table, r)
	}
	n := d.count()
	if n == 0 {
		return nil
	}
	list := make([]Extent, 0, n)
	off := d.int()
	for range n {
		x := Extent{Off: off}
		flags := d.byte()
		x.Len = d.int()
		if x.Local = flags&extentLocal != 0; x.Local {
			x.Pos = d.int()
		}
		x.Streamed = flags&extentStreamed != 0
		if flags&extentObject != 0 {
			if i := d.uint(); i < uint64(len(table)) {
				x.Object = table[i]
			} else {
				d.fail()
			}
			x.ObjectOff = d.int()
		}
		if x.Streamed && !x.Local || x.Len <= 0 || off < 0 || off+x.Len < off || x.Pos < 0 || x.ObjectOff < 0 {
			d.fail()
		}
		if d.err != nil {
			return nil
		}
		off += x.Len
		list = append(list, x)
	}
	return list
}
