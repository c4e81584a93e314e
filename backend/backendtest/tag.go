package backendtest

import (
	"fmt"
	"maps"
	"strings"

	"github.com/objmount/objmount/backend"
)

var tagCases = []testCase{
	{name: "WriteReadRemove", needs: "Tagging", run: tagLifetime},
	{name: "Characters", needs: "Tagging", run: tagCharacters},
	{name: "Unicode", needs: "Tagging", run: tagUnicode},
	{name: "OfWrites", needs: "Tagging", run: tagsOfWrites},
	{name: "Limits", needs: "Tagging", run: tagLimits},
	{name: "Missing", needs: "Tagging", run: tagsOfNothing},
	{name: "ByVersion", needs: "Tagging", run: tagsByVersion},
	{name: "SpecialNames", needs: "Tagging", run: tagsOfSpecialNames},
}

// wantTags checks the tags of a version, and their number where a HEAD tells it.
func (e *env) wantTags(what, name, version string, want map[string]string) {
	e.Helper()
	got, err := e.store.Tags(e.ctx, e.id(name), version)
	e.ok(what+": Tags", err)
	if got == nil || !maps.Equal(got, want) {
		e.Errorf("%s: tags %q, want %q", what, got, want)
	}
	obj, err := e.store.Head(e.ctx, e.id(name), backend.GetOptions{VersionID: version})
	e.ok(what+": Head", err)
	if obj.TagCount != len(want) && obj.TagCount != -1 {
		e.Errorf("%s: Head counts %d tags, want %d", what, obj.TagCount, len(want))
	}
}

func (e *env) putTags(what, name, version string, tags map[string]string) {
	e.Helper()
	e.ok(what+": PutTags", e.store.PutTags(e.ctx, e.id(name), version, tags))
}

// tagLifetime: tags are replaced as a whole, beside the object.
func tagLifetime(e *env) {
	in := e.input("a", []byte("content"))
	in.Properties = e.sampleProperties()
	e.putInput(in)
	before := e.head("a")
	e.wantTags("at first", "a", "", map[string]string{})
	for _, tags := range []map[string]string{{"one": "1", "two": "2"}, {"two": "other", "three": ""}, {}, {"again": "x"}, nil} {
		e.putTags(fmt.Sprint(tags), "a", "", tags)
		e.wantTags(fmt.Sprint(tags), "a", "", tags)
	}
	after := e.wantContent("a", []byte("content"))
	e.wantMetadata("after all", after, e.sampleMetadata())
	e.wantHeaders("after all", after, in.Properties.Headers)
	redated := !after.LastModified.Equal(before.LastModified) && e.caps.Vendor != "ceph" // Ceph 16 dates an object by its tags
	if after.ETag != before.ETag || redated || after.VersionID != before.VersionID {
		e.Errorf("tags changed the object from\n%+v to\n%+v", before, after)
	}
	tags := map[string]string{"mine": "1"}
	e.putTags("the caller's map", "a", "", tags)
	tags["mine"] = "2"
	e.wantTags("the caller's map, changed later", "a", "", map[string]string{"mine": "1"})
}

// tagCharacters: all of ASCII that S3 allows in keys and values (S3 API, "Tag").
func tagCharacters(e *env) {
	e.put("a", nil)
	all := map[string]string{
		"A-Z.a_z/0:9 =+@": "inner  blanks +-=._:/@ 09 azAZ",
		"empty":           "", "a=b": "a=b", "c+d": "c+d", "url": "http://host:80/path", "mail": "a.b@c.d",
		strings.Repeat("k", 128): strings.Repeat("v", 256),
	}
	e.putTags("allowed characters", "a", "", all)
	e.wantTags("allowed characters", "a", "", all)
	in := e.input("b", nil)
	in.Properties.Tags = all
	e.putInput(in)
	e.wantTags("allowed characters with a Put", "b", "", all)
}

