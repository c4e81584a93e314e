package xattr

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/objmount/objmount/backend"
	"pgregory.net/rapid"
)

func TestWhatAStoreDoesNotHave(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, value string
		change      func(r *Rules)
		want        error
	}{
		{"user.s3.tag.k", "v", func(r *Rules) { r.Capabilities.Tagging = false }, ErrUnsupported},
		{"user.s3.meta.a_b", "v", func(r *Rules) { r.Capabilities.Underscores = false }, ErrUnsupported},
		{"user.a_b", "v", func(r *Rules) { r.Capabilities.Underscores = false }, nil},
		{"user.s3.storage-class", "GLACIER", func(r *Rules) { r.Capabilities.Classes = false }, ErrUnsupported},
		{"user.s3.encryption", "AES256", func(r *Rules) { r.Capabilities.Classes = false }, ErrUnsupported},
		{"user.s3.encryption", "AES256", func(r *Rules) { r.CustomerKey = true }, ErrUnsupported},
		{"user.s3.retention", "GOVERNANCE 1d", func(r *Rules) { r.Capabilities.ObjectLock = false }, ErrUnsupported},
		{"user.s3.retention.until", "1d", func(r *Rules) { r.Capabilities.ObjectLock = false }, ErrUnsupported},
		{"user.s3.legal-hold", "on", func(r *Rules) { r.Capabilities.ObjectLock = false }, ErrUnsupported},
		{"user.s3.restore", "7d", func(r *Rules) { r.Staged = true }, ErrValue},
		{"user.s3.annotation.k", "v", func(r *Rules) { r.Annotations = map[string]int64{} }, nil},
		{"user.s3.annotation.k", "v", func(r *Rules) { r.Annotations, r.Staged = map[string]int64{}, true }, ErrUnsupported},
		{"user.s3.annotation.xattr-k", "v", func(r *Rules) { r.Annotations = map[string]int64{} }, ErrValue},
		// Tried on the servers of these vendors: what they refuse, and would refuse late.
		{"user.s3.tag.k", "é", func(r *Rules) { r.Capabilities.Vendor = "minio" }, ErrUnsupported},
		{"user.s3.tag.é", "v", func(r *Rules) { r.Capabilities.Vendor = "minio" }, ErrUnsupported},
		{"user.s3.storage-class", "STANDARD_IA", func(r *Rules) { r.Capabilities.Vendor = "minio" }, ErrUnsupported},
		{"user.s3.storage-class", "REDUCED_REDUNDANCY", func(r *Rules) { r.Capabilities.Vendor = "minio" }, nil},
		{"user.s3.website-redirect", "/x", func(r *Rules) { r.Capabilities.Vendor = "minio" }, ErrUnsupported},
		{"user.s3.tag.k", strings.Repeat("é", 42), func(r *Rules) { r.Capabilities.Vendor = "versitygw" }, nil},
		{"user.s3.tag.k", strings.Repeat("é", 43), func(r *Rules) { r.Capabilities.Vendor = "versitygw" }, ErrTooBig},
		{"user.s3.tag." + strings.Repeat("/", 43), "", func(r *Rules) { r.Capabilities.Vendor = "versitygw" }, ErrTooBig},
		{"user.s3.tag.k", strings.Repeat("x", 256), func(r *Rules) { r.Capabilities.Vendor = "versitygw" }, nil},
	} {
		r := able()
		c.change(&r)
		var p props
		if _, err := mustParse(t, c.name, File).Set(&p, []byte(c.value), r); !errors.Is(err, c.want) {
			t.Errorf("%.60s = %.40q: %v, want %v", c.name, c.value, err, c.want)
		}
	}
}

// grow sets an attribute to longer and longer values until it is refused, and returns the longest.
func grow(t *testing.T, a Attribute, p *backend.Properties, r Rules, unit string) int {
	t.Helper()
	longest := 0
	for n := 1; n <= 8000; n++ {
		before := p.Clone()
		_, err := a.Set(p, []byte(strings.Repeat(unit, n)), r)
		if err == nil {
			longest = n
			continue
		}
		if !errors.Is(err, ErrNoRoom) {
			t.Fatalf("%s of %d: %v", a.Name(), n, err)
		}
		if diff := cmp.Diff(before, *p); diff != "" {
			t.Fatalf("refused and changed: %s", diff)
		}
		return longest
	}
	t.Fatalf("%s takes %d", a.Name(), longest)
	return 0
}

