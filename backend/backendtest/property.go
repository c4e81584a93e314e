package backendtest

import (
	"bytes"
	"compress/gzip"
	"maps"
	"strings"

	"github.com/objmount/objmount/backend"
)

var propertyCases = []testCase{
	{name: "Metadata", run: metadata},
	{name: "Headers", run: headers},
	{name: "Overwritten", run: propertiesOverwritten},
	{name: "EncodedBytesStayEncoded", run: encodedBytes},
	{name: "DirectoryMarker", run: directoryMarker},
	{name: "TagCount", needs: "Tagging", run: tagCount},
	{name: "InputIsNotChanged", run: inputNotChanged},
	{name: "Underscores", run: underscores},
}

// sampleMetadata is what every store can keep: at most 256 bytes a value, 2 KiB together.
func (e *env) sampleMetadata() map[string]string {
	odd := "x.with-odd-1"
	if e.caps.Underscores {
		odd = "x.with_odd-1"
	}
	return map[string]string{
		"plain":                "value",
		"file-permissions":     "0100644",
		"file-mtime":           "1700000000123456789ns",
		odd:                    `inner  blanks, "quotes", ; = % + ? # & < > \ ~`,
		"long":                 strings.Repeat("0123456789abcde-", 15),
		backend.MetaGeneration: "0123456789abcdef",
	}
}

// samplePoperties has every header that stores are known to keep.
func (e *env) sampleProperties() backend.Properties {
	return backend.Properties{
		Metadata: e.sampleMetadata(),
		Headers: backend.Headers{
			ContentType: "text/x-sample; charset=utf-8", CacheControl: "max-age=61",
			ContentDisposition: `attachment; filename="a b.txt"`, ContentLanguage: "de, en",
			Expires: "Wed, 21 Oct 2037 07:28:00 GMT",
		},
	}
}

func (e *env) wantMetadata(what string, obj backend.Object, want map[string]string) {
	e.Helper()
	if !obj.HasMetadata {
		e.Errorf("%s: HasMetadata is not set", what)
	}
	if !maps.Equal(obj.Metadata, want) {
		e.Errorf("%s: metadata %q, want %q", what, obj.Metadata, want)
	}
}

func (e *env) wantHeaders(what string, obj backend.Object, want backend.Headers) {
	e.Helper()
	if obj.Headers != want {
		e.Errorf("%s: headers\n%+v, want\n%+v", what, obj.Headers, want)
	}
}

func metadata(e *env) {
	in := e.input("a", []byte("x"))
	in.Properties.Metadata = e.sampleMetadata()
	e.putInput(in)
	e.wantMetadata("Head", e.head("a"), e.sampleMetadata())
	e.wantMetadata("Get", e.wantContent("a", []byte("x")), e.sampleMetadata())
	_, part := e.get("a", backend.GetOptions{Range: &backend.Range{Len: 1}})
	e.wantMetadata("Get of a range", part.Object, e.sampleMetadata())
	objects, _, _ := e.list(backend.ListInput{})
	if len(objects) == 1 && objects[0].HasMetadata {
		e.wantMetadata("List", objects[0], e.sampleMetadata())
	}
}

func headers(e *env) {
	in := e.input("a", []byte("x"))
	in.Properties = e.sampleProperties()
	e.putInput(in)
	e.wantHeaders("Head", e.head("a"), e.sampleProperties().Headers)
	e.wantHeaders("Get", e.wantContent("a", []byte("x")), e.sampleProperties().Headers)
}

// propertiesOverwritten: a PUT gives all properties anew.
func propertiesOverwritten(e *env) {
	in := e.input("a", []byte("x"))
	in.Properties = e.sampleProperties()
	e.putInput(in)
	in = e.input("a", []byte("y"))
	in.Properties.Metadata = map[string]string{"other": "1"}
	e.putInput(in)
	obj := e.head("a")
	e.wantMetadata("after the second Put", obj, map[string]string{"other": "1"})
	if obj.Headers.CacheControl != "" || obj.Headers.ContentDisposition != "" || obj.Headers.ContentType == e.sampleProperties().Headers.ContentType {
		e.Errorf("old headers: %+v", obj.Headers)
	}
}

