package fs

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// The kernel knows many more files than programs use. So the body of a file that nobody used lately is folded: what has to
// survive is packed into the node, and the body is gone until somebody takes the node's lock the next time. The node itself
// stays what it is, for as long as anybody refers to it: it is found by the same id, requests and background work may hold
// it as before, and there is never a second one.
//
//   - A body exists while node.mu is held by lock or rlock. Nobody keeps a *body beyond that but the clock, which only compares it.
//   - It is folded with node.mu held for writing (by TryLock: who folds waits for nobody), if foldable says so: not while the file
//     is open, has staged content, is being renamed or unlinked, has to tell of a failure, or lost its name.
//   - What survives: the attributes, the version with its checksum, its origin in the store and its serial, when it was known to be
//     true, and what will be stored with it. What the store has told beyond that (props) is asked for again, as where it has become
//     too old.
//   - Directories are not folded. What a listing has noted to be fetched ahead is dropped from those that were not used lately.
//   - A *version that somebody took from a node is compared with the one it has by now by version.is.

// packed is what is left of the body of a file.
type packed struct {
	etag     [16]byte // bitHex
	size     int64    // of the object, in bytes
	modified int64    // these three by pack
	mtime    int64
	checked  int64  // nanoseconds since tree.began
	either   uint64 // bitSum: the checksum; bitAtime: the time by pack
	origin   *origin
	uid, gid uint32
	serial   uint32 // of the version
	mode     uint16
	parts    uint16 // of a multipart upload, in the ETag; 0: there is no number
}

// packedBits say how packed is to be read; the upper four are the number of tags, plus one; 0: unknown.
type packedBits uint8

const (
	bitHex    packedBits = 1 << iota // the ETag is in etag and parts, else in rest
	bitSummed                        // version.summed
	bitSum                           // there is a checksum in either
	bitAtime                         // there is an atime in either
	bitTags   = 4
	mostTags  = 14 // an object has at most 10
)

// rest is what is left of the body of a file and does not fit into packed. It never changes.
type rest struct {
	etag, versionID, sum, target                          string
	size                                                  int64 // as shown
	atime                                                 time.Time
	rdev                                                  uint32
	guessed, explicit, wrong, written, assured, replacing bool
}

// origin is where objects lie that share a prefix. It never changes.
type origin struct {
	tree           *tree
	bucket, prefix string
}

// foldable tells whether nothing is under way with a node, and nothing to be told of it, that only its body knows. n.mu is held.
func (n *node) foldable() bool {
	b := n.body
	return !n.dir && n.view == noView && b.tree != nil && b.current != nil && b.current.remote != nil &&
		b.staged == nil && b.marker == nil && b.given == nil && !b.dated && b.inherited == "" &&
		b.opens == 0 && b.holds == 0 && b.writers == 0 && b.active == 0 && b.made == nil && b.open == openMode{} &&
		!b.doomed && !b.lost && b.doomedID == nil && len(b.after) == 0 &&
		b.failure == nil && b.unfit == nil && b.refused == nil
}

// foldLocked folds the body of a node; false: it stays. n.mu is held for writing, by lock or not.
func (n *node) foldLocked() bool {
	if !n.foldable() {
		return false
	}
	b := n.body
	p, more, left, ok := b.pack()
	if !ok || !b.tree.keepFolded(n, &p, left) {
		return false
	}
	n.packed, n.more, n.body = p, more, nil
	return true
}

// keepFolded notes where the object of a node lies, and the rest; false: not where its name is.
func (t *tree) keepFolded(n *node, p *packed, left *rest) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n.detached || n.parent == nil {
		return false
	}
	r, suffix := n.body.current.remote, n.suffix()
	prefix, ok := strings.CutSuffix(r.Key, suffix)
	if !ok || suffix == "" {
		return false
	}
	from := n.parent.extra
	if o := from.origin; o == nil || o.bucket != r.Bucket || o.prefix != prefix {
		from.origin = &origin{t, strings.Clone(r.Bucket), strings.Clone(prefix)}
	}
	p.origin = from.origin
	t.changeLocked(n, func() {
		switch {
		case left == nil && suffix == n.name:
			n.extra = nil
		case n.extra == nil:
			n.extra = &extra{suffix: suffix, rest: left}
		default:
			n.extra.was, n.extra.rest = nil, left
		}
	})
	return true
}

