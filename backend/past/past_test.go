package past_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
	"github.com/objmount/objmount/backend/past"
)

func (w *world) wantRequests(what string, want map[string]int) {
	w.Helper()
	if got := w.count.Requests(); !maps.Equal(got, want) {
		w.Errorf("%s: requests %v, want %v", what, got, want)
	}
	w.count.Reset()
}

const (
	versioning = "GetBucketVersioning"
	versions   = "ListObjectVersions"
)

func TestBytesOfTheTime(t *testing.T) {
	w := newWorld(t)
	for i := range 5 {
		w.now = second(i * 10)
		w.put("a", fmt.Sprint("a", i))
	}
	w.delete("a") // in the same second as the last version
	w.now = second(60)
	w.put("a", "again")
	w.wantGone(w.at(second(-1)), "a")
	w.want(w.at(second(0)), "a", "a0")
	w.want(w.at(second(9).Add(999*time.Millisecond)), "a", "a0")
	w.want(w.at(second(39)), "a", "a3")
	w.wantGone(w.at(second(40)), "a")
	w.want(w.at(second(60)), "a", "again")
	w.wantGone(w.at(second(60)), "b")

	s := w.at(second(39))
	_, o, err := w.read(s, "a", backend.GetOptions{Range: &backend.Range{Off: 1, Len: 1}})
	if err != nil || o.Size != 2 || !o.LastModified.Equal(second(30)) {
		t.Errorf("a range: %+v, %v", o, err)
	}
	if _, _, err := w.read(s, "a", backend.GetOptions{IfMatch: "other"}); !backend.IsKind(err, backend.KindChanged) {
		t.Errorf("If-Match of another: %v", err)
	}
	if _, _, err := w.read(s, "a", backend.GetOptions{IfNoneMatch: o.ETag}); !backend.IsKind(err, backend.KindNotModified) {
		t.Errorf("If-None-Match: %v", err)
	}
}

func TestAVersionThatWasPurged(t *testing.T) {
	w := newWorld(t)
	o := w.put("a", "1")
	w.now = second(10)
	w.put("a", "2")
	s := w.at(second(5))
	w.wantList(s, backend.ListInput{}, "a")
	if _, err := w.store.DeleteVersions(context.Background(), bucket, []backend.VersionID{{Key: "a", VersionID: o.VersionID}}, false); err != nil {
		t.Fatal(err)
	}
	w.wantGone(s, "a")
	w.wantGone(w.at(second(5)), "a")
}

func TestDirectoriesOfTheTime(t *testing.T) {
	w := newWorld(t)
	w.put("deleted/a", "1")
	w.put("deleted/below/b", "1")
	w.put("kept/a", "1")
	w.put("file", "1")
	w.now = second(10)
	w.delete("deleted/a", "deleted/below/b")
	w.put("file/as/directory", "1")
	w.put("later/a", "1")
	w.now = second(20)
	w.delete("later/a")
	level := backend.ListInput{Delimiter: "/"}
	w.wantList(w.at(second(5)), level, "deleted/", "file", "kept/")
	w.wantList(w.at(second(5)), backend.ListInput{Prefix: "deleted/", Delimiter: "/"}, "deleted/a", "deleted/below/")
	w.wantList(w.at(second(15)), level, "file", "file/", "kept/", "later/")
	w.wantList(w.at(second(25)), level, "file", "file/", "kept/")
}

