package contenttype

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/objmount/objmount/backend"
)

// content is what files of a kind begin with.
var content = map[string]string{
	"png": "\x89PNG\r\n\x1a\n\x00\x00", "pdf": "%PDF-1.7\n%\xe2\xe3\xcf\xd3", "zip": "PK\x03\x04\x14\x00\x06\x00", "gzip": "\x1f\x8b\x08\x00\x00",
	"text": "id,name\n1,apple\n", "json": `{"a": 1}`, "xml": "<?xml version=\"1.0\"?>\n<svg/>", "svg": `<svg xmlns="http://www.w3.org/2000/svg"/>`,
	"html": "<!DOCTYPE html><html>", "elf": "\x7fELF\x02\x01\x01\x00\x00\x00\x00", "heic": "\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic",
	"mkv": "\x1aE\xdf\xa3\x93B\x82\x88matroska", "m4a": "\x00\x00\x00\x1cftypM4A \x00\x00\x00\x00mp42M4A ", "ogg": "OggS\x00\x02\x00", "empty": "",
}

// TestBucketsTakeWhatNameAndContentAgreeOn: the rule, case by case.
func TestBucketsTakeWhatNameAndContentAgreeOn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		types, name, given, content string
		why                         string // empty: it is taken
	}{
		{"image/*,application/pdf", "a.png", "", "png", ""},
		{"image/*,application/pdf", "a.pdf", "", "pdf", ""},
		{"image/*,application/pdf", "a.pdf", "", "png", ""}, // another type, but it is in the list
		{"application/pdf", "a.pdf", "", "png", "looks like image/png"},
		{"application/pdf", "a.png", "", "pdf", "its name says image/png"},
		{"application/pdf", "a.pdf", "", "text", "looks like text/plain"},
		{"application/pdf", "a.pdf", "", "elf", "looks like application/octet-stream"},
		{"image/*", "a.png", "", "elf", "looks like application/octet-stream"}, // a PNG would be known
		{"image/*", "a.png", "", "html", "looks like text/html"},
		{"image/*", "a.heic", "", "heic", ""}, // not known by its bytes
		{"image/*", "a", "", "png", ""},
		{"image/*", "a", "", "heic", "looks like application/octet-stream"},
		{"image/*", "a.unknown", "", "text", "looks like text/plain"},
		{"image/*", "a", "", "empty", ""},
		{"image/*", "a.txt", "", "empty", "its name says text/plain"},
		{"text/csv", "a.csv", "", "text", ""},
		{"text/csv", ".a.csv.Ab12cd", "", "text", ""},
		{"text/csv", "a.csv", "", "elf", "looks like application/octet-stream"},
		{"text/csv", "a.csv", "", "html", "looks like text/html"},
		{"text/csv", "a", "", "text", "looks like text/plain"},
		{"text/csv", "a", "text/csv", "text", ""},
		{"text/*", "a", "", "text", ""},
		{"application/json", "a.json", "", "json", ""},
		{"application/xml", "a.xml", "", "xml", ""},
		{"image/svg+xml", "a.svg", "", "xml", ""},
		{"image/svg+xml", "a.svg", "", "svg", ""},
		{"application/vnd.openxmlformats-officedocument.wordprocessingml.document", "a.docx", "", "zip", ""},
		{"application/vnd.openxmlformats-officedocument.wordprocessingml.document", "a.docx", "", "elf", "octet-stream"},
		{"application/vnd.openxmlformats-officedocument.wordprocessingml.document", "a.zip", "", "zip", "its name says application/zip"},
		{"application/java-archive,application/epub+zip", "a.jar", "", "zip", ""},
		{"application/gzip", "a.tgz", "", "gzip", ""},
		{"application/x-gzip", "a.gz", "", "gzip", ""},
		{"video/*", "a.mkv", "", "mkv", ""},
		{"audio/mp4", "a.m4a", "", "m4a", ""},
		{"audio/ogg", "a.opus", "", "ogg", ""},
		{"application/octet-stream", "a.bin", "", "elf", ""},
		{"application/octet-stream", "a.bin", "", "text", ""},
		{"application/octet-stream", "a.bin", "", "png", "looks like image/png"},
		{"image/png", "a.png", "text/html", "png", "its content type is text/html"},
		{"image/png", "a.png", "binary/octet-stream", "png", ""}, // of a store, to what was uploaded without any
		{"", "a.exe", "x/y", "elf", ""},
	} {
		types, err := backend.ParseTypes(c.types)
		if err != nil {
			t.Fatal(err)
		}
		head, ok := content[c.content]
		if !ok {
			t.Fatalf("no content %q", c.content)
		}
		err = Allowed(backend.BucketLimits{Types: types}, backend.ObjectID{Bucket: "b", Key: "dir/" + c.name}, c.given, []byte(head))
		switch {
		case (err == nil) != (c.why == ""):
			t.Errorf("%s of %s in %s: %v, want %q", c.name, c.content, c.types, err, c.why)
		case err != nil && (!backend.IsKind(err, backend.KindRefused) || !strings.Contains(err.Error(), c.why)):
			t.Errorf("%s of %s in %s: %v, want %q", c.name, c.content, c.types, err, c.why)
		}
	}
}

// TestWhatIsTakenIsOfTheListedTypes: whatever the bytes, a file that is taken has a name (if it says anything) and a given type of the
// list, and content that is of the list or could be.
func TestWhatIsTakenIsOfTheListedTypes(t *testing.T) {
	t.Parallel()
	var names, listed []string
	for extension, named := range byExtension {
		names, listed = append(names, "a."+extension), append(listed, backend.PlainType(named))
	}
	names = append(names, "a", "a.unknown")
	var heads []string
	for _, head := range content {
		heads = append(heads, head)
	}
	rapid.Check(t, func(t *rapid.T) {
		l := backend.BucketLimits{Types: rapid.SliceOfN(rapid.SampledFrom(listed), 1, 3).Draw(t, "types")}
		id := backend.ObjectID{Bucket: "b", Key: rapid.SampledFrom(names).Draw(t, "name")}
		head := []byte(rapid.OneOf(rapid.SampledFrom(heads), rapid.StringN(0, 600, -1)).Draw(t, "head"))
		err := Allowed(l, id, "", head)
		named, looks := ByName(id.Key), ByContent(head)
		byName, byContent := l.Allows(named), l.Allows(looks)
		want := len(head) == 0 && (named == "" || byName) ||
			len(head) > 0 && (named == "" && byContent || named != "" && byName && (byContent || Fits(named, looks)))
		if (err == nil) != want {
			t.Errorf("%q with %q in %q: %v", id.Key, looks, l.Types, err)
		}
		if err == nil && named == "" && len(head) > 0 && !byContent {
			t.Errorf("%q is taken in %q though nothing says so", looks, l.Types)
		}
	})
}

func TestSizesAreAllowed(t *testing.T) {
	t.Parallel()
	l := backend.BucketLimits{FileSize: 10}
	if err := SizeAllowed(l, backend.ObjectID{}, 10); err != nil {
		t.Error(err)
	}
	if err := SizeAllowed(l, backend.ObjectID{}, 11); !backend.IsKind(err, backend.KindTooLarge) || !strings.Contains(err.Error(), "up to 10 bytes") {
		t.Error(err)
	}
	if err := SizeAllowed(backend.BucketLimits{}, backend.ObjectID{}, 1<<60); err != nil {
		t.Error(err)
	}
}
