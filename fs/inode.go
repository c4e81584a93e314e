package fs

import (
	"hash/fnv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/blocks"
	"github.com/objmount/objmount/cache/staging"
)

// version is one version of an object as an inode pins it: its bytes never change. It is compared by is, not by its
// address: a node that was folded has another *version of the same version.
type version struct {
	remote   *staging.Remote
	modified time.Time // LastModified; zero when the store has not said it yet
	sum      string    // CRC64NVME of the whole, in base64; empty: none, or not known
	summed   bool      // the store was asked for sum
	serial   uint32    // tells versions of one node apart, also two with the same bytes
}

// lastVersion is the serial of the version that was made last.
var lastVersion atomic.Uint32

func newVersion(o backend.Object) *version {
	v := versionOf(&staging.Remote{Source: backend.Source{Bucket: o.Bucket, Key: o.Key, ETag: o.ETag, VersionID: o.VersionID}, Size: o.Size})
	v.modified = o.LastModified
	return v
}

func versionOf(r *staging.Remote) *version {
	return &version{remote: r, serial: lastVersion.Add(1)}
}

// is tells whether two are the same version of one node; nil is no version.
func (v *version) is(o *version) bool {
	return v == o || v != nil && o != nil && v.serial == o.serial
}

func (v *version) blocks() blocks.Source {
	return blocks.Source{Source: v.remote.Source, Size: v.remote.Size}
}

// node is an inode. Directories and files share the type; dir says which it is. There is one for an inode for as long as
// the kernel, or anybody here, knows it. What little use needs is in body, which is folded away: see fold.go.
type node struct {
	id  uint64 // the kernel's node id; never reused while the mount lives
	ino uint64 // st_ino

	// Guarded by tree.mu.
	parent   *node  // nil for the root
	name     string // directory entry
	extra    *extra // nil: a file that has nothing of it. Of a directory immutable, and there
	nextID   *node  // in the tree's table of ids
	nextName *node  // and of names
	lookups  uint32 // math.MaxUint32: too many to be counted; it stays
	used     uint32 // tree.uses when the kernel asked for it last
	pins     int32  // reasons to stay without lookups: staged content, a promised delete
	detached bool

	dir  bool       // immutable
	view viewKind   // what it is in a view of versions; immutable
	more packedBits // of packed

	mu guard // taken by lock and rlock
	// Guarded by mu, and more is.
	*body         // nil: folded. Who has taken mu by lock or rlock has one
	packed packed // what is left of the body that was folded
}

// guard is the lock of a node. It has a type of its own so that it is not taken by accident.
type guard struct{ rw sync.RWMutex }

// extra is what most files have not. It is guarded by tree.mu, but for group and rest.
type extra struct {
	suffix   string // what the node adds to its parent's key prefix; of a directory with the slash
	bucket   string // set on a bucket's own directory (and the root of a mount of one bucket); immutable
	group    string // set on the directory of a group of buckets; immutable
	children int    // nodes whose parent is this
	origin   *origin
	was      *string // what suffix was before it changed, since the node was folded last; nil: it has not
	rest     *rest   // guarded by node.mu, and set with tree.mu
}

// suffix is what a node adds to its parent's key prefix. tree.mu is held.
func (n *node) suffix() string {
	if n.extra == nil {
		return n.name
	}
	return n.extra.suffix
}

// bucket is set on a bucket's own directory, and on the root of a mount of one bucket.
func (n *node) bucket() string {
	if !n.dir {
		return ""
	}
	return n.extra.bucket
}

// group is set on the directory of a group of buckets.
func (n *node) group() string {
	if !n.dir {
		return ""
	}
	return n.extra.group
}

// body is what a node is while it is used. Guarded by node.mu where nothing else is said.
type body struct {
	tree     *tree       // set before the node can be found; nil: it cannot
	recent   atomic.Bool // used since the clock came by
	listed   atomic.Bool // known to the clock
	noted    int64       // what body.weigh has told; guarded by node.mu
	unfolded time.Time   // when it was unfolded: older answers of the store may be older than what was known before. Immutable

	attr      attr
	current   *version            // the object behind it; nil: never stored
	marker    *backend.Object     // the delete marker that a file of a view of versions stands for, as listed
	staged    *staging.File       // nil: clean
	props     *backend.Properties // of current, when known
	propsAt   time.Time           // when props were last known to be true
	given     *backend.Properties // what of props the configuration gave when the file was made; nil: nothing
	dated     bool                // the retention in given has begun
	tagCount  int                 // of current; -1 unknown
	inherited string              // content type of the object that a copy's first bytes come from
	guessed   bool                // this mount has told its content type by its first bytes, because its name said nothing
	explicit  bool                // mode, owner or times were set by a program: they must be stored
	opens     int                 // open handles
	holds     int                 // renames and unlinks under way that take its name
	writers   int                 // of these, open for writing; and one for made
	active    int                 // of these, not closed by their opener since they wrote
	made      chan struct{}       // made by mknod, and nobody has opened it for writing yet; closed when that ends
	open      openMode
	wrong     bool                  // the kernel may have pages that do not match the object's checksum
	doomed    bool                  // unlinked or replaced: no name leads here
	lost      bool                  // its content lost against another client's: all I/O is ESTALE
	written   bool                  // written since the last commit began
	assured   bool                  // its staged content is sealed and not queued (assureLocked)
	replacing bool                  // O_TRUNC over a stored object, and nothing was committed since
	doomedID  *deferredDelete       // the object to delete at the last close
	after     []*deferredDelete     // promises to carry out once the staged content is stored (a rename)
	failure   error                 // the last failed commit, for the next close or fsync
	unfit     error                 // why the bucket does not take what is staged; nil: not known, or it does
	refused   error                 // tags that the store has refused, for the next close or fsync, whatever is stored meanwhile
	keeps     keepState             // directories: are attributes kept here
	unread    noted[backend.Object] // directories: listed, attributes not read yet
	unasked   noted[string]         // directories: listed below, marker not known yet
	following noted[string]         // directories: listed, extended attributes not asked for yet
	checked   time.Time             // when attr and current were last known to be true
}

// inoOf gives a stable inode number: a hash of bucket and key, and of the ETag for a
// version that took the place of one that this mount had shown before.
func inoOf(bucket, key, etag string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(bucket))
	h.Write([]byte{0})
	h.Write([]byte(key))
	if etag != "" {
		h.Write([]byte{0})
		h.Write([]byte(etag))
	}
	ino := h.Sum64()
	if ino < 2 {
		ino += 2
	}
	return ino
}
