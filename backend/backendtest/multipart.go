package backendtest

import (
	"bytes"
	"io"
	"slices"
	"time"

	"github.com/objmount/objmount/backend"
)

var multipartCases = []testCase{
	{name: "OutOfOrderAndAgain", run: partsOutOfOrder},
	{name: "OnePart", run: onePart},
	{name: "Properties", run: uploadProperties},
	{name: "InvisibleUntilComplete", run: uploadInvisible},
	{name: "PartNumbersWithGaps", run: partGaps},
	{name: "UnknownPart", run: unknownPart},
	{name: "Abort", run: abort},
	{name: "CompleteTwice", run: completeTwice},
	{name: "ListParts", run: listParts},
	{name: "ListUploads", run: listUploads},
	{name: "PartChecksumVerified", needs: "ChecksumCRC64", run: partChecksum},
	{name: "SpecialNames", run: uploadSpecial},
}

// partSize is the smallest legal part, but not a tiny one.
func (e *env) partSize() int64 { return max(e.caps.Limits.MinPart, 64*backend.KiB) }

func (e *env) create(name string, properties backend.Properties) backend.Upload {
	e.Helper()
	id, err := e.store.CreateUpload(e.ctx, backend.CreateUploadInput{Bucket: e.bucket, Key: e.prefix + name, Properties: properties})
	e.ok("CreateUpload", err)
	if id == "" {
		e.Fatal("empty upload id")
	}
	return backend.Upload{Bucket: e.bucket, Key: e.prefix + name, UploadID: id}
}

func (e *env) partInput(up backend.Upload, number int32, data []byte) backend.PartInput {
	return backend.PartInput{Bucket: up.Bucket, Key: up.Key, UploadID: up.UploadID, Number: number, Body: bytes.NewReader(data), Size: int64(len(data))}
}

func (e *env) part(up backend.Upload, number int32, data []byte) backend.Part {
	e.Helper()
	p, err := e.store.UploadPart(e.ctx, e.partInput(up, number, data))
	e.ok("UploadPart", err)
	e.checkETag(p.ETag)
	if p.Number != number || p.Size != int64(len(data)) {
		e.Errorf("part %+v, want number %d and size %d", p, number, len(data))
	}
	return p
}

// completion is the request that ends an upload with the parts.
func completion(up backend.Upload, parts ...backend.Part) backend.CompleteInput {
	in := backend.CompleteInput{Bucket: up.Bucket, Key: up.Key, UploadID: up.UploadID, Parts: parts}
	for _, p := range parts {
		in.Size += p.Size
	}
	return in
}

// complete ends an upload and checks the answer, whose ETag may be missing.
func (e *env) complete(in backend.CompleteInput) backend.Object {
	e.Helper()
	obj, err := e.store.CompleteUpload(e.ctx, in)
	e.ok("CompleteUpload", err)
	if obj.ETag != "" {
		e.checkETag(obj.ETag)
		head, err := e.store.Head(e.ctx, backend.ObjectID{Bucket: in.Bucket, Key: in.Key}, backend.GetOptions{})
		e.ok("Head", err)
		if head.ETag != obj.ETag {
			e.Errorf("CompleteUpload answers ETag %s, Head %s", obj.ETag, head.ETag)
		}
	}
	return obj
}

// prepare uploads parts and returns the request that ends the upload.
func (e *env) prepare(name string, cond backend.Condition, parts ...[]byte) backend.CompleteInput {
	e.Helper()
	up := e.create(name, backend.Properties{})
	var done []backend.Part
	for i, data := range parts {
		done = append(done, e.part(up, int32(i+1), data))
	}
	in := completion(up, done...)
	in.Condition = cond
	return in
}

// upload stores an object in parts.
func (e *env) upload(name string, cond backend.Condition, parts ...[]byte) backend.Object {
	e.Helper()
	return e.complete(e.prepare(name, cond, parts...))
}

