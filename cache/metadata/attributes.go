package metadata

import (
	"container/list"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/objmount/objmount/backend"
)

const (
	// settled is how long after LastModified an answer must have come to be kept for good:
	// another version may have the same second and the same ETag.
	settled = 2 * time.Second
	// memoryShare is the part of MaxEntries whose attributes stay in memory.
	memoryShare = 10
	// unknownSecond is the second of an own write, of which only the ETag is known yet.
	unknownSecond = int64(-1 << 63)
	// ownLate is how much later than our own write's answer the store may date it, by two clocks.
	ownLate = 5 * time.Second
)

// recollection keeps what HEADs told: the last used in memory, all in the file.
type recollection struct {
	ttl   time.Duration
	limit int
	file  *file // nil: memory only

	mu      sync.Mutex
	objects map[backend.ObjectID]*list.Element // of *memory
	lru     *list.List
}

// memory is what is remembered of one object.
type memory struct {
	id      backend.ObjectID
	etag    string
	second  int64
	object  backend.Object
	expires time.Time // zero: never
}

// record is memory as the file has it.
type record struct {
	ETag       string             `json:"e"`
	Second     int64              `json:"s"`
	VersionID  string             `json:"v,omitempty"`
	Class      string             `json:"c,omitempty"`
	Size       int64              `json:"n"`
	Headers    backend.Headers    `json:"h,omitzero"`
	Metadata   map[string]string  `json:"m,omitempty"`
	Tags       int                `json:"t"`
	Encryption backend.Encryption `json:"k,omitzero"`
	CRC64NVME  string             `json:"x,omitempty"`
}

func openRecollection(cfg Config, work *sync.WaitGroup) *recollection {
	r := &recollection{
		ttl: cfg.TTL, limit: max(cfg.MaxEntries/memoryShare, 100),
		objects: make(map[backend.ObjectID]*list.Element), lru: list.New(),
	}
	if cfg.Path == "" {
		return r
	}
	f, err := openFile(cfg.Path, cfg.MaxEntries, cfg.Log)
	if err != nil {
		cfg.Log.Warn("attributes are kept in memory only", "file", cfg.Path, "error", err)
		return r
	}
	r.file = f
	work.Add(1)
	go func() {
		defer work.Done()
		f.write()
	}()
	return r
}

func (r *recollection) stop() {
	if r.file != nil {
		close(r.file.quit)
	}
}

// close follows stop and the end of the writer.
func (r *recollection) close() error {
	if r.file == nil {
		return nil
	}
	return r.file.close()
}

// Attributes returns the user metadata of an object of a listing, when they are known for
// just this version of it. The map is shared.
func (c *Cache) Attributes(obj backend.Object) (map[string]string, bool) {
	o, ok := c.Details(obj)
	return o.Metadata, ok
}

// Details returns all that a HEAD told about the version of an object that a listing shows:
// obj with metadata, headers, encryption and tag count. Without, it is obj itself.
func (c *Cache) Details(obj backend.Object) (backend.Object, bool) {
	if obj.HasMetadata {
		return obj, true
	}
	known, ok := c.attrs.get(obj)
	if !ok {
		return obj, false
	}
	if known.Size = obj.Size; !obj.LastModified.IsZero() {
		known.LastModified = obj.LastModified
	}
	return known, true
}

// Remember keeps what a HEAD or GET told (HasMetadata), or what an own write stored, for
// Attributes and Details. An own write whose LastModified is not known is recognised by its
// ETag, until a listing tells the time: one that is later than the write is another client's. It outlives a remount if the answer (Fetched) came
// 2 seconds after LastModified; an answer younger than that is good for TTL.
func (c *Cache) Remember(obj backend.Object) {
	if !obj.HasMetadata || obj.ETag == "" {
		return
	}
	m := &memory{id: obj.ID(), etag: obj.ETag, second: unknownSecond, object: obj}
	m.object.Metadata = maps.Clone(obj.Metadata)
	if m.object.Fetched.IsZero() {
		m.object.Fetched = time.Now()
	}
	if !obj.LastModified.IsZero() {
		m.second = obj.LastModified.Unix()
	}
	keep := m.second != unknownSecond && !obj.Fetched.IsZero() && obj.Fetched.Sub(obj.LastModified) >= settled
	if !keep && m.second != unknownSecond {
		m.expires = time.Now().Add(c.ttl())
	}
	c.attrs.put(m)
	if f := c.attrs.file; f != nil {
		if keep {
			f.put(m.id, encodeRecord(m))
		} else {
			f.put(m.id, nil)
		}
	}
}