// TestCosts counts requests; the first of each view is that for the bucket's setting.
func TestCosts(t *testing.T) {
	w := newWorld(t)
	for i := range 2500 {
		w.put(fmt.Sprintf("flat/%04d", i), "1")
	}
	for i := range 40 {
		w.put("often", fmt.Sprint(i))
		for j := range 5 {
			w.put(fmt.Sprintf("small/%02d/%d", i, j), "1")
		}
	}
	for i := range 100 {
		w.put(fmt.Sprintf("gone/%02d", i), "1")
		w.delete(fmt.Sprintf("gone/%02d", i))
	}
	s := w.at(second(60))
	w.list(s, backend.ListInput{Prefix: "flat/", Delimiter: "/"})
	w.wantRequests("2,500 keys", map[string]int{versioning: 1, versions: 3})
	w.list(s, backend.ListInput{Prefix: "flat/"})
	w.wantRequests("2,500 keys again", map[string]int{versions: 3})
	if n := len(w.list(s, backend.ListInput{Prefix: "small/", Delimiter: "/"})); n != 40 {
		t.Errorf("%d small directories", n)
	}
	w.wantRequests("40 small directories, each of which must have existed", map[string]int{versions: 1})
	w.want(s, "flat/2499", "1")
	w.wantRequests("reading what was listed", map[string]int{"GetObject": 1, "HeadObject": 1})

	w.want(w.at(second(60)), "flat/0000", "1")
	w.wantRequests("reading what was not listed", map[string]int{versioning: 1, versions: 1, "GetObject": 1, "HeadObject": 1})
	w.want(w.at(second(60)), "often", "39")
	w.wantRequests("a key with 40 versions, the newest one", map[string]int{versioning: 1, versions: 1, "GetObject": 1, "HeadObject": 1})
	w.wantGone(w.at(second(-1)), "often")
	w.wantRequests("a key with 40 versions, none of them", map[string]int{versioning: 1, versions: 2})
	w.wantList(w.at(second(60)), backend.ListInput{Prefix: "gone/", MaxKeys: 1})
	w.wantRequests("is there a directory of which all is gone", map[string]int{versioning: 1, versions: 3})
}

func TestLargeDirectories(t *testing.T) {
	w := newWorld(t)
	w.store.Configure(func(s *mem.Settings) { s.PageSize = 100 }) // instead of ten times as many files
	for i := range 40 {
		for j := range 110 {
			w.put(fmt.Sprintf("large/%02d/%04d", i, j), "")
		}
	}
	w.now = second(10)
	for i := range 40 {
		w.put(fmt.Sprintf("large/%02d-later/a", i), "")
	}
	w.put("large/last", "")
	s := w.at(second(60))
	if n := len(w.list(s, backend.ListInput{Prefix: "large/", Delimiter: "/"})); n != 81 {
		t.Errorf("%d names", n)
	}
	// A page that shows how large they are, one with the delimiter, two that try to decide more
	// prefixes at once, and one for each prefix.
	if n := w.count.Requests()[versions]; n < 60 || n > 90 {
		t.Errorf("%d requests for 40 directories of 110 files and 40 of one", n)
	}
	if n := len(w.list(w.at(second(5)), backend.ListInput{Prefix: "large/", Delimiter: "/"})); n != 40 {
		t.Errorf("%d names before the others came", n)
	}
}

// gathering lets no question about a single directory through before there are many.
type gathering struct {
	*mem.Store
	arrived sync.WaitGroup
	first   atomic.Int32
}

const gathered = 16

func (g *gathering) ListVersions(ctx context.Context, in backend.ListVersionsInput) (backend.VersionPage, error) {
	if len(in.Prefix) > len("large/") && g.first.Add(1) <= gathered {
		g.arrived.Done()
		g.arrived.Wait()
	}
	return g.Store.ListVersions(ctx, in)
}

func TestManyPrefixesAtOnce(t *testing.T) {
	w := newWorld(t)
	w.store.Configure(func(s *mem.Settings) { s.PageSize = 100 })
	for i := range gathered + 5 {
		for j := range 110 {
			w.put(fmt.Sprintf("large/%02d/%04d", i, j), "")
		}
	}
	g := &gathering{Store: w.store}
	g.arrived.Add(gathered)
	s := past.New(past.Config{Store: g, At: second(5)})
	if n := len(w.list(s, backend.ListInput{Prefix: "large/", Delimiter: "/"})); n != gathered+5 {
		t.Errorf("%d names", n)
	}
}

