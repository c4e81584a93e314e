package mem

import (
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/objmount/objmount/backend"
)

// version is one version of an object, or a delete marker. Immutable once stored: what changes
// without a new version (tags, locks) is changed in a copy that takes its place.
type version struct {
	id          string // "" is S3's null version
	sequence    uint64 // of the store's order of events
	marker      bool
	content     content
	sums        sums
	parts       int   // 0: not a multipart object
	partSize    int64 // of the first part
	etag        string
	modified    time.Time
	properties  backend.Properties
	restored    restoration
	replication string
	annotations map[string][]byte
	acl         string // its name; empty: private
}

// etagOf returns the ETag of a content as S3 makes it.
func etagOf(sum [16]byte, parts int) string {
	etag := hex.EncodeToString(sum[:])
	if parts > 0 {
		etag += "-" + strconv.Itoa(parts)
	}
	return etag
}

// bucket holds keys in byte order. Guarded by the store's mutex.
type bucket struct {
	created  time.Time
	settings BucketSettings
	versions bool                  // it keeps, or kept, versions
	keys     map[string][]*version // newest last; never empty
	// nulls has the sequence numbers of null versions that are gone: a listing goes on behind them.
	nulls map[string]uint64
	// order has every key of keys and, to make deletes cheap, `dead` ones that are gone.
	order   []string
	dead    int
	uploads map[string]*upload
	docs    map[backend.BucketDoc][]byte // as documents.Parse gives them
	acl     string                       // its name; empty: private
	acls    bool                         // it may have one, and its objects
}

func newBucket(created time.Time) *bucket {
	return &bucket{created: created, keys: map[string][]*version{}, nulls: map[string]uint64{}, uploads: map[string]*upload{}, docs: map[backend.BucketDoc][]byte{}}
}

// current returns the object under key, nil when there is none or a delete marker.
func (b *bucket) current(key string) *version {
	if list := b.keys[key]; len(list) > 0 && !list[len(list)-1].marker {
		return list[len(list)-1]
	}
	return nil
}

// find returns a version of key; id "" means the current one, "null" the null version.
func (b *bucket) find(key, id string) *version {
	if id == "" {
		return b.current(key)
	}
	if i := b.index(key, id); i >= 0 {
		return b.keys[key][i]
	}
	return nil
}

func (b *bucket) index(key, id string) int {
	if id == backend.NullVersion {
		id = ""
	}
	return slices.IndexFunc(b.keys[key], func(v *version) bool { return v.id == id })
}

// add stores v as the newest version; a null version replaces the null version before.
func (b *bucket) add(key string, v *version) {
	if v.id == "" {
		if i := b.index(key, backend.NullVersion); i >= 0 {
			b.keys[key] = slices.Delete(b.keys[key], i, i+1)
		}
	}
	if _, known := b.keys[key]; !known {
		if i, dead := slices.BinarySearch(b.order, key); dead {
			b.dead--
		} else {
			b.order = slices.Insert(b.order, i, key)
		}
	}
	b.keys[key] = append(b.keys[key], v)
}

// swap puts v in the place of old.
func (b *bucket) swap(key string, old, v *version) {
	b.keys[key][slices.Index(b.keys[key], old)] = v
}

// remove drops one version; id "null" is the null version.
func (b *bucket) remove(key, id string) {
	i := b.index(key, id)
	if i < 0 {
		return
	}
	if v := b.keys[key][i]; v.id == "" && b.versions {
		b.nulls[key] = v.sequence
	}
	if b.keys[key] = slices.Delete(b.keys[key], i, i+1); len(b.keys[key]) > 0 {
		return
	}
	delete(b.keys, key)
	if b.dead++; b.dead > 64 && b.dead > len(b.order)/2 {
		b.order = slices.DeleteFunc(b.order, func(k string) bool { return b.keys[k] == nil })
		b.dead = 0
	}
}

// next returns the first current key >= from.
func (b *bucket) next(from string) (key string, v *version) {
	i, _ := slices.BinarySearch(b.order, from)
	for ; i < len(b.order); i++ {
		if v = b.current(b.order[i]); v != nil {
			return b.order[i], v
		}
	}
	return "", nil
}

// nextVersions returns the first key >= from that has versions, and those, newest last; nil:
// there is none.
func (b *bucket) nextVersions(from string) (key string, list []*version) {
	i, _ := slices.BinarySearch(b.order, from)
	for ; i < len(b.order); i++ {
		if list = b.keys[b.order[i]]; list != nil {
			return b.order[i], list
		}
	}
	return "", nil
}

// clashes reports whether key cannot be beside what is stored in a store where a file cannot
// be a directory too.
func (b *bucket) clashes(key string) bool {
	for i := range len(key) {
		if key[i] == '/' && i > 0 && b.current(key[:i]) != nil {
			return true
		}
	}
	if strings.HasSuffix(key, "/") {
		return false
	}
	below, v := b.next(key + "/")
	return v != nil && strings.HasPrefix(below, key+"/")
}
