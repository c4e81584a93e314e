package metadata

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/objmount/objmount/backend"
	"go.etcd.io/bbolt"
)

const (
	// gather is how long the writer waits for more before it writes.
	gather = 200 * time.Millisecond
	// maxPending bounds the records that wait to be written; more are not kept in the file.
	maxPending = 1 << 16
	lockWait   = 100 * time.Millisecond
)

var (
	recordsBucket = []byte("attributes-1")
	handBucket    = []byte("hand")
	handKey       = []byte("hand")
)

// file keeps records in bbolt. One goroutine, write, changes it.
type file struct {
	db    *bbolt.DB
	state *state
	limit int // records
	log   *slog.Logger
	quit  chan struct{} // closed: write what is left and end
	wake  chan struct{}

	mu      sync.Mutex
	pending map[string][]byte // nil: to be deleted
	writing map[string][]byte
	broken  bool // writing failed: nothing more is written
}

// openFile opens or makes the file. What is there and cannot be trusted is put aside.
func openFile(path string, limit int, log *slog.Logger) (f *file, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	st, err := openState(path, log)
	if err != nil {
		return nil, err
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("damaged: %v", r)
		}
		if err != nil {
			f = nil
			st.release()
		}
	}()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout: lockWait, NoSync: true, NoGrowSync: true, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType,
	})
	if err != nil {
		return nil, err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		if _, err := tx.CreateBucketIfNotExists(recordsBucket); err != nil {
			return err
		}
		_, err := tx.CreateBucketIfNotExists(handBucket)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &file{
		db: db, state: st, limit: limit, log: log, quit: make(chan struct{}), wake: make(chan struct{}, 1), pending: make(map[string][]byte),
	}, nil
}

// close follows the end of write.
func (f *file) close() error {
	err := f.db.Close()
	if err == nil {
		err = f.state.seal()
	}
	f.state.release()
	return err
}

// put keeps a record, or deletes it if data is nil.
func (f *file) put(id backend.ObjectID, data []byte) {
	key := recordKey(id)
	f.mu.Lock()
	_, waiting := f.pending[key]
	full := len(f.pending) >= maxPending && !waiting
	if !full && !f.broken {
		f.pending[key] = data
	}
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// get returns a record, or nil.
func (f *file) get(id backend.ObjectID) []byte {
	key := recordKey(id)
	f.mu.Lock()
	data, found := f.pending[key]
	if !found {
		data, found = f.writing[key]
	}
	broken := f.broken
	f.mu.Unlock()
	if found || broken {
		return data
	}
	data, err := f.read(key)
	if err != nil {
		f.fail(err)
		return nil
	}
	return data
}

// read looks into the file. bbolt trusts what it has mapped: who writes into it from outside makes it panic, who
// cuts it off makes it fault.
func (f *file) read(key string) (data []byte, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("damaged: %v", r)
		}
	}()
	err = f.db.View(func(tx *bbolt.Tx) error {
		data = bytes.Clone(tx.Bucket(recordsBucket).Get([]byte(key)))
		return nil
	})
	return data, err
}

// fail gives the file up, with one warning.
func (f *file) fail(err error) {
	f.mu.Lock()
	first := !f.broken
	f.broken = true
	f.mu.Unlock()
	if first {
		f.log.Warn("attributes are no longer kept in the file", "file", f.db.Path(), "error", err)
	}
}

// write writes what put left, until quit.
func (f *file) write() {
	for {
		select {
		case <-f.wake:
		case <-f.quit:
			f.flush()
			return
		}
		select {
		case <-time.After(gather):
		case <-f.quit:
		}
		f.flush()
	}
}

func (f *file) flush() {
	f.mu.Lock()
	f.writing, f.pending = f.pending, make(map[string][]byte)
	batch := f.writing
	f.mu.Unlock()
	var err error
	if len(batch) > 0 {
		err = f.update(batch)
	}
	f.mu.Lock()
	f.writing = nil
	f.mu.Unlock()
	if err != nil {
		f.fail(err)
	}
}

// update writes one batch. The bucket's sequence counts its records.
func (f *file) update(batch map[string][]byte) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("damaged: %v", r)
		}
	}()
	return f.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(recordsBucket)
		count := b.Sequence()
		for key, data := range batch {
			k := []byte(key)
			old := b.Get(k) != nil
			switch {
			case data != nil:
				if err := b.Put(k, data); err != nil {
					return err
				}
				if !old {
					count++
				}
			case old:
				if err := b.Delete(k); err != nil {
					return err
				}
				count--
			}
		}
		if count > uint64(f.limit) {
			n, err := sweep(tx, f.limit/8+1)
			if err != nil {
				return err
			}
			count -= n
		}
		return b.SetSequence(count)
	})
}

// sweep deletes up to want records after the hand, which goes round the keys.
func sweep(tx *bbolt.Tx, want int) (deleted uint64, err error) {
	hand := tx.Bucket(handBucket)
	b := tx.Bucket(recordsBucket)
	cursor := b.Cursor()
	k, _ := cursor.Seek(hand.Get(handKey))
	var keys [][]byte
	for range want {
		if k == nil {
			if k, _ = cursor.First(); k == nil {
				break
			}
		}
		keys = append(keys, append([]byte(nil), k...))
		k, _ = cursor.Next()
	}
	next := append([]byte(nil), k...)
	for _, key := range keys {
		if b.Get(key) == nil {
			continue // the hand went round
		}
		if err := b.Delete(key); err != nil {
			return deleted, err
		}
		deleted++
	}
	return deleted, hand.Put(handKey, next)
}