// TestNullVersions: what was stored before the bucket kept versions, and while it was suspended.
func TestNullVersions(t *testing.T) {
	for _, quirk := range []bool{false, true} {
		t.Run(fmt.Sprint("hidden=", quirk), func(t *testing.T) {
			w := newWorld(t)
			var store backend.Store = w.store
			if quirk {
				store = hidesNull{w.store}
			}
			w.versioning("Suspended")
			w.put("kept", "1")
			w.put("replaced", "1")
			w.put("version", "1")
			s := past.New(past.Config{Store: store, At: second(5)})
			w.now = second(10)
			w.put("replaced", "22")
			w.versioning("Enabled")
			w.put("version", "22")
			w.want(s, "kept", "1")
			w.want(s, "version", "1")
			w.wantGone(s, "replaced")
			w.wantList(s, backend.ListInput{}, "kept", "version")
			w.put("kept", "22") // after its version was looked up
			w.want(s, "kept", "1")
			if _, err := s.Tags(context.Background(), id("kept"), ""); err != nil {
				t.Error(err)
			}
		})
	}
}

// hidesNull does not find the version "null" by this id while it is the current one, as VersityGW.
type hidesNull struct{ *mem.Store }

func (h hidesNull) Head(ctx context.Context, id backend.ObjectID, opt backend.GetOptions) (backend.Object, error) {
	if o, err := h.Store.Head(ctx, id, backend.GetOptions{}); opt.VersionID == backend.NullVersion && err == nil && o.VersionID == "" {
		return backend.Object{}, &backend.Error{Kind: backend.KindNotExist}
	}
	return h.Store.Head(ctx, id, opt)
}

func TestABucketWithoutVersions(t *testing.T) {
	w := newWorld(t)
	w.store.ConfigureBucket("plain", func(*mem.BucketSettings) {})
	s, ctx := w.at(second(5)), context.Background()
	for what, err := range map[string]error{
		"HeadBucket": s.HeadBucket(ctx, "plain"),
		"List":       func() error { _, err := s.List(ctx, backend.ListInput{Bucket: "plain"}); return err }(),
		"Head": func() error {
			_, err := s.Head(ctx, backend.ObjectID{Bucket: "plain", Key: "a"}, backend.GetOptions{})
			return err
		}(),
	} {
		if !backend.IsKind(err, backend.KindUnsupported) || !strings.Contains(err.Error(), "never kept versions") {
			t.Errorf("%s: %v", what, err)
		}
	}
	w.wantRequests("it is asked for once", map[string]int{"HeadBucket": 1, versioning: 1})
	if err := s.HeadBucket(ctx, "none"); !backend.IsKind(err, backend.KindNoBucket) {
		t.Errorf("a bucket that does not exist: %v", err)
	}
	if err := s.HeadBucket(ctx, bucket); err != nil {
		t.Error(err)
	}
}

// secretive does not tell the setting of a bucket.
type secretive struct{ *mem.Store }

func (secretive) BucketVersioning(context.Context, string) (string, error) {
	return "", &backend.Error{Kind: backend.KindPermission, Op: "GetBucketVersioning"}
}

func TestVersionsAsProof(t *testing.T) {
	w := newWorld(t)
	s := past.New(past.Config{Store: secretive{w.store}, At: second(5)})
	if err := s.Keeps(context.Background(), bucket, ""); !backend.IsKind(err, backend.KindPermission) {
		t.Errorf("an empty bucket: %v", err)
	}
	w.put("dir/a", "1")
	if err := s.Keeps(context.Background(), bucket, "other/"); !backend.IsKind(err, backend.KindPermission) {
		t.Errorf("nothing below the prefix: %v", err)
	}
	if err := s.Keeps(context.Background(), bucket, "dir/"); err != nil {
		t.Errorf("a version: %v", err)
	}
}

func TestFailuresOfTheStoreAreNotRemembered(t *testing.T) {
	w := newWorld(t)
	w.put("a", "1")
	ended, end := context.WithCancel(context.Background())
	end()
	s := w.at(second(5))
	if _, err := s.List(ended, backend.ListInput{Bucket: bucket}); !backend.IsKind(err, backend.KindCanceled) {
		t.Errorf("List of a call that ended: %v", err)
	}
	if _, err := s.Head(ended, id("a"), backend.GetOptions{}); !backend.IsKind(err, backend.KindCanceled) {
		t.Errorf("Head of a call that ended: %v", err)
	}
	w.want(s, "a", "1")
	w.wantList(s, backend.ListInput{}, "a")
}