// encodedBytes: an object with a content encoding is not decoded on its way.
func encodedBytes(e *env) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(bytes.Repeat([]byte("compresses well "), 1000))
	_ = w.Close()
	in := e.input("a.gz", packed.Bytes())
	in.Properties.Headers = backend.Headers{ContentType: "text/plain", ContentEncoding: "gzip"}
	e.putInput(in)
	obj := e.wantContent("a.gz", packed.Bytes())
	e.wantHeaders("Get", obj, in.Properties.Headers)
	piece, _ := e.get("a.gz", backend.GetOptions{Range: &backend.Range{Off: 10, Len: 5}})
	e.wantBytes("a range", piece, packed.Bytes()[10:15])
}

// directoryMarker: an empty object whose key ends in "/" carries a directory's attributes.
func directoryMarker(e *env) {
	in := e.input("dir/", nil)
	in.Properties.Metadata = map[string]string{"file-permissions": "040750"}
	e.putInput(in)
	e.put("dir/child", []byte("x"))
	e.wantMetadata("Head", e.head("dir/"), in.Properties.Metadata)
	_, names, prefixes := e.list(backend.ListInput{Delimiter: "/"})
	e.wantNames("objects beside it", names, nil)
	e.wantNames("prefixes", prefixes, []string{"dir/"})
	_, names, prefixes = e.list(backend.ListInput{Prefix: "dir/", Delimiter: "/"})
	e.wantNames("objects inside", names, []string{"dir/", "dir/child"})
	e.wantNames("prefixes inside", prefixes, nil)
	e.delete("dir/")
	e.wantContent("dir/child", []byte("x"))
	e.wantGone("dir/")
}

func tagCount(e *env) {
	in := e.input("a", []byte("x"))
	in.Properties.Tags = map[string]string{"key one": "value = @:+", "two": ""}
	e.putInput(in)
	e.put("b", []byte("x"))
	for name, want := range map[string]int{"a": 2, "b": 0} {
		if got := e.wantContent(name, []byte("x")).TagCount; got != want && got != -1 {
			e.Errorf("%s: %d tags, want %d", name, got, want)
		}
	}
}

// inputNotChanged: maps of a caller stay the caller's.
func inputNotChanged(e *env) {
	in := e.input("a", []byte("x"))
	in.Properties = e.sampleProperties()
	e.putInput(in)
	if !maps.Equal(in.Properties.Metadata, e.sampleMetadata()) {
		e.Errorf("Put changed its input: %v", in.Properties.Metadata)
	}
	in.Properties.Metadata["plain"] = "changed later"
	obj := e.head("a")
	e.wantMetadata("Head", obj, e.sampleMetadata())
	clear(obj.Metadata)
	e.wantMetadata("Head again", e.head("a"), e.sampleMetadata())
}

// underscores: a key with "_" is kept by every way in, or refused. A store that changes it
// would make two properties one.
func underscores(e *env) {
	meta := map[string]string{"a_b": "1", "a-b": "2"}
	in := e.input("a", []byte("x"))
	in.Properties.Metadata = meta
	_, err := e.store.Put(e.ctx, in)
	if !e.caps.Underscores && err != nil {
		e.wantKind("Put", err, backend.KindInvalid)
		_, err = e.store.CreateUpload(e.ctx, backend.CreateUploadInput{Bucket: e.bucket, Key: in.Key, Properties: in.Properties})
		e.wantKind("CreateUpload", err, backend.KindInvalid)
		e.put("b", []byte("x"))
		_, err = e.copy("b", "a", func(copy *backend.CopyInput) { copy.Replace = &in.Properties })
		e.wantKind("Copy", err, backend.KindInvalid)
		e.wantGone("a")
		return
	}
	e.ok("Put", err)
	e.wantMetadata("Put", e.head("a"), meta)
	_, err = e.copy("a", "b", func(copy *backend.CopyInput) { copy.Replace = &in.Properties })
	e.ok("Copy", err)
	e.wantMetadata("Copy", e.head("b"), meta)
	up := e.create("c", in.Properties)
	e.complete(completion(up, e.part(up, 1, []byte("x"))))
	e.wantMetadata("an upload", e.head("c"), meta)
}
