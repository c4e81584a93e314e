package past

import (
	"context"
	"sync"
	"time"

	"github.com/objmount/objmount/backend"
)

// note is what is remembered of a key: its version of the time, or (zero) that it had none.
type note struct {
	version  string // never empty for a version
	etag     string
	modified time.Time // as listed, which may be finer than a HEAD's
	latest   bool      // it was the current version when it was listed
}

func noteOf(v *backend.Version) note {
	n := note{version: v.VersionID, etag: v.ETag, modified: v.LastModified, latest: v.Latest}
	if n.version == "" {
		n.version = backend.NullVersion
	}
	return n
}

// exists reports whether the key had a version.
func (n note) exists() bool { return n.version != "" }

// is reports whether an answer that was not asked for by version is about this one.
func (n note) is(o backend.Object) bool { return isNull(o.VersionID) && o.ETag == n.etag }

// memory keeps the notes of the keys used last, at most two times limit.
type memory struct {
	limit int

	mu         sync.Mutex
	young, old map[backend.ObjectID]note
}

func (m *memory) put(id backend.ObjectID, n note) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.putLocked(id, n)
}

func (m *memory) putLocked(id backend.ObjectID, n note) {
	if m.young == nil || len(m.young) >= m.limit {
		m.old, m.young = m.young, make(map[backend.ObjectID]note)
	}
	m.young[id] = n
}

func (m *memory) get(id backend.ObjectID) (note, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, ok := m.young[id]
	if !ok {
		if n, ok = m.old[id]; ok {
			m.putLocked(id, n)
		}
	}
	return n, ok
}

// find returns the version of a key; KindNotExist when there was none.
func (s *Store) find(ctx context.Context, op string, id backend.ObjectID) (note, error) {
	if id.Key == "" {
		return note{}, &backend.Error{Kind: backend.KindInvalid, Op: op, Bucket: id.Bucket, Message: "empty key"}
	}
	n, known := s.memory.get(id)
	if !known {
		if err := s.Keeps(ctx, id.Bucket, id.Key); err != nil {
			return n, err
		}
		j := judge{at: s.at}
		err := s.each(ctx, id.Bucket, id.Key, func(v *backend.Version) bool {
			if v.Key == id.Key && j.current(v) {
				n = noteOf(v)
			}
			return v.Key == id.Key && !n.exists() && j.absent == ""
		})
		if err != nil {
			return n, err
		}
		s.memory.put(id, n)
	}
	if !n.exists() {
		return n, gone(op, id, "")
	}
	return n, nil
}

func gone(op string, id backend.ObjectID, message string) error {
	return &backend.Error{Kind: backend.KindNotExist, Op: op, Bucket: id.Bucket, Key: id.Key, Message: message}
}