// What is counted is what travels, with room for the attributes that objmount adds to every object.
func TestRoomForMetadata(t *testing.T) {
	t.Parallel()
	own := int(metaSize(nil))
	if own < 200 || own > 300 {
		t.Errorf("%d bytes are kept for objmount", own)
	}
	free := 2048 - own
	header := len("x-amz-meta-")
	for name, want := range map[string]int{
		"user.s3.meta.k": free - header - 1,
		// Six whole pieces and what is left of the room for a seventh.
		"user.k": free - 7*header - len("xattr-k") - 6*len("xattr-k-z2"),
	} {
		p := props{}
		if n := grow(t, mustParse(t, name, File), &p, able(), "x"); n != want {
			t.Errorf("%s takes %d bytes, want %d", name, n, want)
		}
		if size := metaSize(p.Metadata); size != 2048 {
			t.Errorf("%s leaves %d of 2048", name, 2048-size)
		}
	}
	p := props{}
	if n := grow(t, mustParse(t, "user.s3.meta.k", File), &p, able(), "é"); n > (free-header)*3/8 {
		t.Errorf("%d characters that travel as base64 fit in %d bytes", n, free)
	}
	r := able()
	r.Capabilities.Limits.MaxMeta = 8192
	p = props{}
	grow(t, mustParse(t, "user.s3.meta.k", File), &p, r, "x")
	if size := headerSize(&p); size != 6500 {
		t.Errorf("with a larger limit, %d bytes of headers, want 6500", size)
	}
}

func TestRoomForTags(t *testing.T) {
	t.Parallel()
	r, p := able(), props{}
	for i := range 10 {
		name := fmt.Sprintf("user.s3.tag.%03d%s", i, strings.Repeat("k", 125))
		if _, err := mustParse(t, name, File).Set(&p, []byte(strings.Repeat("v", 256)), r); err != nil {
			t.Fatalf("tag %d of the longest: %v", i, err)
		}
	}
	if _, err := mustParse(t, "user.s3.tag.k", File).Set(&p, nil, r); !errors.Is(err, ErrNoRoom) {
		t.Errorf("11 tags: %v", err)
	}
	for key := range p.Tags {
		if _, err := mustParse(t, "user.s3.tag."+key, File).Set(&p, []byte("shorter"), r); err != nil {
			t.Errorf("a tag that is there: %v", err)
		}
	}
	// Ten of the longest in other letters do not travel with an upload.
	p = props{}
	var err error
	for i := 0; i < 10 && err == nil; i++ {
		_, err = mustParse(t, fmt.Sprintf("user.s3.tag.k%d", i), File).Set(&p, []byte(strings.Repeat("é", 256)), r)
	}
	if !errors.Is(err, ErrNoRoom) {
		t.Errorf("tags of %d bytes as they travel: %v", headerSize(&p), err)
	}
}

// VersityGW keeps metadata and tags in one block of ext4: 2,000 bytes of metadata and ten tags of 163
// were what it took, one more a server error.
func TestRoomInAFileOfVersityGW(t *testing.T) {
	t.Parallel()
	r := able()
	r.Capabilities.Vendor = "versitygw"
	p := meta("k", strings.Repeat("x", 1700))
	var err error
	for i := 0; i < 10 && err == nil; i++ {
		_, err = mustParse(t, fmt.Sprintf("user.s3.tag.k%02d", i), File).Set(&p, []byte(strings.Repeat("v", 256)), r)
	}
	if !errors.Is(err, ErrNoRoom) {
		t.Errorf("%d bytes in a file: %v", fileSize(&p), err)
	}
	if size := fileSize(&p); size > 3400 || size < 3000 {
		t.Errorf("%d bytes were taken", size)
	}
	// What another client stored is no reason to refuse what makes it less.
	p = meta("k", strings.Repeat("x", 1700))
	p.Tags = map[string]string{}
	for i := range 10 {
		p.Tags[fmt.Sprint(i)] = strings.Repeat("v", 256)
	}
	if _, err := mustParse(t, "user.s3.tag.1", File).Set(&p, []byte("v"), r); err != nil {
		t.Errorf("shorter: %v", err)
	}
	if _, err := mustParse(t, "user.s3.meta.l", File).Set(&p, []byte(strings.Repeat("v", 256)), r); !errors.Is(err, ErrNoRoom) {
		t.Errorf("longer again: %v", err)
	}
}

func TestValuesWithoutRoomBecomeAnnotations(t *testing.T) {
	t.Parallel()
	a, r := mustParse(t, "user.note", File), able()
	large := []byte(strings.Repeat("x", 5000))
	r.Annotations = map[string]int64{}
	p := meta("xattr-note", "small", "colour", "red")
	want := Request{Change: ChangeAnnotation | ChangeProperties, Annotation: "xattr-note", Value: large}
	if req, err := a.Set(&p, large, r); err != nil || !cmp.Equal(req, want) || !maps.Equal(p.Metadata, map[string]string{"colour": "red"}) {
		t.Errorf("large: %v %v %v", req.Change, err, p.Metadata)
	}
	if req, err := a.Set(&p, large, r); err != nil || req.Change != ChangeAnnotation {
		t.Errorf("large without metadata: %v %v", req.Change, err)
	}
	r.Annotations["xattr-note"] = 5000
	want = Request{Change: ChangeNoAnnotation | ChangeProperties, Annotation: "xattr-note"}
	if req, err := a.Set(&p, []byte("small"), r); err != nil || !cmp.Equal(req, want) || p.Metadata["xattr-note"] != "small" {
		t.Errorf("small again: %v %v %v", req, err, p.Metadata)
	}
	if req, err := a.Remove(&p, r); err != nil || !cmp.Equal(req, want) {
		t.Errorf("remove: %v %v", req, err)
	}
	if req, err := a.Remove(&p, r); err != nil || req.Change != ChangeNoAnnotation {
		t.Errorf("remove the annotation alone: %v %v", req, err)
	}
	r.Staged = true
	if _, err := a.Set(&p, large, r); !errors.Is(err, ErrNoRoom) {
		t.Errorf("large on what is not stored: %v", err)
	}
	summary := mustParse(t, "user.s3.annotation.summary", File)
	if _, err := summary.Remove(&p, able()); !errors.Is(err, ErrAbsent) {
		t.Errorf("remove an annotation that is not there: %v", err)
	}
	r.Annotations["summary"] = 3
	if req, err := summary.Remove(&p, r); err != nil || req.Change != ChangeNoAnnotation || req.Annotation != "summary" {
		t.Errorf("remove an annotation: %v %v", req, err)
	}
}