// unfoldLocked gives a node its body again. n.mu is held for writing.
func (n *node) unfoldLocked() {
	p, more := &n.packed, n.more
	key, left := p.origin.tree.unpackKey(n)
	r := &staging.Remote{Source: backend.Source{Bucket: p.origin.bucket, Key: key}, Size: p.size}
	v := &version{remote: r, modified: unpackTime(p.modified), summed: more&bitSummed != 0, serial: p.serial}
	b := &body{
		tree: p.origin.tree, current: v, checked: p.origin.tree.began.Add(time.Duration(p.checked)), tagCount: int(more>>bitTags) - 1,
		unfolded: time.Now(),
	}
	b.attr = attr{mode: uint32(p.mode), uid: p.uid, gid: p.gid, size: p.size, mtime: unpackTime(p.mtime)}
	if left != nil {
		r.ETag, r.VersionID, v.sum = left.etag, left.versionID, left.sum
		b.attr.size, b.attr.atime, b.attr.rdev, b.attr.target = left.size, left.atime, left.rdev, left.target
		b.guessed, b.explicit, b.wrong, b.written, b.assured, b.replacing =
			left.guessed, left.explicit, left.wrong, left.written, left.assured, left.replacing
	}
	if more&bitHex != 0 {
		r.ETag = p.unpackETag()
	}
	if more&bitSum != 0 {
		v.sum = unpackSum(p.either)
	}
	if more&bitAtime != 0 {
		b.attr.atime = unpackTime(int64(p.either))
	}
	if p.checked == math.MinInt64 {
		b.checked = time.Time{}
	}
	n.body = b
}

// unpackKey returns the key that a folded node's version has, whatever its name has become since.
func (t *tree) unpackKey(n *node) (key string, left *rest) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	suffix := n.suffix()
	if n.extra != nil {
		left = n.extra.rest
		if n.extra.was != nil {
			suffix = *n.extra.was
		}
	}
	return n.packed.origin.prefix + suffix, left
}

// pack packs a body; ok is false where it does not fit: times of other centuries.
func (b *body) pack() (p packed, more packedBits, left *rest, ok bool) {
	v, a := b.current, &b.attr
	r := v.remote
	p = packed{size: r.Size, uid: a.uid, gid: a.gid, serial: v.serial, mode: uint16(a.mode)}
	var fits [4]bool
	p.modified, fits[0] = packTime(v.modified)
	p.mtime, fits[1] = packTime(a.mtime)
	atime, there := packTime(a.atime)
	fits[2] = there || a.atime.IsZero()
	p.checked, fits[3] = math.MinInt64, true
	if !b.checked.IsZero() {
		p.checked = int64(b.checked.Sub(b.tree.began))
	}
	if fits != [4]bool{true, true, true, true} || uint32(p.mode) != a.mode {
		return p, 0, nil, false
	}
	extraOf := rest{
		versionID: r.VersionID, target: a.target, size: a.size, rdev: a.rdev,
		guessed: b.guessed, explicit: b.explicit, wrong: b.wrong, written: b.written, assured: b.assured, replacing: b.replacing,
	}
	plain := rest{size: r.Size}
	if p.packETag(r.ETag) {
		more |= bitHex
	} else {
		extraOf.etag = r.ETag
	}
	if v.summed {
		more |= bitSummed
	}
	sum, ok := packSum(v.sum)
	switch {
	case ok:
		more |= bitSum
		p.either = sum
		extraOf.atime = a.atime
	case !a.atime.IsZero():
		more |= bitAtime
		p.either = uint64(atime)
		extraOf.sum = v.sum
	default:
		extraOf.sum = v.sum
	}
	if b.tagCount >= 0 && b.tagCount < mostTags {
		more |= packedBits(b.tagCount+1) << bitTags
	}
	if extraOf != plain {
		left = &extraOf
	}
	return p, more, left, true
}

// packETag takes over an ETag of the usual form: an MD5 in hexadecimal, with the number of parts for some.
func (p *packed) packETag(etag string) bool {
	sum, number, several := strings.Cut(etag, "-")
	if len(sum) != 2*len(p.etag) {
		return false
	}
	if several {
		parts, err := strconv.ParseUint(number, 10, 16)
		if err != nil || parts == 0 {
			return false
		}
		p.parts = uint16(parts)
	}
	if _, err := hex.Decode(p.etag[:], []byte(sum)); err != nil {
		return false
	}
	return p.unpackETag() == etag // it was in lower case, and so on
}

func (p *packed) unpackETag() string {
	text := make([]byte, 0, 2*len(p.etag)+6)
	text = hex.AppendEncode(text, p.etag[:])
	if p.parts > 0 {
		text = strconv.AppendUint(append(text, '-'), uint64(p.parts), 10)
	}
	return string(text)
}

// packSum takes over a CRC64 in base64.
func packSum(text string) (uint64, bool) {
	sum, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(sum) != 8 {
		return 0, false
	}
	packed := binary.BigEndian.Uint64(sum)
	return packed, unpackSum(packed) == text
}

func unpackSum(packed uint64) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, packed))
}

// packTime returns nanoseconds since 1970, and for the zero time math.MinInt64; false: they are too many.
func packTime(t time.Time) (int64, bool) {
	if t.IsZero() {
		return math.MinInt64, true
	}
	return t.UnixNano(), t.Year() > 1678 && t.Year() < 2262
}

func unpackTime(packed int64) time.Time {
	if packed == math.MinInt64 {
		return time.Time{}
	}
	return time.Unix(0, packed).UTC()
}
