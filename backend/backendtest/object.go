package backendtest

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/objmount/objmount/backend"
)

var objectCases = []testCase{
	{name: "RoundTrip", run: roundTrip},
	{name: "Empty", run: emptyObject},
	{name: "Overwrite", run: overwrite},
	{name: "Large", run: largeObject},
	{name: "BodyFromItsStart", run: bodyFromItsStart},
	{name: "Missing", run: missing},
	{name: "NoBucket", run: noBucket},
	{name: "EmptyKey", run: emptyKey},
	{name: "LongKey", run: longKey},
	{name: "ErrorsSayWhere", run: errorsSayWhere},
	{name: "ChecksumVerified", needs: "ChecksumCRC64", run: checksumVerified},
	{name: "ChecksumIsOfTheWhole", run: checksumIsOfTheWhole},
}

func roundTrip(e *env) {
	data := noise(1, 10_000)
	stored := e.put("a", data)
	if !stored.LastModified.IsZero() && time.Since(stored.LastModified).Abs() > 24*time.Hour {
		e.Errorf("LastModified %v", stored.LastModified)
	}
	got := e.wantContent("a", data)
	head := e.head("a")
	objects, _, _ := e.list(backend.ListInput{})
	if len(objects) != 1 {
		e.Fatalf("%d objects listed, want 1", len(objects))
	}
	for what, obj := range map[string]backend.Object{"Get": got, "Head": head, "List": objects[0]} {
		if obj.ID() != e.id("a") || obj.Size != int64(len(data)) || obj.ETag != stored.ETag || obj.LastModified.IsZero() {
			e.Errorf("%s: %+v, want ETag %s", what, obj, stored.ETag)
		}
	}
	for what, obj := range map[string]backend.Object{"Get": got, "Head": head} {
		if !obj.HasMetadata {
			e.Errorf("%s: HasMetadata is not set", what)
		}
		if obj.Fetched.IsZero() || obj.Fetched.Before(obj.LastModified.Add(-5*time.Second)) {
			e.Errorf("%s: fetched %v, modified %v", what, obj.Fetched, obj.LastModified)
		}
	}
	if !objects[0].Fetched.IsZero() {
		e.Error("List: Fetched is set")
	}
	if stored.VersionID != head.VersionID {
		e.Errorf("Put answers version %q, Head %q", stored.VersionID, head.VersionID)
	}
}

func emptyObject(e *env) {
	e.put("empty", nil)
	data, body := e.get("empty", backend.GetOptions{})
	if len(data) != 0 || body.Object.Size != 0 || body.Range != (backend.Range{}) {
		e.Errorf("%d bytes, range %v, %+v", len(data), body.Range, body.Object)
	}
	if obj := e.head("empty"); obj.Size != 0 {
		e.Errorf("Head: size %d", obj.Size)
	}
	e.wantKind("range of an empty object", e.getErr("empty", backend.GetOptions{Range: &backend.Range{Len: 1}}), backend.KindRange)
}

func overwrite(e *env) {
	first := e.put("a", []byte("first, and longer"))
	second := e.put("a", []byte("second"))
	if first.ETag == second.ETag {
		e.Errorf("both contents have ETag %s", first.ETag)
	}
	if obj := e.wantContent("a", []byte("second")); obj.ETag != second.ETag {
		e.Errorf("ETag %s, want %s", obj.ETag, second.ETag)
	}
	if again := e.put("a", []byte("first, and longer")); again.ETag != first.ETag {
		e.Logf("the same content has another ETag now: %s, %s", first.ETag, again.ETag)
	}
}

func largeObject(e *env) {
	data := noise(2, e.big(12*backend.MiB)-7)
	e.put("large", data)
	e.wantContent("large", data)
	off, n := int64(len(data))/3, int64(len(data))/2
	piece, _ := e.get("large", backend.GetOptions{Range: &backend.Range{Off: off, Len: n}})
	e.wantBytes("a large range", piece, data[off:off+n])
}

// bodyFromItsStart: a body is read from offset 0, wherever it stands.
func bodyFromItsStart(e *env) {
	in := e.input("a", []byte("0123456789"))
	if _, err := in.Body.Seek(7, io.SeekStart); err != nil {
		e.Fatal(err)
	}
	e.putInput(in)
	e.wantContent("a", []byte("0123456789"))
}

func missing(e *env) {
	e.wantGone("none")
	e.wantKind("Get", e.getErr("none", backend.GetOptions{}), backend.KindNotExist)
	e.wantKind("Get of a range", e.getErr("none", backend.GetOptions{Range: &backend.Range{Off: 10, Len: 10}}), backend.KindNotExist)
	e.put("parent/child", nil)
	e.wantGone("parent/")
	e.wantGone("parent")
	e.wantGone("parent/child2")
}

