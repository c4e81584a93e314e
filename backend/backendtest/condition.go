package backendtest

import (
	"github.com/objmount/objmount/backend"
)

var conditionCases = []testCase{
	{name: "PutIfNoneMatch", needs: "PutIfNoneMatch", run: putIfNoneMatch},
	{name: "PutIfMatch", needs: "PutIfMatch", run: putIfMatch},
	{name: "PutIfMatchMultipartETag", needs: "PutIfMatch", run: putIfMatchMultipart},
	{name: "CompleteIfNoneMatch", needs: "CompleteIfNoneMatch", run: completeIfNoneMatch},
	{name: "CompleteIfMatch", needs: "CompleteIfMatch", run: completeIfMatch},
	{name: "CopySourceIfMatch", needs: "CopySourceIfMatch", run: copySourceIfMatch},
	{name: "CopyDestinationIfNoneMatch", needs: "CopyDestination", run: copyIfNoneMatch},
	{name: "CopyDestinationIfMatch", needs: "CopyDestination", run: copyIfMatch},
	{name: "DeleteIfMatch", needs: "DeleteIfMatch", run: deleteIfMatch},
}

// putIf is a conditional Put.
func (e *env) putIf(name, data string, cond backend.Condition) (backend.Object, error) {
	in := e.input(name, []byte(data))
	in.Condition = cond
	return e.store.Put(e.ctx, in)
}

// wantUntouched checks that a failed write changed nothing of obj.
func (e *env) wantUntouched(name, data string, obj backend.Object) {
	e.Helper()
	if now := e.wantContent(name, []byte(data)); now.ETag != obj.ETag || now.VersionID != obj.VersionID {
		e.Errorf("%q is ETag %s version %q now, was %s %q", name, now.ETag, now.VersionID, obj.ETag, obj.VersionID)
	}
}

func putIfNoneMatch(e *env) {
	none := backend.Condition{IfNoneMatch: true}
	first, err := e.putIf("a", "first", none)
	e.ok("Put of a new key", err)
	e.checkETag(first.ETag)
	_, err = e.putIf("a", "second", none)
	e.wantKind("Put of a key that exists", err, backend.KindExist)
	_, err = e.putIf("a", "first", none)
	e.wantKind("Put of the same bytes", err, backend.KindExist)
	e.wantUntouched("a", "first", first)
	_, err = e.putIf("dir/", "", none)
	e.ok("Put of a new directory marker", err)
	_, err = e.putIf("dir/", "", none)
	e.wantKind("Put of a directory marker that exists", err, backend.KindExist)
	if e.caps.Versioned {
		return // stores disagree about a delete marker
	}
	e.delete("a")
	_, err = e.putIf("a", "third", none)
	e.ok("Put after Delete", err)
	e.wantContent("a", []byte("third"))
}

func putIfMatch(e *env) {
	first := e.put("a", []byte("first"))
	second, err := e.putIf("a", "second", backend.Condition{IfMatch: first.ETag})
	e.ok("Put with the right ETag", err)
	_, err = e.putIf("a", "third", backend.Condition{IfMatch: first.ETag})
	e.wantKind("Put with a stale ETag", err, backend.KindChanged)
	e.wantUntouched("a", "second", second)
	e.delete("a")
	_, err = e.putIf("a", "fourth", backend.Condition{IfMatch: second.ETag})
	e.wantKind("Put when it is gone", err, backend.KindChanged)
	e.wantGone("a")
	_, err = e.putIf("never there", "x", backend.Condition{IfMatch: second.ETag})
	e.wantKind("Put when it was never there", err, backend.KindChanged)
	e.wantGone("never there")
}

func putIfMatchMultipart(e *env) {
	e.upload("a", backend.Condition{}, []byte("by parts"))
	was := e.head("a")
	_, err := e.putIf("a", "replaced", backend.Condition{IfMatch: was.ETag})
	e.ok("Put with the ETag of a multipart object", err)
	_, err = e.putIf("a", "again", backend.Condition{IfMatch: was.ETag})
	e.wantKind("Put with a stale one", err, backend.KindChanged)
	e.wantContent("a", []byte("replaced"))
}

func completeIfNoneMatch(e *env) {
	none := backend.Condition{IfNoneMatch: true}
	first := e.upload("a", none, []byte("first"))
	e.wantContent("a", []byte("first"))
	in := e.prepare("a", none, []byte("second"))
	_, err := e.store.CompleteUpload(e.ctx, in)
	e.wantKind("Complete of a key that exists", err, backend.KindExist)
	if obj := e.wantContent("a", []byte("first")); first.ETag != "" && obj.ETag != first.ETag {
		e.Errorf("ETag %s, was %s", obj.ETag, first.ETag)
	}
	e.ok("Abort", e.store.AbortUpload(e.ctx, backend.Upload{Bucket: in.Bucket, Key: in.Key, UploadID: in.UploadID}))
}

