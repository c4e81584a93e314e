package remotes_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/backendtest"
	"github.com/objmount/objmount/backend/mem"
	"github.com/objmount/objmount/backend/remotes"
)

// join makes a Store of remotes in the order of their names.
func join(t *testing.T, stores map[string]backend.Store) *remotes.Store {
	t.Helper()
	var all []remotes.Remote
	for name, store := range stores {
		all = append(all, remotes.Remote{Name: name, Store: store})
	}
	slices.SortFunc(all, func(a, b remotes.Remote) int { return strings.Compare(a.Name, b.Name) })
	s, err := remotes.New(all...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestConformance: each remote passes the suite, in versioned and plain buckets, while the other one has a
// bucket of the same name and sees nothing but listings of buckets.
func TestConformance(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", "b"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stores := map[string]*mem.Store{"a": mem.New("bucket"), "b": mem.New("bucket")}
			stores["b"].Configure(func(cfg *mem.Settings) { cfg.Capabilities.Versioned = true })
			counted := map[string]backend.Store{}
			for name, store := range stores {
				store.Configure(func(cfg *mem.Settings) {
					cfg.Capabilities.Limits.MinPart, cfg.Capabilities.Limits.MaxPut = backend.KiB, 2*backend.MiB
				})
				counted[name] = mem.Counting(store)
			}
			lockBuckets := backendtest.LockBuckets(func(_ context.Context, bucket string) error {
				_, own, _ := remotes.Split(bucket)
				stores[name].ConfigureBucket(own, func(b *mem.BucketSettings) { b.Lock.Enabled = true })
				return nil
			})
			backendtest.Run(t, func(t *testing.T) (backend.Store, string) {
				t.Cleanup(func() {
					for other, store := range counted {
						requests := store.(*mem.Counter).Requests()
						delete(requests, "ListBuckets")
						if (len(requests) == 0) != (other != name) {
							t.Errorf("the remote %s got %v", other, requests)
						}
					}
				})
				return join(t, counted), remotes.Name(name, "bucket")
			}, lockBuckets)
		})
	}
}

// TestEveryRoleGoesToItsRemote calls every method of a store: one request of the remote that is named, under the
// bucket's own name there, and its error with the full name again.
func TestEveryRoleGoesToItsRemote(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var calls []mem.Call
	seen := mem.Rule{Do: []mem.Action{mem.Before(func(_ context.Context, c mem.Call) {
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, c)
	}), mem.Fail(backend.KindLocked)}}
	other := mem.Counting(mem.New("bucket"))
	s := join(t, map[string]backend.Store{"a": mem.Faulty(mem.New("bucket"), seen), "b": other})
	store := reflect.ValueOf(s)
	for m := range reflect.TypeFor[backend.Store]().Methods() {
		if slices.Contains([]string{"ListBuckets", "Capabilities", "Presign", "PresignPost", "ObjectURL"}, m.Name) {
			continue // no requests of one bucket: see below
		}
		calls = nil
		err := invoke(t, store.MethodByName(m.Name), "a/bucket")
		e, ok := errors.AsType[*backend.Error](err)
		if !ok || e.Kind != backend.KindLocked || e.Bucket != "a/bucket" {
			t.Errorf("%s: %v", m.Name, err)
		}
		if len(calls) != 1 || calls[0].Bucket != "bucket" || strings.Contains(calls[0].Source.Bucket, "/") {
			t.Errorf("%s made the requests %+v", m.Name, calls)
		}
		for _, name := range []string{"c/bucket", "bucket", "", "/bucket", "a/", "a/b/c"} {
			calls = nil
			err := invoke(t, store.MethodByName(m.Name), name)
			e, ok := errors.AsType[*backend.Error](err)
			if !ok || e.Kind != backend.KindNoBucket || e.Bucket != name || len(calls) != 0 || e.Op == "" {
				t.Errorf("%s of %q: %v, and %d requests", m.Name, name, err, len(calls))
			}
		}
	}
	if other.Total() != 0 {
		t.Errorf("the other remote got %v", other)
	}
}

// invoke calls a method with arguments that name a bucket wherever they can, and returns its error.
func invoke(t *testing.T, method reflect.Value, bucket string) error {
	t.Helper()
	var args []reflect.Value
	text := bucket // the first string is a bucket unless an object or an input comes before it
	for in := range method.Type().Ins() {
		switch {
		case in == reflect.TypeFor[context.Context]():
			args = append(args, reflect.ValueOf(t.Context()))
			continue
		case in == reflect.TypeFor[io.Writer]():
			args = append(args, reflect.ValueOf(io.Discard))
			continue
		}
		arg := reflect.New(in).Elem()
		switch in.Kind() {
		case reflect.String:
			arg.SetString(text)
			text = "x"
		case reflect.Struct:
			fill(arg, bucket)
			text = ""
		}
		args = append(args, arg)
	}
	out := method.Call(args)
	err, _ := out[len(out)-1].Interface().(error)
	return err
}

