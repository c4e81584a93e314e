package past_test

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
	"github.com/objmount/objmount/backend/past"
)

const bucket = "bucket"

// day is when every test's history begins.
var day = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func second(n int) time.Time { return day.Add(time.Duration(n) * time.Second) }

// world is a store with versions whose clock the test moves.
type world struct {
	testing.TB
	store *mem.Store
	count *mem.Counter
	now   time.Time
}

func newWorld(t testing.TB) *world {
	w := &world{TB: t, store: mem.New(bucket), now: day}
	w.count = mem.Counting(w.store)
	w.store.Configure(func(s *mem.Settings) { s.Clock = func() time.Time { return w.now } })
	w.versioning("Enabled")
	return w
}

func (w *world) versioning(status string) {
	w.store.ConfigureBucket(bucket, func(b *mem.BucketSettings) { b.Versioning = status })
}

// at is the view of a time.
func (w *world) at(t time.Time) *past.Store { return past.New(past.Config{Store: w.count, At: t}) }

func (w *world) put(key, text string) backend.Object {
	w.Helper()
	o, err := w.store.Put(context.Background(), backend.PutInput{
		Bucket: bucket, Key: key, Body: strings.NewReader(text), Size: int64(len(text)),
		Properties: backend.Properties{Metadata: map[string]string{"text": text}},
	})
	if err != nil {
		w.Fatal(err)
	}
	return o
}

func (w *world) delete(keys ...string) {
	w.Helper()
	for _, key := range keys {
		if err := w.store.Delete(context.Background(), backend.DeleteInput{Bucket: bucket, Key: key}); err != nil {
			w.Fatal(err)
		}
	}
}

func id(key string) backend.ObjectID { return backend.ObjectID{Bucket: bucket, Key: key} }

// read returns the bytes of a key; "" with an error.
func (w *world) read(s *past.Store, key string, opt backend.GetOptions) (string, backend.Object, error) {
	w.Helper()
	body, err := s.Get(context.Background(), id(key), opt)
	if err != nil {
		return "", backend.Object{}, err
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	if err != nil {
		w.Fatal(err)
	}
	return string(text), body.Object, nil
}

func (w *world) want(s *past.Store, key, text string) {
	w.Helper()
	got, o, err := w.read(s, key, backend.GetOptions{})
	if err != nil || got != text || o.Metadata["text"] != text {
		w.Errorf("Get %q: %q with metadata %v, %v; want %q", key, got, o.Metadata, err, text)
	}
	if o, err = s.Head(context.Background(), id(key), backend.GetOptions{}); err != nil || o.Metadata["text"] != text || o.Size != int64(len(text)) {
		w.Errorf("Head %q: %+v, %v; want %q", key, o, err, text)
	}
}

func (w *world) wantGone(s *past.Store, key string) {
	w.Helper()
	if got, _, err := w.read(s, key, backend.GetOptions{}); !backend.IsKind(err, backend.KindNotExist) {
		w.Errorf("Get %q: %q, %v; want that it does not exist", key, got, err)
	}
	if _, err := s.Head(context.Background(), id(key), backend.GetOptions{}); !backend.IsKind(err, backend.KindNotExist) {
		w.Errorf("Head %q: %v; want that it does not exist", key, err)
	}
}

// list reads a listing to its end. Objects and prefixes must come in order over all pages, and
// only the last page may be empty.
func (w *world) list(s backend.Lister, in backend.ListInput) (names []string) {
	w.Helper()
	in.Bucket = bucket
	for {
		page, err := s.List(context.Background(), in)
		if err != nil {
			w.Fatalf("List %+v: %v", in, err)
		}
		var here []string
		for _, o := range page.Objects {
			if o.Bucket != bucket || o.VersionID != "" || o.TagCount != -1 {
				w.Errorf("listed %+v", o)
			}
			here = append(here, o.Key)
		}
		here = append(here, page.Prefixes...)
		slices.Sort(here)
		if in.MaxKeys > 0 && len(here) > int(in.MaxKeys) {
			w.Errorf("%d entries on a page of %d", len(here), in.MaxKeys)
		}
		if len(names) > 0 && len(here) > 0 && here[0] <= names[len(names)-1] {
			w.Errorf("%+v: %q follows %q", in, here[0], names[len(names)-1])
		}
		names = append(names, here...)
		if page.Next == "" {
			return names
		}
		if len(here) == 0 {
			w.Errorf("%+v: an empty page that is not the last", in)
		}
		in.Token = page.Next
	}
}

func (w *world) wantList(s backend.Lister, in backend.ListInput, want ...string) {
	w.Helper()
	if got := w.list(s, in); !slices.Equal(got, want) {
		w.Errorf("%+v: listed %q, want %q", in, got, want)
	}
}
