package fs

import (
	"context"
	"log/slog"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/blocks"
	"github.com/objmount/objmount/cache/metadata"
	"github.com/objmount/objmount/cache/staging"
	"github.com/objmount/objmount/cache/writeback"
)

// PosixMode says where attributes kept in user metadata are read.
type PosixMode uint8

// The modes of --posix.
const (
	PosixAuto PosixMode = iota // where a directory's marker says that attributes are kept
	PosixOn                    // everywhere, one HEAD per object
	PosixOff                   // nowhere; chmod and chown are EPERM
)

// CommitMode says when close returns.
type CommitMode uint8

// The modes of --commit.
const (
	CommitClose      CommitMode = iota // close returns when the object is in the store
	CommitBackground                   // close returns when the data is staged and journalled
)

// Consistency says when open asks the store whether a version is still the current one.
type Consistency uint8

// The modes of --consistency.
const (
	CloseToOpen Consistency = iota // at every open
	TTLOnly                        // only when what is known is older than TTL
	Immutable                      // never, once known
)

// Callbacks are what the write-back queue calls: see writeback.Config.
type Callbacks struct {
	BeforeStream func(*staging.File) error
	BeforeCommit func(context.Context, *staging.File) error
	OnCommit     func(*staging.File, *staging.Snapshot, backend.Object)
	OnFail       func(*staging.File, *staging.Snapshot, error)
	MayReplace   func(context.Context, backend.Object) error
}

// Config joins the parts of a mount. FS does not close them, except the queue that
// NewQueue made.
type Config struct {
	Store    backend.Store
	Blocks   *blocks.Cache
	Metadata *metadata.Cache
	Staging  *staging.Area
	// NewQueue makes the write-back queue with the callbacks of the inode layer, which set Config's.
	NewQueue func(Callbacks) *writeback.Queue
	// Capabilities of a bucket; called often, answers from memory.
	Capabilities func(bucket string) backend.Capabilities

	Bucket string // empty: every bucket is a directory of the root
	Prefix string // empty, or a prefix that ends in "/"
	// Groups are directories of the root, with the buckets that Store names GROUP/BUCKET; only without Bucket. A copy from one
	// group to another is none that Store can make. Empty: buckets are in the root.
	Groups []string

	ReadOnly          bool
	UID, GID          uint32
	FileMode, DirMode uint32 // permission bits shown for objects without attributes of their own
	Posix             PosixMode
	Commit            CommitMode
	LocalFsync        bool // fsync is done when data and journal are on the local disk
	ExclusiveOpen     bool // O_EXCL puts an empty object at open
	Consistency       Consistency
	TTL, NegativeTTL  time.Duration // at the beginning; SetTTL changes them
	MaxInodes         int           // of more the kernel is asked to forget some: files of 256 bytes; a directory counts as 8. 0: it keeps what it likes
	Log               *slog.Logger

	// Defaults are properties of an object that is made under a name; nil: none. Its retention begins when it is called. It
	// is called often, also under locks, and answers from memory; so does Present.
	Defaults func(id backend.ObjectID) backend.Properties
	// Present names prefixes of a bucket, each ending in "/", that are directories also when nothing is below them; nil: none.
	Present func(bucket string) []string
	// PublicURL is where everybody can read an object, by the configuration; "", or nil: at the store's own address. It answers from memory.
	PublicURL func(id backend.ObjectID) string
}

// smallFile is the largest file that open fetches whole, in the request that revalidates it.
const smallFile = 1 << 20

// attributeDelay is how long changed attributes of a stored object wait for more changes.
const attributeDelay = time.Second

// preserveLimit is the largest file that is fetched whole when its object is about to be
// replaced by a rename while programs still read it.
const preserveLimit = 64 << 20
