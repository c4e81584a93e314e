package ctl

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

func TestRestoreCarriesEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	props := backend.Properties{
		Headers: backend.Headers{ContentType: "text/x", CacheControl: "no-store"}, Metadata: map[string]string{"a": "b", backend.MetaGeneration: "1"},
		Tags: map[string]string{"t": "v"}, StorageClass: "STANDARD_IA",
	}
	old := w.put(0, "f", "old", props)
	w.put(1, "f", "new")
	w.at(2)
	a := w.run("versions/restore", RestoreRequest{Target: target("f"), VersionID: old})
	if a.err != nil {
		t.Fatal(a.err)
	}
	obj, err := w.store.Head(t.Context(), backend.ObjectID{Bucket: "b", Key: "f"}, backend.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got := backend.PropertiesOf(obj)
	if got.Tags, err = w.store.Tags(t.Context(), obj.ID(), ""); err != nil {
		t.Fatal(err)
	}
	delete(props.Metadata, backend.MetaGeneration) // it belongs to one upload
	if diff := cmp.Diff(props, got); diff != "" {
		t.Error(diff)
	}
	w.is(map[string]string{"f": "old"})
	if n := w.count(); n != 3 {
		t.Errorf("%d versions, want 3", n)
	}
	if diff := cmp.Diff([]string{"f"}, w.tree.changed); diff != "" {
		t.Errorf("the mount was told:\n%s", diff)
	}
}

func TestRestoreChooses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := map[string]string{}
	for i := range 3 {
		ids[w.put(i, "f", fmt.Sprint("v", i))] = fmt.Sprint("v", i)
	}
	w.remove(3, "f")
	at := func(n int) *time.Time { when := hour(n).Add(time.Minute); return &when }
	for _, test := range []struct {
		r    RestoreRequest
		want string
	}{
		{RestoreRequest{}, "restored f v2"}, // deleted: the last one
		{RestoreRequest{At: at(1)}, "restored f v1"},
		{RestoreRequest{At: at(0)}, "restored f v0"},
	} {
		test.r.Target = Target{Path: "f", DryRun: true}
		a := w.run("versions/restore", test.r)
		if a.err != nil {
			t.Fatal(a.err)
		}
		if diff := cmp.Diff([]string{test.want}, a.done(t, ids)); diff != "" {
			t.Errorf("%+v:\n%s", test.r, diff)
		}
	}
	if n := w.count(); n != 4 || len(w.tree.changed) > 0 {
		t.Errorf("a dry run changed something: %d versions, %q", n, w.tree.changed)
	}
	before := hour(-1)
	w.run("versions/restore", RestoreRequest{Target: target("f"), At: &before}).wants(t, KindNotFound, "did not exist at 2026-10-31T23:00:00Z")
	w.run("versions/restore", RestoreRequest{Target: target("f"), At: at(3)}).wants(t, KindNotFound, "did not exist")
	w.run("versions/restore", RestoreRequest{Target: target("f"), VersionID: "x"}).wants(t, KindNotFound, "has no version x")
	w.run("versions/restore", RestoreRequest{Target: target("f"), VersionID: "x", At: at(1)}).wants(t, KindInvalid, "give one of them")

	w.at(4)
	if a := w.run("versions/restore", RestoreRequest{Target: target("f")}); a.err != nil {
		t.Fatal(a.err)
	}
	w.is(map[string]string{"f": "v2"})
	a := w.run("versions/restore", RestoreRequest{Target: target("f"), At: at(4)})
	if diff := cmp.Diff([]string{"unchanged f"}, a.done(t, ids)); diff != "" || a.err != nil {
		t.Errorf("the current version again: %v\n%s", a.err, diff)
	}
}

// TestRestoreWithoutVersioning is what a restore may not do unasked: overwrite what cannot be had back.
func TestRestoreWithoutVersioning(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(0, "f", "old")
	w.store.ConfigureBucket("b", func(s *mem.BucketSettings) { s.Versioning = "Suspended" })
	w.put(1, "f", "only copy")
	w.at(2)
	w.run("versions/restore", RestoreRequest{Target: target("f")}).wants(t, KindConflict, "keeps no versions now")
	w.is(map[string]string{"f": "only copy"})
	if a := w.run("versions/restore", RestoreRequest{Target: target("f"), Replace: true}); a.err != nil {
		t.Error(a.err)
	}
	w.is(map[string]string{"f": "old"})
}