// factsOf is what a store tells of an object with these properties.
func factsOf(p *backend.Properties) *Facts {
	return &Facts{Now: noon, Tags: p.Tags, Capabilities: able().Capabilities, Object: backend.Object{
		HasMetadata: true, ETag: "e", Headers: p.Headers, Metadata: p.Metadata, StorageClass: p.StorageClass, Encryption: p.Encryption, Lock: p.Lock,
	}}
}

// drawChange draws a name and a value that may or may not be taken.
func drawChange(t *rapid.T) (name string, value []byte) {
	key := rapid.SampledFrom([]string{"a", "B", "a.b", "a_b", "x-y", "é", "mode"}).Draw(t, "key")
	text := rapid.Map(rapid.StringMatching(`[ -~é]{0,300}`), func(s string) []byte { return []byte(s) })
	of := func(values ...string) []byte { return []byte(rapid.SampledFrom(values).Draw(t, "value")) }
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0, 1:
		return "user.s3.tag." + key, text.Draw(t, "value")
	case 2, 3:
		return "user.s3.meta." + key, text.Draw(t, "value")
	case 4:
		return "user." + drawName(t, "name"), drawValue(t, "value")
	case 5:
		return "user.s3.storage-class", of("STANDARD", "GLACIER", "x")
	case 6:
		return "user.s3.retention", of("GOVERNANCE 30d", "COMPLIANCE 1y", "x")
	case 7:
		return "user.s3.legal-hold", of("on", "off", "x")
	case 8:
		return "user.s3.expires", of("Wed, 21 Oct 2026 07:28:00 GMT", "x")
	default:
		return rapid.SampledFrom([]string{"user.s3.content-type", "user.s3.cache-control", "user.s3.website-redirect"}).Draw(t, "header"), of("/x", "text/x-log", "")
	}
}

// Whatever is set can be read as it was, changes nothing else, and a program that copies what is
// listed makes the same properties of an empty object, in any order.
func TestCopies(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var p backend.Properties
		for range rapid.IntRange(1, 12).Draw(t, "changes") {
			name, value := drawChange(t)
			a, err := Parse(name, File)
			if err != nil {
				t.Skip()
			}
			before := p.Clone()
			others := List(factsOf(&before))
			req, err := a.Set(&p, value, able())
			if err != nil || req.Change == 0 {
				if diff := cmp.Diff(before, p); diff != "" {
					t.Fatalf("%q refused (%v) and changed: %s", name, err, diff)
				}
				continue
			}
			got, present := a.Value(factsOf(&p))
			if span := strings.HasPrefix(name, Prefix+"retention"); !present || string(got) != string(value) && !span {
				t.Fatalf("%q = %q is read as %q, %v", name, value, got, present)
			}
			for _, other := range others {
				if strings.EqualFold(other, name) {
					continue
				}
				b, err := Parse(other, File)
				if err != nil {
					t.Fatal(err)
				}
				was, _ := b.Value(factsOf(&before))
				if is, _ := b.Value(factsOf(&p)); string(is) != string(was) {
					t.Fatalf("%q changed %q from %q to %q", name, other, was, is)
				}
			}
		}
		var second backend.Properties
		f := factsOf(&p)
		names := rapid.Permutation(List(f)).Draw(t, "order")
		for _, name := range names {
			a, err := Parse(name, File)
			if err != nil {
				t.Fatal(err)
			}
			value, present := a.Value(f)
			if _, err := a.Set(&second, value, able()); err != nil || !present {
				t.Fatalf("%q = %q, %v cannot be copied: %v", name, value, present, err)
			}
		}
		if got := List(factsOf(&second)); !slices.Equal(got, List(f)) {
			t.Fatalf("copied %q, got %q", List(f), got)
		}
		if p.StorageClass == standard {
			p.StorageClass = ""
		}
		if diff := cmp.Diff(factsOf(&p), factsOf(&second), cmp.Comparer(func(a, b map[string]string) bool { return maps.Equal(a, b) })); diff != "" {
			t.Fatal(diff)
		}
	})
}