// fill sets what names a bucket in an input.
func fill(v reflect.Value, bucket string) {
	for field, value := range v.Fields() {
		switch {
		case field.Name == "Bucket" || field.Name == "Name":
			value.SetString(bucket)
		case value.Kind() == reflect.Struct:
			fill(value, bucket)
		case field.Type == reflect.TypeFor[io.ReadSeeker]():
			value.Set(reflect.ValueOf(strings.NewReader("")))
		}
	}
}

// TestNoRequests: what makes no request is asked of the right remote, too.
func TestNoRequests(t *testing.T) {
	t.Parallel()
	a, b := mem.New("bucket"), mem.New("bucket")
	b.Configure(func(cfg *mem.Settings) { cfg.Capabilities.Vendor = "other" })
	s := join(t, map[string]backend.Store{"a": a, "b": b})
	for name, want := range map[string]string{"a": "mem", "b": "other"} {
		bucket := remotes.Name(name, "bucket")
		if caps, err := s.Capabilities(t.Context(), bucket, "p/", true); err != nil || caps.Vendor != want {
			t.Errorf("%s: %+v %v", name, caps, err)
		}
		id := backend.ObjectID{Bucket: bucket, Key: "k"}
		address, err := s.ObjectURL(t.Context(), id)
		if err != nil || strings.Contains(address.String(), bucket) || !strings.Contains(address.String(), "bucket") {
			t.Errorf("%v %v", address, err)
		}
		signed, err := s.Presign(t.Context(), backend.PresignInput{Method: "GET", Object: id, Expires: 1e9})
		if err != nil || strings.Contains(signed.URL, bucket) {
			t.Errorf("%v %v", signed.URL, err)
		}
		form, err := s.PresignPost(t.Context(), backend.PostInput{Object: id, Expires: 1e9})
		if err != nil || strings.Contains(form.URL+fmt.Sprint(form.Fields), bucket) {
			t.Errorf("%+v %v", form, err)
		}
	}
	for _, err := range []error{
		errOf(s.Capabilities(t.Context(), "c/bucket", "", false)),
		errOf(s.ObjectURL(t.Context(), backend.ObjectID{Bucket: "bucket", Key: "k"})),
		errOf(s.Presign(t.Context(), backend.PresignInput{Object: backend.ObjectID{Bucket: "c/bucket"}})),
		errOf(s.PresignPost(t.Context(), backend.PostInput{Object: backend.ObjectID{Bucket: "c/bucket"}})),
	} {
		if !backend.IsKind(err, backend.KindNoBucket) {
			t.Error(err)
		}
	}
}

func errOf[T any](_ T, err error) error { return err }