func partsOutOfOrder(e *env) {
	first, tail := noise(40, e.partSize()), noise(41, 12_345)
	up := e.create("a", backend.Properties{})
	last := e.part(up, 2, tail)
	e.part(up, 1, noise(42, 1000)) // replaced, and alone too small
	again := e.part(up, 1, first)
	e.complete(completion(up, again, last))
	obj := e.wantContent("a", slices.Concat(first, tail))
	if obj.CRC64NVME != "" && obj.CRC64NVME != checksum(slices.Concat(first, tail)) {
		e.Errorf("CRC64NVME %s is not that of the whole object", obj.CRC64NVME)
	}
	off := int64(len(first)) - 100
	piece, _ := e.get("a", backend.GetOptions{Range: &backend.Range{Off: off, Len: 200}})
	e.wantBytes("across the parts", piece, slices.Concat(first[off:], tail[:100]))
}

func onePart(e *env) {
	e.put("a", []byte("replaced by the upload"))
	e.upload("a", backend.Condition{}, []byte("short"))
	e.wantContent("a", []byte("short"))
	up := e.create("b", backend.Properties{})
	in := e.partInput(up, 1, []byte("0123456789"))
	if _, err := in.Body.Seek(3, io.SeekStart); err != nil {
		e.Fatal(err)
	}
	p, err := e.store.UploadPart(e.ctx, in)
	e.ok("UploadPart", err)
	e.complete(completion(up, p))
	e.wantContent("b", []byte("0123456789"))
}

func uploadProperties(e *env) {
	up := e.create("a", e.sampleProperties())
	e.complete(completion(up, e.part(up, 1, []byte("x"))))
	obj := e.wantContent("a", []byte("x"))
	e.wantMetadata("Get", obj, e.sampleMetadata())
	e.wantHeaders("Get", obj, e.sampleProperties().Headers)
	e.upload("a", backend.Condition{}, []byte("y"))
	e.wantMetadata("after an upload without", e.head("a"), map[string]string{})
}

func uploadInvisible(e *env) {
	up := e.create("a", backend.Properties{})
	p := e.part(up, 1, []byte("x"))
	e.wantGone("a")
	_, names, prefixes := e.list(backend.ListInput{Delimiter: "/"})
	e.wantNames("names", names, nil)
	e.wantNames("prefixes", prefixes, nil)
	e.complete(completion(up, p))
	e.wantContent("a", []byte("x"))
	_, names, _ = e.list(backend.ListInput{})
	e.wantNames("names", names, []string{"a"})
}

func partGaps(e *env) {
	up := e.create("a", backend.Properties{})
	p := e.part(up, 7, []byte("only the seventh"))
	e.complete(completion(up, p))
	e.wantContent("a", []byte("only the seventh"))
}

func unknownPart(e *env) {
	up := e.create("a", backend.Properties{})
	p := e.part(up, 1, []byte("x"))
	_, err := e.store.CompleteUpload(e.ctx, completion(up, backend.Part{Number: 2, ETag: p.ETag, Size: 1}))
	e.wantKind("Complete with a part that is not there", err, backend.KindInvalid)
	other := p
	other.ETag = "0123456789abcdef0123456789abcdef"
	_, err = e.store.CompleteUpload(e.ctx, completion(up, other))
	e.wantKind("Complete with another ETag", err, backend.KindInvalid)
	e.wantGone("a")
	e.complete(completion(up, p))
	e.wantContent("a", []byte("x"))
}

func abort(e *env) {
	was := e.put("a", []byte("stays"))
	up := e.create("a", backend.Properties{})
	p := e.part(up, 1, []byte("x"))
	e.ok("AbortUpload", e.store.AbortUpload(e.ctx, up))
	e.ok("AbortUpload again", e.store.AbortUpload(e.ctx, up))
	_, err := e.store.UploadPart(e.ctx, e.partInput(up, 2, []byte("y")))
	e.wantKind("UploadPart", err, backend.KindNotExist)
	_, err = e.store.CompleteUpload(e.ctx, completion(up, p))
	e.wantKind("CompleteUpload", err, backend.KindNotExist)
	_, err = e.store.ListParts(e.ctx, up)
	e.wantKind("ListParts", err, backend.KindNotExist)
	e.wantUntouched("a", "stays", was)
}

// completeTwice: a repeat after a lost reply succeeds or says that the upload is no more.
func completeTwice(e *env) {
	in := e.prepare("a", backend.Condition{}, []byte("x"))
	e.complete(in)
	if _, err := e.store.CompleteUpload(e.ctx, in); err != nil {
		e.wantKind("the second Complete", err, backend.KindNotExist)
	}
	e.wantContent("a", []byte("x"))
}

