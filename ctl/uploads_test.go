package ctl

import (
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// begin begins an upload at the n-th hour.
func (w *world) begin(n int, key string) string {
	w.t.Helper()
	w.at(n)
	id, err := w.store.CreateUpload(w.t.Context(), backend.CreateUploadInput{Bucket: "b", Key: key})
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func TestUploadVerbs(t *testing.T) {
	t.Parallel()
	w, f := staged(t)
	old, ours, young := w.begin(1, "d/old"), w.begin(2, "d/ours"), w.begin(9, "d/young")
	other := w.begin(1, "e/other")
	f.uploads = []string{ours}
	list := runFor[UnfinishedUpload](w, "uploads/list", UploadsRequest{Target{Path: "d/"}})
	if list.err != nil || len(list.items) != 3 || !list.items[1].Ours || list.items[0].UploadID != old || !list.items[0].Initiated.Equal(hour(1)) {
		t.Fatalf("%+v", list)
	}
	if one := runFor[UnfinishedUpload](w, "uploads/list", UploadsRequest{Target{Path: "d/young"}}); one.err != nil || len(one.items) != 1 || one.items[0].UploadID != young {
		t.Errorf("of one key: %+v", one)
	}
	before := hour(5)
	r := AbortUploadsRequest{Target: Target{Path: "d/"}}
	if a := runFor[UnfinishedUpload](w, "uploads/abort", r); KindOf(a.err) != KindInvalid {
		t.Errorf("without saying which: %v", a.err)
	}
	r.Before, r.DryRun = &before, true
	if a := runFor[UnfinishedUpload](w, "uploads/abort", r); KindOf(a.err) != KindPartial || a.sum.Done != 1 || len(w.left()) != 4 {
		t.Errorf("dry: %+v, left %v", a, w.left())
	}
	r.DryRun = false
	a := runFor[UnfinishedUpload](w, "uploads/abort", r)
	if KindOf(a.err) != KindPartial || a.sum.Done != 1 || a.sum.Failed != 1 || !a.items[0].Aborted || a.items[1].Aborted || a.items[1].Error == "" {
		t.Errorf("%+v", a)
	}
	if left := w.left(); len(left) != 3 || left[old] {
		t.Errorf("left: %v", left)
	}
	if w.tree.settled != 0 { // an upload that hangs would be waited for
		t.Error("files that wait are stored first")
	}
	for id, kind := range map[string]Kind{ours: KindBusy, old: KindNotFound, other: KindNotFound} {
		if a := runFor[UnfinishedUpload](w, "uploads/abort", AbortUploadsRequest{Target: r.Target, UploadID: id}); KindOf(a.err) != kind {
			t.Errorf("%s: %v, want %s", id, a.err, kind)
		}
	}
	if a := runFor[UnfinishedUpload](w, "uploads/abort", AbortUploadsRequest{Target: r.Target, UploadID: young}); a.err != nil || a.sum.Done != 1 {
		t.Errorf("by its id: %+v", a)
	}
	w.verbs.Store = mem.Faulty(w.store, mem.Rule{Op: "AbortMultipartUpload", Do: []mem.Action{mem.Fail(backend.KindPermission)}})
	soon := hour(20)
	if a := runFor[UnfinishedUpload](w, "uploads/abort", AbortUploadsRequest{Target: Target{Path: "e/"}, Before: &soon}); KindOf(a.err) != KindPartial || len(w.left()) != 2 {
		t.Errorf("refused: %+v, left %v", a, w.left())
	}
	w.verbs.ReadOnly = true
	if a := runFor[UnfinishedUpload](w, "uploads/abort", AbortUploadsRequest{Target: Target{Path: "e/"}, Before: &soon}); KindOf(a.err) != KindPermission {
		t.Errorf("read-only: %v", a.err)
	}
}

// left are the ids of the uploads in the bucket.
func (w *world) left() map[string]bool {
	w.t.Helper()
	all, err := w.store.ListUploads(w.t.Context(), backend.ObjectID{Bucket: "b"})
	if err != nil {
		w.t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, up := range all {
		ids[up.UploadID] = true
	}
	return ids
}

// TestUploadsWithoutDates: an upload of which the store tells no date is not old.
func TestUploadsWithoutDates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.now = time.Time{}
	if _, err := w.store.CreateUpload(t.Context(), backend.CreateUploadInput{Bucket: "b", Key: "f"}); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	if a := runFor[UnfinishedUpload](w, "uploads/abort", AbortUploadsRequest{Before: &now}); a.err != nil || len(a.items) != 0 || len(w.left()) != 1 {
		t.Errorf("%+v", a)
	}
}