// TestCopiesBetweenRemotes: no request is made, and the error is of its own kind; within a remote all is as always.
func TestCopiesBetweenRemotes(t *testing.T) {
	t.Parallel()
	a, b := mem.Counting(mem.New("one", "two")), mem.Counting(mem.New("one"))
	s := join(t, map[string]backend.Store{"a": a, "b": b})
	stored, err := s.Put(t.Context(), backend.PutInput{Bucket: "a/one", Key: "k", Body: strings.NewReader("bytes"), Size: 5})
	if err != nil {
		t.Fatal(err)
	}
	a.Reset()
	source := backend.Source{Bucket: "a/one", Key: "k", ETag: stored.ETag}
	for name, err := range map[string]error{
		"Copy":     errOf(s.Copy(t.Context(), backend.CopyInput{Bucket: "b/one", Key: "k", Source: source, Size: 5})),
		"CopyPart": errOf(s.CopyPart(t.Context(), backend.CopyPartInput{Bucket: "b/one", Key: "k", UploadID: "x", Number: 1, Source: source})),
	} {
		e, ok := errors.AsType[*backend.Error](err)
		if !ok || e.Kind != backend.KindElsewhere || e.Bucket != "b/one" || e.Key != "k" || backend.Temporary(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if a.Total()+b.Total() != 0 {
		t.Errorf("requests were made: %v, %v", a, b)
	}
	obj, err := s.Copy(t.Context(), backend.CopyInput{Bucket: "a/two", Key: "k", Source: source, Size: 5})
	if err != nil || obj.ETag != stored.ETag || a.Total() != 1 {
		t.Errorf("%+v %v %v", obj, err, a)
	}
	source.Bucket = "c/one"
	if _, err := s.Copy(t.Context(), backend.CopyInput{Bucket: "a/two", Key: "k", Source: source}); !backend.IsKind(err, backend.KindNoBucket) {
		t.Errorf("a source in no remote: %v", err)
	}
}

// TestBucketsOfSeveral: all are asked at once, those that a prefix rules out are not asked, and one that fails does
// not hide the others.
func TestBucketsOfSeveral(t *testing.T) {
	t.Parallel()
	down, away := mem.Faulty(mem.New("x")), mem.Faulty(mem.New("y"))
	counted := map[string]backend.Store{"a": mem.Counting(mem.New("one", "other")), "ab": mem.Counting(down), "b": mem.Counting(away)}
	s := join(t, counted)
	ask := func(prefix string) (names []string, asked string, err error) {
		list, err := s.ListBuckets(t.Context(), prefix)
		for _, b := range list {
			names = append(names, b.Name)
		}
		for _, name := range []string{"a", "ab", "b"} {
			c := counted[name].(*mem.Counter)
			asked += strings.Repeat(name+" ", c.Total())
			c.Reset()
		}
		return names, asked, err
	}
	for prefix, want := range map[string]struct{ names, asked string }{
		"":       {"a/one a/other ab/x b/y", "a ab b "},
		"a":      {"a/one a/other ab/x", "a ab "},
		"a/":     {"a/one a/other", "a "},
		"a/o":    {"a/one a/other", "a "},
		"a/one":  {"a/one", "a "},
		"ab/":    {"ab/x", "ab "},
		"ab/xyz": {"", "ab "},
		"c/":     {"", ""},
	} {
		names, asked, err := ask(prefix)
		if err != nil || strings.Join(names, " ") != want.names || asked != want.asked {
			t.Errorf("%q: %v, asked %q, %v", prefix, names, asked, err)
		}
	}
	down.Add(mem.Rule{Do: []mem.Action{mem.Fail(backend.KindUnreachable)}})
	names, _, err := ask("")
	e, ok := errors.AsType[*backend.Error](err)
	if !ok || e.Kind != backend.KindUnreachable || e.Bucket != "ab" || strings.Join(names, " ") != "a/one a/other b/y" {
		t.Errorf("one fails: %v %v", names, err)
	}
	away.Add(mem.Rule{Do: []mem.Action{mem.Fail(backend.KindPermission)}})
	names, _, err = ask("")
	if !backend.IsKind(err, backend.KindUnreachable) || !strings.Contains(err.Error(), `"ab"`) || !strings.Contains(err.Error(), `"b"`) || len(names) != 2 {
		t.Errorf("two fail: %v %v", names, err)
	}
	if names, _, err = ask("a/"); err != nil || len(names) != 2 {
		t.Errorf("others fail: %v %v", names, err)
	}
}

// TestBucketsBeforeADeadline: a remote that is silent is named, and the others are listed.
func TestBucketsBeforeADeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := join(t, map[string]backend.Store{"a": mem.New("one"), "b": silent{}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		list, err := s.ListBuckets(ctx, "")
		if len(list) != 1 || list[0].Name != "a/one" || !backend.IsKind(err, backend.KindUnreachable) || !strings.Contains(err.Error(), `bucket "b"`) || !strings.Contains(err.Error(), "no answer in time") {
			t.Errorf("%v, %v", list, err)
		}
	})
}

// silent does not answer.
type silent struct{ backend.Store }

func (silent) ListBuckets(ctx context.Context, _ string) ([]backend.Bucket, error) {
	<-ctx.Done()
	return nil, &backend.Error{Kind: backend.KindCanceled, Op: "ListBuckets", Err: ctx.Err()}
}

func TestNames(t *testing.T) {
	t.Parallel()
	store := mem.New()
	for name, all := range map[string][]remotes.Remote{
		"none":    nil,
		"empty":   {{Name: "", Store: store}},
		"slash":   {{Name: "a/b", Store: store}},
		"twice":   {{Name: "a", Store: store}, {Name: "a", Store: store}},
		"nothing": {{Name: "a"}},
	} {
		if _, err := remotes.New(all...); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	s := join(t, map[string]backend.Store{"a": store})
	if got, own, ok := s.Of("a/b"); got != backend.Store(store) || own != "b" || !ok {
		t.Errorf("%v %q %v", got, own, ok)
	}
	for _, name := range []string{"a", "b/c", "a/b/c", "a/", "/a"} {
		if _, _, ok := s.Of(name); ok {
			t.Errorf("%q has a store", name)
		}
	}
}

// TestErrorsKeepTheirWords: an error that is wrapped says all that it said, and the store's own one is not changed.
func TestErrorsKeepTheirWords(t *testing.T) {
	t.Parallel()
	own := &backend.Error{Kind: backend.KindLocked, Op: "HeadBucket", Bucket: "bucket", Code: "Locked", RequestID: "R1"}
	for _, err := range []error{own, fmt.Errorf("while asking: %w", own)} {
		s := join(t, map[string]backend.Store{"a": failing{err: err}})
		got := s.HeadBucket(t.Context(), "a/bucket")
		for _, word := range []string{`"a/bucket"`, "Locked", "R1", strings.TrimSuffix(err.Error(), own.Error())} {
			if !strings.Contains(got.Error(), word) {
				t.Errorf("%v lacks %q", got, word)
			}
		}
		if !backend.IsKind(got, backend.KindLocked) || own.Bucket != "bucket" {
			t.Errorf("%v, %v", got, own)
		}
	}
	s := join(t, map[string]backend.Store{"a": failing{err: io.ErrUnexpectedEOF}})
	if got := s.HeadBucket(t.Context(), "a/bucket"); got != io.ErrUnexpectedEOF {
		t.Error(got)
	}
}

type failing struct {
	backend.Store
	err error
}

func (f failing) HeadBucket(context.Context, string) error { return f.err }