func listParts(e *env) {
	up := e.create("a", backend.Properties{})
	parts, err := e.store.ListParts(e.ctx, up)
	e.ok("ListParts", err)
	if len(parts) != 0 {
		e.Errorf("parts of a new upload: %+v", parts)
	}
	third, first := e.part(up, 3, noise(50, 300)), e.part(up, 1, noise(51, 100))
	e.part(up, 2, noise(52, 1))
	second := e.part(up, 2, noise(53, 200))
	parts, err = e.store.ListParts(e.ctx, up)
	e.ok("ListParts", err)
	if want := []backend.Part{first, second, third}; !slices.Equal(parts, want) {
		e.Errorf("parts %+v, want %+v", parts, want)
	}
	e.ok("AbortUpload", e.store.AbortUpload(e.ctx, up))
}

func listUploads(e *env) {
	wantUploads := func(name string, want ...backend.Upload) {
		e.Helper()
		got, err := e.store.ListUploads(e.ctx, e.id(name))
		e.ok("ListUploads", err)
		ids := map[string]bool{}
		for _, up := range got {
			ids[up.UploadID] = true
			if up.Key != e.prefix+name || up.Bucket != e.bucket || time.Since(up.Initiated).Abs() > 24*time.Hour {
				e.Errorf("upload of %q listed as %+v", name, up)
			}
		}
		for _, up := range want {
			if !ids[up.UploadID] {
				e.Errorf("upload %s of %q is not listed", up.UploadID, name)
			}
		}
		if len(got) != len(want) {
			e.Errorf("%d uploads of %q, want %d", len(got), name, len(want))
		}
	}
	wantUploads("a")
	one, two := e.create("a", backend.Properties{}), e.create("a", backend.Properties{})
	longer, below := e.create("ab", backend.Properties{}), e.create("dir/a", backend.Properties{})
	wantUploads("a", one, two)
	wantUploads("ab", longer)
	wantUploads("dir/a", below)
	wantUploads("dir/")
	e.wantAllUploads(one, two, longer, below)
	e.complete(completion(one, e.part(one, 1, []byte("x"))))
	wantUploads("a", two)
	for _, up := range []backend.Upload{two, longer, below} {
		e.ok("AbortUpload", e.store.AbortUpload(e.ctx, up))
	}
	wantUploads("a")
	wantUploads("ab")
}

// wantAllUploads asks for those of the whole bucket, where there may be others.
func (e *env) wantAllUploads(want ...backend.Upload) {
	e.Helper()
	got, err := e.store.ListUploads(e.ctx, backend.ObjectID{Bucket: e.bucket})
	e.ok("ListUploads of a bucket", err)
	found := 0
	for _, up := range got {
		if slices.ContainsFunc(want, func(w backend.Upload) bool { return w.Key == up.Key && w.UploadID == up.UploadID }) {
			found++
		}
	}
	if found != len(want) {
		e.Errorf("%d of %d uploads are listed among %d of the bucket", found, len(want), len(got))
	}
}

func partChecksum(e *env) {
	data := noise(54, 10_000)
	up := e.create("a", backend.Properties{})
	in := e.partInput(up, 1, data)
	in.CRC64NVME = checksum(data[1:])
	_, err := e.store.UploadPart(e.ctx, in)
	e.wantKind("a wrong checksum", err, backend.KindCorrupt)
	in = e.partInput(up, 1, data)
	in.CRC64NVME = checksum(data)
	p, err := e.store.UploadPart(e.ctx, in)
	e.ok("UploadPart with its checksum", err)
	e.complete(completion(up, p))
	e.wantContent("a", data)
}

func uploadSpecial(e *env) {
	for _, name := range []string{"a b+c%25?d#e&f", "über/😀 \"<x>"} {
		up := e.create(name, backend.Properties{})
		p := e.part(up, 1, []byte(name))
		if uploads, err := e.store.ListUploads(e.ctx, e.id(name)); err != nil || len(uploads) != 1 || uploads[0].UploadID != up.UploadID {
			e.Errorf("uploads of %q: %+v, %v", name, uploads, err)
		}
		e.complete(completion(up, p))
		e.wantContent(name, []byte(name))
	}
}