func completeIfMatch(e *env) {
	first := e.put("a", []byte("first"))
	e.upload("a", backend.Condition{IfMatch: first.ETag}, []byte("second"))
	now := e.wantContent("a", []byte("second"))
	in := e.prepare("a", backend.Condition{IfMatch: first.ETag}, []byte("third"))
	_, err := e.store.CompleteUpload(e.ctx, in)
	e.wantKind("Complete with a stale ETag", err, backend.KindChanged)
	e.wantUntouched("a", "second", now)
	e.ok("Abort", e.store.AbortUpload(e.ctx, backend.Upload{Bucket: in.Bucket, Key: in.Key, UploadID: in.UploadID}))
	e.delete("a")
	in = e.prepare("a", backend.Condition{IfMatch: now.ETag}, []byte("fourth"))
	_, err = e.store.CompleteUpload(e.ctx, in)
	e.wantKind("Complete when it is gone", err, backend.KindChanged)
	e.wantGone("a")
	e.ok("Abort", e.store.AbortUpload(e.ctx, backend.Upload{Bucket: in.Bucket, Key: in.Key, UploadID: in.UploadID}))
}

func copySourceIfMatch(e *env) {
	old := e.put("from", []byte("old"))
	_, err := e.copy("from", "to", func(in *backend.CopyInput) { in.Source.ETag = old.ETag })
	e.ok("Copy with the right ETag", err)
	to := e.wantContent("to", []byte("old"))
	e.put("from", []byte("new"))
	_, err = e.copy("from", "to", func(in *backend.CopyInput) { in.Source.ETag = old.ETag })
	e.wantKind("Copy with a stale ETag", err, backend.KindChanged)
	e.wantUntouched("to", "old", to)
	_, err = e.copy("from", "from", func(in *backend.CopyInput) {
		in.Source.ETag, in.Replace = old.ETag, &backend.Properties{Metadata: map[string]string{"x": "1"}}
	})
	e.wantKind("Copy onto itself with a stale ETag", err, backend.KindChanged)
	e.wantMetadata("after the failed copy onto itself", e.head("from"), map[string]string{})
	e.delete("from")
	_, err = e.copy("from", "to", func(in *backend.CopyInput) { in.Source.ETag = old.ETag })
	e.wantKind("Copy of what is gone", err, backend.KindNotExist, backend.KindChanged)
}

func copyIfNoneMatch(e *env) {
	e.put("from", []byte("bytes"))
	none := func(in *backend.CopyInput) { in.Condition.IfNoneMatch = true }
	_, err := e.copy("from", "to", none)
	e.ok("Copy to a new key", err)
	e.wantContent("to", []byte("bytes"))
	was := e.put("to", []byte("other"))
	_, err = e.copy("from", "to", none)
	e.wantKind("Copy to a key that exists", err, backend.KindExist)
	e.wantUntouched("to", "other", was)
}

func copyIfMatch(e *env) {
	e.put("from", []byte("bytes"))
	old := e.put("to", []byte("old"))
	now := e.put("to", []byte("now"))
	match := func(etag string) func(*backend.CopyInput) {
		return func(in *backend.CopyInput) { in.Condition.IfMatch = etag }
	}
	_, err := e.copy("from", "to", match(old.ETag))
	e.wantKind("Copy onto another object", err, backend.KindChanged)
	e.wantUntouched("to", "now", now)
	_, err = e.copy("from", "to", match(now.ETag))
	e.ok("Copy with the right ETag", err)
	e.wantContent("to", []byte("bytes"))
	e.delete("to")
	_, err = e.copy("from", "to", match(now.ETag))
	e.wantKind("Copy onto what is gone", err, backend.KindChanged)
	e.wantGone("to")
}

func deleteIfMatch(e *env) {
	old := e.put("a", []byte("old"))
	now := e.put("a", []byte("now"))
	remove := func(etag string) error {
		return e.store.Delete(e.ctx, backend.DeleteInput{Bucket: e.bucket, Key: e.prefix + "a", IfMatch: etag})
	}
	e.wantKind("Delete with a stale ETag", remove(old.ETag), backend.KindChanged)
	e.wantUntouched("a", "now", now)
	e.ok("Delete with the right ETag", remove(now.ETag))
	e.wantGone("a")
	// S3 documents 204 when the object is gone already.
	if err := remove(now.ETag); err != nil {
		e.wantKind("Delete when it is gone", err, backend.KindChanged, backend.KindNotExist)
	}
}
