package backendtest

import (
	"slices"

	"github.com/objmount/objmount/backend"
)

var copyPartCases = []testCase{
	{name: "Ranges", needs: "PartCopy", run: copyPartRanges},
	{name: "Append", needs: "PartCopy", run: copyPartAppend},
	{name: "SourceIfMatch", needs: "CopyPartIfMatch", run: copyPartIfMatch},
	{name: "Missing", needs: "PartCopy", run: copyPartMissing},
	{name: "SpecialSource", needs: "PartCopy", run: copyPartSpecial},
}

// copyPart makes a part of [off, off+n) of an object of the subtest.
func (e *env) copyPart(up backend.Upload, number int32, from, etag string, off, n int64) (backend.Part, error) {
	e.Helper()
	p, err := e.store.CopyPart(e.ctx, backend.CopyPartInput{
		Bucket: up.Bucket, Key: up.Key, UploadID: up.UploadID, Number: number,
		Source: backend.Source{Bucket: e.bucket, Key: e.prefix + from, ETag: etag}, Range: backend.Range{Off: off, Len: n},
	})
	if err == nil {
		e.checkETag(p.ETag)
		if p.Number != number || p.Size != n {
			e.Errorf("part %+v, want number %d and size %d", p, number, n)
		}
	}
	return p, err
}

// etagIf returns the ETag when the store checks it on a part copy.
func (e *env) etagIf(obj backend.Object) string {
	if e.caps.CopyPartIfMatch {
		return obj.ETag
	}
	return ""
}

// copyPartRanges: an object of copied and uploaded parts.
func copyPartRanges(e *env) {
	size := e.partSize()
	data := noise(60, size+4321)
	source := e.put("from", data)
	up := e.create("to", backend.Properties{Metadata: map[string]string{"of": "the upload"}})
	one, err := e.copyPart(up, 1, "from", e.etagIf(source), 1234, size)
	e.ok("CopyPart", err)
	local := noise(61, size)
	two := e.part(up, 2, local)
	three, err := e.copyPart(up, 3, "from", e.etagIf(source), size+4320, 1)
	e.ok("CopyPart of the last byte", err)
	parts, err := e.store.ListParts(e.ctx, up)
	e.ok("ListParts", err)
	if want := []backend.Part{one, two, three}; !slices.Equal(parts, want) {
		e.Errorf("parts %+v, want %+v", parts, want)
	}
	e.complete(completion(up, one, two, three))
	obj := e.wantContent("to", slices.Concat(data[1234:1234+size], local, data[size+4320:]))
	e.wantMetadata("the object", obj, map[string]string{"of": "the upload"})
	e.wantContent("from", data)
}

// copyPartAppend: an upload whose source is the object it replaces.
func copyPartAppend(e *env) {
	data, tail := noise(62, e.partSize()), []byte("the tail")
	source := e.put("a", data)
	up := e.create("a", backend.Properties{})
	one, err := e.copyPart(up, 1, "a", e.etagIf(source), 0, int64(len(data)))
	e.ok("CopyPart", err)
	in := completion(up, one, e.part(up, 2, tail))
	if e.caps.CompleteIfMatch {
		in.Condition.IfMatch = source.ETag
	}
	e.complete(in)
	e.wantContent("a", slices.Concat(data, tail))
}

func copyPartIfMatch(e *env) {
	old := e.put("from", []byte("old content"))
	now := e.put("from", []byte("new content"))
	up := e.create("to", backend.Properties{})
	_, err := e.copyPart(up, 1, "from", old.ETag, 0, 3)
	e.wantKind("CopyPart with a stale ETag", err, backend.KindChanged)
	p, err := e.copyPart(up, 1, "from", now.ETag, 0, 3)
	e.ok("CopyPart with the right ETag", err)
	e.complete(completion(up, p))
	e.wantContent("to", []byte("new"))
}

func copyPartMissing(e *env) {
	up := e.create("to", backend.Properties{})
	_, err := e.copyPart(up, 1, "none", "", 0, 10)
	e.wantKind("CopyPart of nothing", err, backend.KindNotExist)
	e.put("from", []byte("0123456789"))
	// S3 says InvalidArgument, others InvalidRange; nobody may cut the range.
	_, err = e.copyPart(up, 1, "from", "", 5, 6)
	e.wantKind("CopyPart over the end", err, backend.KindRange, backend.KindInvalid)
	e.ok("AbortUpload", e.store.AbortUpload(e.ctx, up))
	_, err = e.copyPart(up, 1, "from", "", 0, 5)
	e.wantKind("CopyPart into an upload that is gone", err, backend.KindNotExist)
}

func copyPartSpecial(e *env) {
	for _, name := range []string{"a b+c%25?d#e&f", "über/😀 \"<x>"} {
		e.put(name, []byte("0123456789"))
		up := e.create("to", backend.Properties{})
		p, err := e.copyPart(up, 1, name, "", 3, 4)
		if backend.IsKind(err, backend.KindUnsupported) { // a vendor that gets such names wrong; who asks then moves the bytes
			e.ok("AbortUpload", e.store.AbortUpload(e.ctx, up))
			continue
		}
		e.ok("CopyPart of "+name, err)
		e.complete(completion(up, p))
		e.wantContent("to", []byte("3456"))
	}
}
