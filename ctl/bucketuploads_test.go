package ctl

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// TestEmptyEndsUploads counts them, and leaves them alone while a program writes: one of them may have the only copy of its bytes.
func TestEmptyEndsUploads(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(0, "f", "x")
	for _, key := range []string{"a", "a", "d/b"} {
		if _, err := w.store.CreateUpload(t.Context(), backend.CreateUploadInput{Bucket: "b", Key: key}); err != nil {
			t.Fatal(err)
		}
	}
	left := func(want int) {
		t.Helper()
		ups, err := w.store.ListUploads(t.Context(), backend.ObjectID{Bucket: "b"})
		if err != nil || len(ups) != want {
			t.Errorf("%d unfinished uploads, %v; want %d", len(ups), err, want)
		}
	}
	empty := func(dry bool) (Summary, answer) {
		t.Helper()
		a := w.run("bucket/empty", EmptyRequest{Target: Target{DryRun: dry}, Versions: true})
		var sum Summary
		if a.result != nil {
			if err := json.Unmarshal(a.result, &sum); err != nil {
				t.Fatal(err)
			}
		}
		return sum, a
	}
	if sum, a := empty(true); a.err != nil || sum.Uploads != 3 || sum.Done != 1 {
		t.Errorf("a dry run: %+v, %v", sum, a.err)
	}
	left(3)
	w.verbs.Store = mem.Faulty(w.store, mem.Rule{Op: "ListMultipartUploads", Do: []mem.Action{mem.Fail(backend.KindPermission)}})
	if sum, a := empty(true); a.err != nil || sum.Uploads != 0 || len(a.notes) != 1 || !strings.Contains(a.notes[0], "were not ended") {
		t.Errorf("without the right to list them: %+v, %v, %q", sum, a.err, a.notes)
	}
	w.tree.unsent = 1
	w.verbs.Store = w.store
	if sum, a := empty(false); a.err != nil || sum.Uploads != 0 || !strings.Contains(strings.Join(a.notes, "\n"), "1 file is being written here") {
		t.Errorf("while a program writes: %+v, %v, %q", sum, a.err, a.notes)
	}
	left(3)
	w.tree.unsent = 0
	w.verbs.Store = mem.Faulty(w.store, mem.Rule{Op: "AbortMultipartUpload", Times: 1, Do: []mem.Action{mem.Fail(backend.KindPermission)}})
	sum, a := empty(false)
	a.wants(t, KindPartial, "1 of ")
	if sum.Uploads != 2 || sum.Failed != 1 || len(a.items) != 1 || !strings.Contains(string(a.items[0]), "an unfinished upload: ") {
		t.Errorf("%+v, %s", sum, a.items)
	}
	left(1)
	if sum, a := empty(false); a.err != nil || sum.Uploads != 1 {
		t.Errorf("again: %+v, %v", sum, a.err)
	}
	left(0)
}

// TestPrefixMountTellsOfItsBucket, and does not change it.
func TestPrefixMountTellsOfItsBucket(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const policy = `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}]}`
	if a := w.run("document/set", SetDocumentRequest{Document: "policy", Text: policy}); a.err != nil {
		t.Fatal(a.err)
	}
	w.verbs.Tree = prefixTree{w.tree}
	for verb, request := range map[string]any{
		"document/get": DocumentRequest{Document: "policy"}, "document/diff": SetDocumentRequest{Document: "policy", Text: policy},
		"bucket/show": BucketRequest{}, "versioning/get": BucketRequest{},
		"document/set": SetDocumentRequest{Target: Target{DryRun: true}, Document: "policy", Text: policy},
	} {
		if a := w.run(verb, request); a.err != nil || len(a.items) != 1 {
			t.Errorf("%s: %v, %s", verb, a.err, a.items)
		}
	}
	for verb, request := range map[string]any{
		"document/set": SetDocumentRequest{Document: "policy", Text: policy}, "document/delete": DocumentRequest{Document: "policy"},
		"versioning/set": VersioningRequest{Status: "Suspended"}, "bucket/delete": BucketRequest{},
	} {
		w.run(verb, request).wants(t, KindInvalid, "only s3://b/top/ is mounted here, and the bucket is more than that; to change it, name it: s3://b")
	}
	w.run("document/get", DocumentRequest{Target: target("d"), Document: "policy"}).wants(t, KindInvalid, "this is no bucket but a place in one")
}

// prefixTree shows a prefix of the bucket.
type prefixTree struct{ *fakeTree }

func (p prefixTree) Locate(ctx context.Context, path string) (Place, error) {
	if path == "" {
		return Place{"b", "top/", Directory}, nil
	}
	return p.fakeTree.Locate(ctx, "top/"+path)
}