func noBucket(e *env) {
	e.bucket = e.beside("objmount-none-")
	_, err := e.store.List(e.ctx, backend.ListInput{Bucket: e.bucket})
	e.wantKind("List", err, backend.KindNoBucket)
	e.wantKind("Get", e.getErr("a", backend.GetOptions{}), backend.KindNoBucket)
	_, err = e.store.Put(e.ctx, e.input("a", []byte("x")))
	e.wantKind("Put", err, backend.KindNoBucket)
	_, err = e.store.CreateUpload(e.ctx, backend.CreateUploadInput{Bucket: e.bucket, Key: "a"})
	e.wantKind("CreateUpload", err, backend.KindNoBucket)
	// The answer to a HEAD has no body that could tell a missing bucket from a missing key.
	_, err = e.store.Head(e.ctx, e.id("a"), backend.GetOptions{})
	e.wantKind("Head", err, backend.KindNoBucket, backend.KindNotExist)
}

// emptyKey: a request with an empty key would mean the bucket.
func emptyKey(e *env) {
	id := backend.ObjectID{Bucket: e.bucket}
	_, err := e.store.Head(e.ctx, id, backend.GetOptions{})
	e.wantKind("Head", err, backend.KindInvalid)
	body, err := e.store.Get(e.ctx, id, backend.GetOptions{})
	if err == nil {
		body.Close()
	}
	e.wantKind("Get", err, backend.KindInvalid)
	_, err = e.store.Put(e.ctx, backend.PutInput{Bucket: e.bucket, Body: bytes.NewReader(nil)})
	e.wantKind("Put", err, backend.KindInvalid)
	_, err = e.store.CreateUpload(e.ctx, backend.CreateUploadInput{Bucket: e.bucket})
	e.wantKind("CreateUpload", err, backend.KindInvalid)
	e.put("keeps the bucket from being empty", nil)
	e.wantKind("Delete", e.store.Delete(e.ctx, backend.DeleteInput{Bucket: e.bucket}), backend.KindInvalid)
	e.ok("HeadBucket", e.store.HeadBucket(e.ctx, e.bucket))
}

func longKey(e *env) {
	limit := int(cmp.Or(e.caps.Limits.MaxKey, backend.KiB))
	longest := strings.Repeat(strings.Repeat("k", 199)+"/", 6)[:limit-len(e.prefix)]
	e.put(longest, []byte("long"))
	e.wantContent(longest, []byte("long"))
	_, names, _ := e.list(backend.ListInput{})
	e.wantNames("listing", names, []string{longest})
	_, err := e.store.Put(e.ctx, e.input(longest+"x", nil))
	e.wantKind("a longer one", err, backend.KindNameTooLong, backend.KindInvalid)
}

func errorsSayWhere(e *env) {
	err := e.getErr("none", backend.GetOptions{})
	var typed *backend.Error
	if !errors.As(err, &typed) {
		e.Fatalf("%T: %v", err, err)
	}
	if typed.Bucket != e.bucket || typed.Key != e.prefix+"none" || typed.Op != "GetObject" {
		e.Errorf("%+v", typed)
	}
	if _, err = e.store.Head(e.ctx, e.id("none"), backend.GetOptions{}); !errors.As(err, &typed) || typed.Op != "HeadObject" {
		e.Errorf("Head: %+v", typed)
	}
}

func checksumVerified(e *env) {
	data := noise(3, 100_000)
	in := e.input("a", data)
	in.CRC64NVME = checksum(data)
	e.putInput(in)
	e.wantContent("a", data)
	in = e.input("b", data)
	in.CRC64NVME = checksum(data[1:])
	_, err := e.store.Put(e.ctx, in)
	e.wantKind("a wrong checksum", err, backend.KindCorrupt)
	e.wantGone("b")
	in = e.input("empty", nil)
	in.CRC64NVME = checksum(nil)
	e.putInput(in)
	e.wantContent("empty", nil)
}

// checksumIsOfTheWhole: whoever tells a CRC64NVME tells the right one.
func checksumIsOfTheWhole(e *env) {
	data := noise(4, 70_000)
	in := e.input("a", data)
	if e.caps.ChecksumCRC64 {
		in.CRC64NVME = checksum(data)
	}
	stored := e.putInput(in)
	got := e.wantContent("a", data)
	_, part := e.get("a", backend.GetOptions{Range: &backend.Range{Off: 1, Len: 10}})
	for what, obj := range map[string]backend.Object{"Put": stored, "Head": e.head("a"), "Get": got, "Get of a range": part.Object} {
		if obj.CRC64NVME != "" && obj.CRC64NVME != checksum(data) {
			e.Errorf("%s: %s, want %s", what, obj.CRC64NVME, checksum(data))
		}
	}
}
