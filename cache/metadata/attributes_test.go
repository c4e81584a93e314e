package metadata

import (
	"fmt"
	"path/filepath"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/objmount/objmount/backend"
)

// head is what a HEAD told about version v of an object, long after it was stored.
func head(key, etag string, modified time.Time) backend.Object {
	return backend.Object{
		Bucket: bucket, Key: key, ETag: etag, Size: 7, LastModified: modified, HasMetadata: true, Metadata: map[string]string{"colour": etag},
		TagCount: 3, Headers: backend.Headers{ContentType: "text/plain"}, Fetched: modified.Add(time.Hour), StorageClass: "COLD",
	}
}

// listed is the same version in a listing.
func listed(key, etag string, modified time.Time) backend.Object {
	return backend.Object{Bucket: bucket, Key: key, ETag: etag, Size: 7, LastModified: modified, TagCount: -1}
}

var day = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func colour(c *Cache, o backend.Object) string {
	meta, ok := c.Attributes(o)
	if !ok {
		return "unknown"
	}
	return meta["colour"]
}

func expect(t *testing.T, c *Cache, o backend.Object, want string) {
	t.Helper()
	if got := colour(c, o); got != want {
		t.Errorf("%s %s %v: %q, want %q", o.Key, o.ETag, o.LastModified, got, want)
	}
}

func TestAttributesAreOfOneVersion(t *testing.T) {
	t.Parallel()
	c, _ := open(t, nil)
	expect(t, c, listed("k", "v1", day), "unknown")
	c.Remember(head("k", "v1", day))
	expect(t, c, listed("k", "v1", day), "v1")
	expect(t, c, listed("k", "v1", day.Add(300*time.Millisecond)), "v1") // listings tell fractions
	expect(t, c, listed("k", "v2", day), "unknown")
	expect(t, c, listed("k", "v1", day.Add(time.Second)), "unknown") // the same bytes, stored again
	expect(t, c, listed("other", "v1", day), "unknown")
	expect(t, c, listed("k", "v1", time.Time{}), "unknown")
	o, ok := c.Details(listed("k", "v1", day.Add(300*time.Millisecond)))
	want := head("k", "v1", day)
	want.LastModified = day.Add(300 * time.Millisecond)
	if diff := cmp.Diff(want, o); diff != "" || !ok {
		t.Error(diff)
	}
	c.Remember(head("k", "v2", day))
	expect(t, c, listed("k", "v1", day), "unknown")
	expect(t, c, listed("k", "v2", day), "v2")
	c.Removed(bucket, "k")
	expect(t, c, listed("k", "v2", day), "unknown")
	withMetadata := head("k", "v3", day)
	expect(t, c, withMetadata, "v3") // MinIO's listings
	c.Remember(backend.Object{Bucket: bucket, Key: "k", ETag: "v4", LastModified: day})
	expect(t, c, listed("k", "v4", day), "unknown") // without metadata it tells nothing
}

func TestAttributesOfOwnWrites(t *testing.T) {
	t.Parallel()
	c, _ := open(t, nil)
	o := head("k", "v1", time.Time{})
	o.Fetched = day
	c.Stored(o)
	expect(t, c, listed("k", "v1", time.Time{}), "v1")
	expect(t, c, listed("k", "v2", day), "unknown")
	expect(t, c, listed("k", "v1", day.Add(time.Minute)), "unknown") // the same bytes with other metadata, stored later
	expect(t, c, listed("k", "v1", day), "v1")                       // the first listing tells the time
	expect(t, c, listed("k", "v1", day), "v1")
	expect(t, c, listed("k", "v1", day.Add(5*time.Second)), "unknown")
}

func TestYoungAnswersAreNotTrustedForLong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c, _ := open(t, func(cfg *Config) { cfg.TTL = 10 * time.Second })
		young := head("k", "v1", day)
		young.Fetched = day.Add(1999 * time.Millisecond)
		c.Remember(young)
		expect(t, c, listed("k", "v1", day), "v1")
		time.Sleep(11 * time.Second)
		expect(t, c, listed("k", "v1", day), "unknown")
		old := head("k", "v1", day)
		old.Fetched = day.Add(2 * time.Second)
		c.Remember(old)
		time.Sleep(time.Hour)
		expect(t, c, listed("k", "v1", day), "v1")
	})
	path := filepath.Join(dir, "m")
	c := reopen(t, nil, path)
	young := head("young", "v1", day)
	young.Fetched = day.Add(time.Second)
	c.Remember(young)
	c.Remember(head("old", "v1", day))
	own := head("own", "v1", time.Time{})
	c.Remember(own)
	dateless := head("dateless", "v1", day)
	dateless.Fetched = time.Time{}
	c.Remember(dateless)
	c = reopen(t, c, path)
	expect(t, c, listed("old", "v1", day), "v1")
	for _, key := range []string{"young", "own", "dateless"} {
		expect(t, c, listed(key, "v1", day), "unknown")
	}
	c.Close()
}

func TestAttributesInMemoryAreBounded(t *testing.T) {
	t.Parallel()
	c, _ := open(t, func(cfg *Config) { cfg.MaxEntries = 1000 })
	for i := range 1000 {
		c.Remember(head(fmt.Sprint(i), "v", day))
		expect(t, c, listed("0", "v", day), "v") // always in use
	}
	if n := len(c.attrs.objects); n != 100 || c.attrs.lru.Len() != n {
		t.Errorf("%d in memory", n)
	}
	expect(t, c, listed("999", "v", day), "v")
	expect(t, c, listed("500", "v", day), "unknown")
}

// TestRecordChecksum: a record of which any bit is another one, that is shorter, or that belongs to another object is none.
func TestRecordChecksum(t *testing.T) {
	t.Parallel()
	id := backend.ObjectID{Bucket: "b", Key: "dir/file"}
	m := &memory{id: id, etag: "e", second: 1_700_000_000, object: backend.Object{
		Bucket: id.Bucket, Key: id.Key, ETag: "e", Size: 12, LastModified: time.Unix(1_700_000_000, 0).UTC(), HasMetadata: true,
		Metadata: map[string]string{"mode": "33188"}, TagCount: 2,
	}}
	data := encodeRecord(m)
	if got := decodeRecord(id, data); !reflect.DeepEqual(got, m) {
		t.Fatalf("got %+v, want %+v", got, m)
	}
	for bit := range 8 * len(data) {
		data[bit/8] ^= 1 << (bit % 8)
		if got := decodeRecord(id, data); got != nil {
			t.Errorf("with bit %d changed it is %+v", bit, got)
		}
		data[bit/8] ^= 1 << (bit % 8)
	}
	for n := range data {
		if got := decodeRecord(id, data[:n]); got != nil {
			t.Errorf("%d bytes of it are %+v", n, got)
		}
	}
	for _, other := range []backend.ObjectID{{Bucket: "b", Key: "dir/other"}, {Bucket: "c", Key: "dir/file"}} {
		if got := decodeRecord(other, data); got != nil {
			t.Errorf("of %v it is %+v", other, got)
		}
	}
}