func (r *recollection) put(m *memory) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.objects[m.id]; e != nil {
		e.Value = m
		r.lru.MoveToFront(e)
		return
	}
	r.objects[m.id] = r.lru.PushFront(m)
	for len(r.objects) > r.limit {
		back := r.lru.Back()
		r.lru.Remove(back)
		delete(r.objects, back.Value.(*memory).id)
	}
}

func (r *recollection) forget(bucket, key string) {
	id := backend.ObjectID{Bucket: bucket, Key: key}
	r.mu.Lock()
	if e := r.objects[id]; e != nil {
		r.lru.Remove(e)
		delete(r.objects, id)
	}
	r.mu.Unlock()
	if r.file != nil {
		r.file.put(id, nil)
	}
}

// get returns what is known about exactly the version obj.
func (r *recollection) get(obj backend.Object) (backend.Object, bool) {
	id := obj.ID()
	r.mu.Lock()
	if e := r.objects[id]; e != nil {
		m := e.Value.(*memory)
		ok := m.matches(obj)
		if ok {
			r.lru.MoveToFront(e)
		}
		known := m.object
		r.mu.Unlock()
		return known, ok
	}
	r.mu.Unlock()
	if r.file == nil || obj.LastModified.IsZero() {
		return backend.Object{}, false
	}
	m := decodeRecord(id, r.file.get(id))
	if m == nil || !m.matches(obj) {
		return backend.Object{}, false
	}
	r.put(m)
	return m.object, true
}

// matches reports whether m is about the version obj. The first listing that shows an own
// write tells its time.
func (m *memory) matches(obj backend.Object) bool {
	if m.etag != obj.ETag || !m.expires.IsZero() && time.Now().After(m.expires) {
		return false
	}
	if obj.LastModified.IsZero() {
		return m.second == unknownSecond
	}
	if m.second == unknownSecond && obj.LastModified.After(m.object.Fetched.Add(ownLate)) {
		return false // the same bytes, stored by another client since: other metadata
	}
	if m.second == unknownSecond {
		m.second = obj.LastModified.Unix()
	}
	return m.second == obj.LastModified.Unix()
}

func encodeRecord(m *memory) []byte {
	o := &m.object
	data, err := json.Marshal(record{
		ETag: m.etag, Second: m.second, VersionID: o.VersionID, Class: o.StorageClass, Size: o.Size, Headers: o.Headers,
		Metadata: o.Metadata, Tags: o.TagCount, Encryption: o.Encryption, CRC64NVME: o.CRC64NVME,
	})
	if err != nil {
		return nil // strings and numbers only: cannot happen
	}
	return append(binary.LittleEndian.AppendUint32(nil, recordSum(m.id, data)), data...)
}

// recordSum is what a record begins with: what a disk has changed must not be shown.
func recordSum(id backend.ObjectID, data []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte(recordKey(id)), castagnoli), castagnoli, data)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func decodeRecord(id backend.ObjectID, data []byte) *memory {
	if len(data) < 4 || binary.LittleEndian.Uint32(data) != recordSum(id, data[4:]) {
		return nil
	}
	var r record
	if json.Unmarshal(data[4:], &r) != nil {
		return nil
	}
	return &memory{id: id, etag: r.ETag, second: r.Second, object: backend.Object{
		Bucket: id.Bucket, Key: id.Key, ETag: r.ETag, VersionID: r.VersionID, Size: r.Size, LastModified: time.Unix(r.Second, 0).UTC(),
		StorageClass: r.Class, Headers: r.Headers, Metadata: r.Metadata, HasMetadata: true, TagCount: r.Tags,
		Encryption: r.Encryption, CRC64NVME: r.CRC64NVME,
	}}
}

// recordKey is an object's key in the file.
func recordKey(id backend.ObjectID) string {
	return strings.Join([]string{id.Bucket, id.Key}, "\x00")
}
