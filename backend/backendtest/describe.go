package backendtest

import (
	"bytes"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/objmount/objmount/backend"
)

var describeCases = []testCase{
	{name: "Checksums", run: describeChecksums},
	{name: "Parts", run: describeParts},
	{name: "Owner", run: owner},
	{name: "Missing", run: describeNothing},
	{name: "RestoreOfWhatIsThere", run: restoreOfReadable},
	{name: "Encryption", run: updateEncryption},
	{name: "Annotations", run: annotations},
	{name: "Presign", run: presign},
	{name: "PresignPost", run: presignPost},
	{name: "ObjectURL", run: objectURL},
}

func describeChecksums(e *env) {
	data := noise(50, 70_000)
	in := e.input("a", data)
	if e.caps.ChecksumCRC64 {
		in.CRC64NVME = checksum(data)
	}
	obj := e.putInput(in)
	d, err := e.store.Describe(e.ctx, e.id("a"), obj.VersionID)
	e.optional("Describe", err)
	if sum, said := d.Checksums["crc64nvme"]; said && sum != checksum(data) || !said && e.caps.ChecksumCRC64 {
		e.Errorf("crc64nvme %q, want %s", sum, checksum(data))
	}
	if d.Parts != 0 || d.PartSize != 0 {
		e.Errorf("a single Put has parts: %+v", d)
	}
	for name, sum := range d.Checksums {
		if name != strings.ToLower(name) || sum == "" {
			e.Errorf("checksum %q: %q", name, sum)
		}
	}
}

func describeParts(e *env) {
	first, tail := noise(51, e.partSize()), noise(52, 5000)
	e.upload("a", backend.Condition{}, first, tail)
	d, err := e.store.Describe(e.ctx, e.id("a"), "")
	e.optional("Describe", err)
	if d.Parts != 2 && d.Parts != 0 || d.PartSize != int64(len(first)) && d.PartSize != 0 {
		e.Errorf("%+v, want 2 parts, the first of %d bytes", d, len(first))
	}
}

func owner(e *env) {
	obj := e.put("a", nil)
	name, err := e.store.Owner(e.ctx, e.id("a"), obj.VersionID)
	e.optional("Owner", err)
	if name == "" {
		e.Error("the owner has no name")
	}
}

func describeNothing(e *env) {
	_, err := e.store.Describe(e.ctx, e.id("none"), "")
	e.wantKind("Describe", err, backend.KindNotExist, backend.KindUnsupported)
	_, err = e.store.Owner(e.ctx, e.id("none"), "")
	e.wantKind("Owner", err, backend.KindNotExist, backend.KindUnsupported)
	err = e.store.Restore(e.ctx, e.id("none"), "", 1, "")
	e.wantKind("Restore", err, backend.KindNotExist, backend.KindUnsupported)
}

// restoreOfReadable: what is not archived cannot be restored.
func restoreOfReadable(e *env) {
	obj := e.put("a", []byte("x"))
	e.wantKind("Restore", e.store.Restore(e.ctx, e.id("a"), obj.VersionID, 1, ""), backend.KindInvalid, backend.KindUnsupported)
	if head := e.wantContent("a", []byte("x")); head.Restore != "" {
		e.Errorf("its restoration is %q", head.Restore)
	}
}

// updateEncryption: what is stored stays as it is.
func updateEncryption(e *env) {
	obj := e.put("a", []byte("x"))
	e.optional("UpdateEncryption", e.store.UpdateEncryption(e.ctx, e.id("a"), "", backend.Encryption{Algorithm: "aws:kms"}))
	if after := e.wantContent("a", []byte("x")); after.Encryption.Algorithm != "aws:kms" || after.ETag != obj.ETag || after.VersionID != obj.VersionID {
		e.Errorf("%+v", after)
	}
}