func TestRestoreOfATree(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, key := range []string{"d/changed", "d/deleted", "d/same", "d/sub/back"} {
		w.put(0, key, "old "+key, backend.Properties{Tags: map[string]string{"k": key}})
	}
	w.put(0, "other/x", "old")
	when := hour(1)
	w.put(2, "d/changed", "new")
	w.remove(2, "d/deleted")
	w.put(2, "d/sub/back", "meanwhile")
	w.put(3, "d/sub/back", "old d/sub/back", backend.Properties{Tags: map[string]string{"k": "d/sub/back"}}) // as it was
	w.put(2, "d/added", "new")
	w.put(2, "other/x", "new")
	w.at(4)
	r := RestoreRequest{Target: target("d"), At: &when, Recursive: true}

	w.run("versions/restore", RestoreRequest{Target: target("d"), At: &when}).wants(t, KindInvalid, "use --recursive")
	w.run("versions/restore", RestoreRequest{Target: target("d"), Recursive: true}).wants(t, KindInvalid, "use --at")
	before := w.count()
	dry := r
	dry.DryRun, dry.Delete = true, true
	want := []string{"deleted d/added", "restored d/changed", "restored d/deleted", "unchanged d/same", "unchanged d/sub/back"}
	if a := w.run("versions/restore", dry); a.err != nil || !cmp.Equal(want, a.done(t, nil)) || w.count() != before {
		t.Errorf("dry run: %v, %d versions of %d\n%s", a.err, w.count(), before, cmp.Diff(want, a.done(t, nil)))
	}

	if a := w.run("versions/restore", r); a.err != nil || string(a.result) != `{"done":2,"bytes":26}` {
		t.Errorf("%v, %s", a.err, a.result)
	}
	now := map[string]string{
		"d/changed": "old d/changed", "d/deleted": "old d/deleted", "d/same": "old d/same", "d/sub/back": "old d/sub/back",
		"d/added": "new", "other/x": "new",
	}
	w.is(now)
	w.at(5)
	r.Delete = true
	a := w.run("versions/restore", r) // what is as it was stays
	want = []string{"deleted d/added", "unchanged d/changed", "unchanged d/deleted", "unchanged d/same", "unchanged d/sub/back"}
	if diff := cmp.Diff(want, a.done(t, nil)); diff != "" || a.err != nil {
		t.Errorf("again with --delete: %v\n%s", a.err, diff)
	}
	delete(now, "d/added")
	w.is(now)
}

// TestDirectoriesWithoutVersionsAreTimeless: VersityGW dates them by what happens in them.
func TestDirectoriesWithoutVersionsAreTimeless(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store.ConfigureBucket("b", func(s *mem.BucketSettings) { s.Versioning = "" })
	w.put(5, "d/", "")
	w.put(5, "d/f", "x")
	w.store.ConfigureBucket("b", func(s *mem.BucketSettings) { s.Versioning = "Enabled" })
	when := hour(1)
	w.at(6)
	a := w.run("versions/restore", RestoreRequest{Target: target("d"), At: &when, Recursive: true, Delete: true})
	if diff := cmp.Diff([]string{"deleted d/f", "unchanged d/"}, a.done(t, nil)); diff != "" || a.err != nil {
		t.Errorf("%v\n%s", a.err, diff)
	}
}

func TestRestoreOfWhatIsTooLargeForOneCopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store.Configure(func(s *mem.Settings) { s.OpaqueCopies = true })
	const size = 6 * backend.GiB
	if _, err := w.store.PutZeros("b", "big", size); err != nil {
		t.Fatal(err)
	}
	w.put(1, "big", "small")
	w.at(2)
	if a := w.run("versions/restore", RestoreRequest{Target: target("big")}); a.err != nil {
		t.Fatal(a.err)
	}
	obj, err := w.store.Head(t.Context(), backend.ObjectID{Bucket: "b", Key: "big"}, backend.GetOptions{})
	if err != nil || obj.Size != size {
		t.Errorf("%d bytes, %v", obj.Size, err)
	}
}

// failing is a store in which some requests fail.
type failing struct {
	Store
	copyOf  string // the key that cannot be copied
	deletes bool
}

func (f failing) Copy(ctx context.Context, in backend.CopyInput) (backend.Object, error) {
	if in.Key == f.copyOf {
		return backend.Object{}, &backend.Error{Kind: backend.KindArchived, Op: "CopyObject", Bucket: in.Bucket, Key: in.Key}
	}
	return f.Store.Copy(ctx, in)
}

func (f failing) DeleteMany(ctx context.Context, bucket string, keys []string) ([]backend.DeleteResult, error) {
	if f.deletes {
		return nil, &backend.Error{Kind: backend.KindUnknown, Op: "DeleteObjects", Bucket: bucket}
	}
	return f.Store.DeleteMany(ctx, bucket, keys)
}

func TestRestoreOfATreeWithFailures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 5 {
		w.put(0, fmt.Sprint("d/", i), "old")
		w.put(2, fmt.Sprint("d/", i), "new")
	}
	w.put(2, "d/added", "x")
	when := hour(1)
	w.at(3)
	w.verbs.Store = failing{Store: w.store, copyOf: "d/3"}
	a := w.run("versions/restore", RestoreRequest{Target: target("d"), At: &when, Recursive: true})
	a.wants(t, KindPartial, "1 of 5 could not be done")
	if !slices.Contains(a.done(t, nil), "kept d/3") || string(a.result) != `{"done":4,"bytes":12,"failed":1}` {
		t.Errorf("%q, %s", a.done(t, nil), a.result)
	}
	w.is(map[string]string{"d/0": "old", "d/1": "old", "d/2": "old", "d/3": "new", "d/4": "old", "d/added": "x"})

	w.verbs.Store, w.tree.changed = failing{Store: w.store, deletes: true}, nil
	a = w.run("versions/restore", RestoreRequest{Target: target("d"), At: &when, Recursive: true, Delete: true})
	a.wants(t, KindUnreachable, "DeleteObjects")
	if !slices.Contains(w.tree.changed, "d/added") {
		t.Errorf("the mount was not told of what may have been deleted: %q", w.tree.changed)
	}
}
