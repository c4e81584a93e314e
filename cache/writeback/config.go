package writeback

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
)

// Store is what write-back needs of a store.
type Store interface {
	backend.Reader
	backend.Writer
	backend.Multipart
}

// Config joins a Queue with its surroundings. Store and Capabilities are required; zero fields
// have the defaults said.
type Config struct {
	Store Store
	// Capabilities of a bucket; called often, answers from memory.
	Capabilities func(bucket string) backend.Capabilities
	// StoreOf names the store of a bucket where Store is several; nil: it is one. A file stays in one store.
	StoreOf func(bucket string) string
	// Checksum reads all of r and returns its CRC64NVME in base64. Nil: none is sent.
	// It is used where Capabilities.ChecksumCRC64 is set.
	Checksum func(r io.Reader) (string, error)

	Parts    int   // part requests at once over all files of a store; 16
	Files    int   // files that are uploaded at once to a store; 32
	PartSize int64 // the smallest part of a new upload, in bytes; 8 MiB. A file of up to two parts is one Put
	// BufferLimit bounds the memory of parts that are merged of local and fetched pieces, in
	// bytes; 64 MiB. A part that needs more is streamed.
	BufferLimit int64
	// RetryTimeout is how long Commit and Wait sit through temporary failures before they
	// return them; the queue goes on. 5 min.
	RetryTimeout time.Duration

	// BeforeStream is called once before a file that still grows gets a multipart upload. It may
	// call SetProperties: properties that change later cost a copy of the object onto itself. An error: nothing of it goes up
	// before its commit.
	BeforeStream func(f *staging.File) error
	// BeforeCommit is called at the beginning of each attempt to store a file, with no lock held: other objects may have to be
	// stored first. Its errors are treated like the store's; Cancel waits until it returns, and ctx ends with the queue.
	BeforeCommit func(ctx context.Context, f *staging.File) error
	// OnCommit is called when s is stored as obj (whose LastModified may be zero), with no lock
	// held, before those who wait for s are woken and before the next upload of the same key
	// starts. It must call f.Committed, and must not call Cancel, Commit, Wait or Flush for f.
	OnCommit func(f *staging.File, s *staging.Snapshot, obj backend.Object)
	// OnFail is called, with no lock held and before those who wait are woken, when s cannot be
	// stored as things are. After a final failure (see Final) the queue has given up s; after
	// any other failure it tries again, rarely, until it is cancelled, and OnFail is not called
	// again for the same kind of error.
	OnFail func(f *staging.File, s *staging.Snapshot, err error)

	// MayReplace is asked in buckets with object lock, with no lock held, just before an upload takes the place of
	// what a HEAD has shown there. KindLocked gives the upload up, other errors are treated like the store's.
	MayReplace func(ctx context.Context, stored backend.Object) error

	Log *slog.Logger // nil: slog.Default
}

const (
	firstBackoff = 200 * time.Millisecond
	lastBackoff  = time.Minute
	parkedRetry  = 5 * time.Minute // after a permanent failure that is no conflict
)

func (c Config) withDefaults() Config {
	if c.Parts <= 0 {
		c.Parts = 16
	}
	if c.Files <= 0 {
		c.Files = 32
	}
	if c.PartSize <= 0 {
		c.PartSize = defaultPartSize
	}
	if c.BufferLimit <= 0 {
		c.BufferLimit = 64 * backend.MiB
	}
	if c.RetryTimeout <= 0 {
		c.RetryTimeout = 5 * time.Minute
	}
	if c.BeforeStream == nil {
		c.BeforeStream = func(*staging.File) error { return nil }
	}
	if c.BeforeCommit == nil {
		c.BeforeCommit = func(context.Context, *staging.File) error { return nil }
	}
	if c.OnCommit == nil {
		c.OnCommit = func(*staging.File, *staging.Snapshot, backend.Object) {}
	}
	if c.OnFail == nil {
		c.OnFail = func(*staging.File, *staging.Snapshot, error) {}
	}
	if c.MayReplace == nil {
		c.MayReplace = func(context.Context, backend.Object) error { return nil }
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

// Conflict reports whether err means that the object, or one that the content refers to, is
// another one now: repeating cannot help, the queue gives the snapshot up.
func Conflict(err error) bool {
	if err == nil {
		return false
	}
	switch backend.KindOf(err) {
	case backend.KindChanged, backend.KindExist, backend.KindNotExist:
		return true
	default:
		return false
	}
}

// Final reports whether the queue gives a snapshot up that failed with err: a conflict, or what it would replace is
// locked by retention or a legal hold.
func Final(err error) bool { return Conflict(err) || backend.IsKind(err, backend.KindLocked) }

// sources of a conflict: what was lost.
func closedError(id backend.ObjectID) error {
	return &backend.Error{Kind: backend.KindCanceled, Op: "Commit", Bucket: id.Bucket, Key: id.Key, Message: "the queue is closed; the data stays in staging"}
}

func canceledError(id backend.ObjectID) error {
	return &backend.Error{Kind: backend.KindCanceled, Op: "Commit", Bucket: id.Bucket, Key: id.Key, Message: "the upload was cancelled"}
}