func annotations(e *env) {
	obj := e.put("a", []byte("x"))
	e.optional("PutAnnotation", e.store.PutAnnotation(e.ctx, e.id("a"), "", "note", []byte("first")))
	values := map[string][]byte{"note": []byte("zweite \u65e5\u672c\u8a9e\nline"), "Other.name_1-x": bytes.Repeat([]byte("0123456789abcdef"), 1<<16)}
	for name, value := range values {
		e.ok("PutAnnotation", e.store.PutAnnotation(e.ctx, e.id("a"), obj.VersionID, name, value))
	}
	sizes, err := e.store.Annotations(e.ctx, e.id("a"), "")
	e.ok("Annotations", err)
	want := map[string]int64{}
	for name, value := range values {
		want[name] = int64(len(value))
		got, err := e.store.Annotation(e.ctx, e.id("a"), "", name)
		e.ok("Annotation", err)
		e.wantBytes(name, got, value)
	}
	if !maps.Equal(sizes, want) {
		e.Errorf("sizes %v, want %v", sizes, want)
	}
	if after := e.wantContent("a", []byte("x")); after.ETag != obj.ETag || after.VersionID != obj.VersionID {
		e.Errorf("annotations changed %+v to %+v", obj, after)
	}
	e.ok("DeleteAnnotation", e.store.DeleteAnnotation(e.ctx, e.id("a"), "", "note"))
	_, err = e.store.Annotation(e.ctx, e.id("a"), "", "note")
	e.wantKind("Annotation", err, backend.KindNotExist)
}

// presign: the suite has no client of its own to make the request with.
func presign(e *env) {
	obj := e.put("a b/+%/\u00fc?", []byte("x"))
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete} {
		in := backend.PresignInput{Method: method, Object: obj.ID(), Expires: 10 * time.Minute}
		if method != http.MethodPut {
			in.VersionID = obj.VersionID
		}
		signed, err := e.store.Presign(e.ctx, in)
		e.optional("Presign", err)
		e.wantAddress(signed.URL, obj.ID())
		if left := time.Until(signed.Expires); signed.Method != method || left < time.Minute || left > 11*time.Minute {
			e.Errorf("%s: %+v", method, signed)
		}
	}
	const longest = 7 * 24 * time.Hour // S3 user guide, "Sharing objects with presigned URLs"
	signed, err := e.store.Presign(e.ctx, backend.PresignInput{Method: http.MethodGet, Object: obj.ID(), Expires: longest + time.Hour})
	if err != nil {
		e.wantKind("for too long", err, backend.KindInvalid)
	} else if time.Until(signed.Expires) > longest {
		e.Errorf("for too long: it is said to be good until %v", signed.Expires)
	}
}

func presignPost(e *env) {
	id := e.id("a b/+%/\u00fc?")
	signed, err := e.store.PresignPost(e.ctx, backend.PostInput{Object: id, Expires: 10 * time.Minute, Exact: map[string]string{"x-amz-meta-a": "b"}})
	e.optional("PresignPost", err)
	address, err := url.Parse(signed.URL)
	if err != nil || !strings.Contains(address.Host+address.Path, ownName(id.Bucket)) || strings.Contains(address.Path, "+%") {
		e.Errorf("the form goes to %s (%v)", signed.URL, err)
	}
	left := time.Until(signed.Expires)
	if signed.Method != http.MethodPost || left < time.Minute || left > 11*time.Minute || signed.Fields["key"] != id.Key || signed.Fields["x-amz-meta-a"] != "b" || signed.Fields["policy"] == "" {
		e.Errorf("%+v", signed)
	}
	_, err = e.store.PresignPost(e.ctx, backend.PostInput{Object: id, Expires: time.Minute, Exact: map[string]string{"policy": "x"}})
	e.wantKind("PresignPost with a policy of its own", err, backend.KindInvalid)
}

func objectURL(e *env) {
	id := e.id("a b/+%/\u00fc?")
	address, err := e.store.ObjectURL(e.ctx, id)
	e.optional("ObjectURL", err)
	e.wantAddress(address.String(), id)
	if address.RawQuery != "" {
		e.Errorf("a plain address has the query %q", address.RawQuery)
	}
}

// wantAddress checks that a URL, as it travels, names the object.
func (e *env) wantAddress(text string, id backend.ObjectID) {
	e.Helper()
	address, err := url.Parse(text)
	if err != nil || address.Host == "" || !strings.HasSuffix(address.Path, "/"+id.Key) || !strings.Contains(address.Host+address.Path, ownName(id.Bucket)) {
		e.Errorf("the address of %q in %q is %s (%v)", id.Key, id.Bucket, text, err)
	}
}