// tagUnicode: S3 takes letters of every script and counts characters; VersityGW counts bytes,
// and MinIO takes only ASCII. To refuse a tag is better than to change it.
func tagUnicode(e *env) {
	e.put("a", nil)
	for _, tags := range []map[string]string{
		{"größe": "x"}, {"x": "süß é"}, {"日本語": "値 Ωμέγα русский"}, {strings.Repeat("ü", 128): strings.Repeat("é", 256)},
	} {
		if err := e.store.PutTags(e.ctx, e.id("a"), "", tags); err != nil {
			e.wantKind("PutTags", err, backend.KindInvalid)
			e.Logf("refused: %q", tags)
			continue
		}
		e.wantTags("unicode", "a", "", tags)
		in := e.input("b", nil)
		in.Properties.Tags = tags
		e.putInput(in)
		e.wantTags("unicode with a Put", "b", "", tags)
	}
}

// tagsOfWrites: each way to write an object can give it tags, and a write without any leaves none.
func tagsOfWrites(e *env) {
	tags := map[string]string{"one": "1 + 1 = 2", "two": ""}
	in := e.input("put", []byte("x"))
	in.Properties.Tags = tags
	e.putInput(in)
	up := e.create("upload", backend.Properties{Tags: tags})
	e.complete(completion(up, e.part(up, 1, []byte("x"))))
	_, err := e.copy("put", "kept", nil)
	e.ok("Copy", err)
	_, err = e.copy("upload", "given", func(in *backend.CopyInput) { in.Replace = &backend.Properties{Tags: map[string]string{"new": "n"}} })
	e.ok("Copy", err)
	for name, want := range map[string]map[string]string{"put": tags, "upload": tags, "kept": tags, "given": {"new": "n"}} {
		e.wantTags(name, name, "", want)
	}
	e.put("put", []byte("y"))
	e.wantTags("overwritten", "put", "", map[string]string{})
}

// tagLimits: what is over the limits is refused, and changes nothing.
func tagLimits(e *env) {
	e.put("a", nil)
	ten := map[string]string{}
	for i := range 10 {
		ten[fmt.Sprint("key ", i)] = "v"
	}
	e.putTags("ten", "a", "", ten)
	eleven := maps.Clone(ten)
	eleven["one more"] = ""
	for what, tags := range map[string]map[string]string{
		"eleven": eleven, "a long key": {strings.Repeat("k", 129): ""}, "a long value": {"k": strings.Repeat("v", 257)}, "an empty key": {"": "v"},
	} {
		e.wantKind(what, e.store.PutTags(e.ctx, e.id("a"), "", tags), backend.KindInvalid)
	}
	e.wantTags("after all", "a", "", ten)
}

func tagsOfNothing(e *env) {
	_, err := e.store.Tags(e.ctx, e.id("none"), "")
	e.wantKind("Tags", err, backend.KindNotExist)
	e.wantKind("PutTags", e.store.PutTags(e.ctx, e.id("none"), "", map[string]string{"a": "b"}), backend.KindNotExist)
	e.wantKind("PutTags of none", e.store.PutTags(e.ctx, e.id("none"), "", nil), backend.KindNotExist)
	e.wantGone("none")
}

// tagsByVersion: tags belong to one version.
func tagsByVersion(e *env) {
	if !e.caps.Versioned {
		e.Skip("the store does not claim Versioned")
	}
	first, second := e.put("a", []byte("first")), e.put("a", []byte("second"))
	e.putTags("the current", "a", "", map[string]string{"of": "second"})
	e.putTags("the first", "a", first.VersionID, map[string]string{"of": "first", "more": "1"})
	e.wantTags("the first", "a", first.VersionID, map[string]string{"of": "first", "more": "1"})
	e.wantTags("the second", "a", second.VersionID, map[string]string{"of": "second"})
	e.putTags("the first", "a", first.VersionID, nil)
	e.wantTags("the first, removed", "a", first.VersionID, map[string]string{})
	e.wantTags("the current", "a", "", map[string]string{"of": "second"})
	if obj := e.wantContent("a", []byte("second")); obj.VersionID != second.VersionID {
		e.Errorf("tags made the version %q of %q", obj.VersionID, second.VersionID)
	}
}

func tagsOfSpecialNames(e *env) {
	for _, name := range special {
		e.put(name, nil)
		tags := map[string]string{"of": fmt.Sprintf("%x", name)}
		e.putTags(name, name, "", tags)
		e.wantTags(name, name, "", tags)
	}
}
