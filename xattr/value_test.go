package xattr

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/objmount/objmount/backend"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func pointer[T any](v T) *T { return &v }

// full are the facts of an object that has everything.
func full() *Facts {
	later := noon.AddDate(0, 1, 0)
	return &Facts{
		Now: noon, Capabilities: backend.Capabilities{ObjectLock: true},
		Object: backend.Object{
			Bucket: "b", Key: "k", ETag: "e1", VersionID: "v1", Size: 7, LastModified: noon.Add(5 * time.Millisecond), StorageClass: "GLACIER", HasMetadata: true,
			Headers: backend.Headers{
				ContentType: "text/x-log", CacheControl: "no-cache", ContentDisposition: "inline", ContentEncoding: "gzip", ContentLanguage: "de",
				Expires: "Wed, 21 Oct 2026 07:28:00 GMT", WebsiteRedirect: "/x",
			},
			Metadata: map[string]string{
				"colour": "red", "empty": "", "file-mtime": "1ns", "mode": "33188", "objmount-generation": "g", "objmount-attributes-since": "1",
				"xattr-note": "two words", "xattr-bytes": "base64:AP8=", "xattr-_broken": "x", "raw": "\xff", "bad key": "x",
			},
			Encryption: backend.Encryption{Algorithm: "aws:kms", KMSKeyID: "arn:aws:kms:eu-west-1:1:key/2"},
			CRC64NVME:  "AAAAAAAAAAA=", Replication: "COMPLETED",
			Lock:    backend.ObjectLock{Retention: backend.Retention{Mode: backend.Compliance, Until: later}, LegalHold: true},
			Restore: `ongoing-request="false", expiry-date="Fri, 27 Nov 2026 00:00:00 GMT"`,
		},
		Tags:        map[string]string{"project": "apollo"},
		Description: &backend.Description{Checksums: map[string]string{"sha256": "c2hh-3"}, ChecksumType: "COMPOSITE", Parts: 3, PartSize: 8 << 20},
		Owner:       "ann", URL: "https://s/b/k?X-Amz-Signature=1", PublicURL: "https://cdn/k", UploadState: "stored",
		Versions: []backend.Version{
			{Object: backend.Object{VersionID: "v2", LastModified: noon}, Latest: true, DeleteMarker: true},
			{Object: backend.Object{VersionID: "v1", LastModified: noon.Add(-time.Hour), Size: 7, ETag: "e1"}},
		},
		Annotations:      map[string]int64{"summary": 2, "huge": MaxValue + 1, "xattr-big": 70},
		AnnotationValues: map[string][]byte{"summary": []byte("hi"), "xattr-big": []byte("large")},
		Bucket: BucketFacts{
			Versioning: pointer("Enabled"), Region: "eu-west-1", Created: noon, Lock: &backend.BucketLock{Enabled: true, Mode: backend.Governance, Days: 30},
			Encryption: &backend.Encryption{Algorithm: "AES256"}, Public: pointer(false), Usage: &Usage{Bytes: 5000, Objects: 2},
		},
	}
}

// objectValues has a line for every name of files; a name without one is a failure below.
var objectValues = map[string]string{
	"user.s3.content-type": "text/x-log", "user.s3.cache-control": "no-cache", "user.s3.content-disposition": "inline", "user.s3.content-encoding": "gzip",
	"user.s3.content-language": "de", "user.s3.expires": "Wed, 21 Oct 2026 07:28:00 GMT", "user.s3.website-redirect": "/x",
	"user.s3.tag.project": "apollo", "user.s3.meta.colour": "red", "user.s3.meta.COLOUR": "red", "user.s3.meta.empty": "", "user.s3.meta.raw": "\xff",
	"user.s3.annotation.summary": "hi", "user.s3.storage-class": "GLACIER", "user.s3.encryption": "aws:kms:arn:aws:kms:eu-west-1:1:key/2",
	"user.s3.retention": "COMPLIANCE 2026-12-21T12:00:00Z", "user.s3.retention.mode": "COMPLIANCE", "user.s3.retention.until": "2026-12-21T12:00:00Z",
	"user.s3.legal-hold": "on", "user.s3.restore": "until 2026-11-27T00:00:00Z", "user.s3.etag": "e1", "user.s3.version-id": "v1",
	"user.s3.last-modified": "2026-11-21T12:00:00.005Z", "user.s3.replication": "COMPLETED", "user.s3.parts": "3", "user.s3.part-size": "8388608",
	"user.s3.checksum.sha256": "c2hh-3", "user.s3.checksum.CRC64NVME": "AAAAAAAAAAA=", "user.s3.checksum.type": "COMPOSITE", "user.s3.owner": "ann",
	"user.s3.versions": `{"version":"v2","last_modified":"2026-11-21T12:00:00Z","latest":true,"deleted":true}
{"version":"v1","last_modified":"2026-11-21T11:00:00Z","size":7,"etag":"e1"}
`,
	"user.s3.url": "https://s/b/k?X-Amz-Signature=1", "user.s3.public-url": "https://cdn/k", "user.s3.upload-state": "stored",
	"user.note": "two words", "user.bytes": "\x00\xff", "user.big": "large",
}

var bucketValues = map[string]string{
	"user.s3.tag.project": "apollo", "user.s3.meta.colour": "red", "user.note": "two words",
	"user.s3.bucket.versioning": "Enabled", "user.s3.bucket.region": "eu-west-1", "user.s3.bucket.object-lock": "on GOVERNANCE 30d",
	"user.s3.bucket.encryption": "AES256", "user.s3.bucket.created": "2026-11-21T12:00:00Z", "user.s3.bucket.public": "no",
	"user.s3.bucket.size": "5000", "user.s3.bucket.count": "2",
	"user.s3.bucket.file-size-limit": "5", "user.s3.bucket.allowed-mime-types": "image/*,text/csv",
}

func mustParse(t testing.TB, name string, scope Scope) Attribute {
	t.Helper()
	a, err := Parse(name, scope)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestValues(t *testing.T) {
	t.Parallel()
	seen := map[*row]bool{&everything: true}
	for scope, values := range map[Scope]map[string]string{File: objectValues, Bucket: bucketValues} {
		f := full()
		f.Scope = scope
		if scope == Bucket {
			f.Tags["objmount-file-size-limit"], f.Tags["objmount-allowed-mime-types"] = "5", "image/ text/csv"
		}
		for name, want := range values {
			a := mustParse(t, name, scope)
			seen[a.row] = true
			if got, present := a.Value(f); !present || string(got) != want {
				t.Errorf("%s of a %v is %q, %v; want %q", name, scope, got, present, want)
			}
			if got, present := a.Value(&Facts{Scope: scope}); present {
				t.Errorf("%s is %q where nothing is known", name, got)
			}
			if a.Needs() == 0 {
				t.Errorf("%s needs nothing", name)
			}
		}
	}
	for _, r := range append([]*row{&other}, tableRows()...) {
		if !seen[r] {
			t.Errorf("no value of %q is tried", r.name)
		}
	}
}

func tableRows() (all []*row) {
	for i := range rows {
		all = append(all, &rows[i])
	}
	return all
}

func TestAbsentValues(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"user.s3.tag.Project", "user.s3.meta.nothing", "user.s3.meta.mode", "user.s3.meta.file-mtime", "user.s3.meta.objmount-generation", "user.s3.meta.xattr-note",
		"user.Note", "user._broken", "user.-broken", "user.s3.annotation.nothing", "user.s3.annotation.xattr-big", "user.s3.checksum.md5", "user.s3.bucket.region",
	} {
		if got, present := mustParse(t, name, File).Value(full()); present {
			t.Errorf("%s is %q", name, got)
		}
	}
	f := full()
	f.Scope = Bucket
	for _, name := range []string{"user.s3.etag", "user.s3.content-type", "user.s3.retention"} {
		a := mustParse(t, name, Bucket)
		if got, present := a.Value(f); present || a.Needs() != 0 {
			t.Errorf("%s of a bucket is %q and needs %b", name, got, a.Needs())
		}
	}
}

func TestOtherWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		scope  Scope
		change func(f *Facts)
		want   string
	}{
		{"user.s3.storage-class", File, func(f *Facts) { f.Object.StorageClass = "" }, "STANDARD"},
		{"user.s3.encryption", File, func(f *Facts) { f.Object.Encryption = backend.Encryption{Algorithm: "AES256"} }, "AES256"},
		{"user.s3.legal-hold", File, func(f *Facts) { f.Object.Lock.LegalHold = false }, "off"},
		{"user.s3.restore", File, func(f *Facts) { f.Object.Restore = `ongoing-request="true"` }, "ongoing"},
		{"user.s3.restore", File, func(f *Facts) { f.Object.Restore = "something else" }, "something else"},
		{"user.s3.bucket.versioning", Bucket, func(f *Facts) { f.Bucket.Versioning = pointer("") }, "Off"},
		{"user.s3.bucket.object-lock", Bucket, func(f *Facts) { f.Bucket.Lock = &backend.BucketLock{} }, "off"},
		{"user.s3.bucket.object-lock", Bucket, func(f *Facts) { f.Bucket.Lock = &backend.BucketLock{Enabled: true} }, "on"},
		{"user.s3.bucket.object-lock", Bucket, func(f *Facts) {
			f.Bucket.Lock = &backend.BucketLock{Enabled: true, Mode: backend.Compliance, Years: 2}
		}, "on COMPLIANCE 2y"},
		{"user.s3.bucket.public", Bucket, func(f *Facts) { f.Bucket.Public = pointer(true) }, "yes"},
	} {
		f := full()
		f.Scope = c.scope
		c.change(f)
		if got, present := mustParse(t, c.name, c.scope).Value(f); !present || string(got) != c.want {
			t.Errorf("%s is %q, %v; want %q", c.name, got, present, c.want)
		}
	}
}

func TestAsManyVersionsAsFit(t *testing.T) {
	t.Parallel()
	f := full()
	f.Versions = slices.Repeat(f.Versions, 1000)
	got, present := mustParse(t, "user.s3.versions", File).Value(f)
	if lines := strings.Count(string(got), "\n"); !present || len(got) > MaxValue || len(got) < MaxValue-200 || lines < 500 || got[len(got)-1] != '\n' {
		t.Errorf("%d bytes, %d lines", len(got), lines)
	}
}

func TestWithoutAHeadThereIsNoObject(t *testing.T) {
	t.Parallel()
	f := full()
	f.Object.HasMetadata = false
	for name := range objectValues {
		a := mustParse(t, name, File)
		if got, present := a.Value(f); present && a.Needs().Has(NeedObject) {
			t.Errorf("%s is %q", name, got)
		}
	}
}

func TestAnnotationsThatMustBeFetched(t *testing.T) {
	t.Parallel()
	f := full()
	for name, want := range map[string]string{
		"user.big": "xattr-big", "user.note": "", "user.nothing": "", "user.s3.annotation.summary": "summary", "user.s3.annotation.nothing": "",
		"user.s3.annotation.xattr-big": "", "user.s3.etag": "",
	} {
		if got := mustParse(t, name, File).Annotation(f); got != want {
			t.Errorf("%s is in the annotation %q, want %q", name, got, want)
		}
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	f := full()
	f.Tags[strings.Repeat("k", 245)] = "too long a name for Linux"
	want := []string{
		"user.big", "user.bytes", "user.note", "user.s3.annotation.summary", "user.s3.cache-control", "user.s3.content-disposition", "user.s3.content-encoding",
		"user.s3.content-language", "user.s3.content-type", "user.s3.expires", "user.s3.legal-hold", "user.s3.meta.colour", "user.s3.meta.empty",
		"user.s3.retention", "user.s3.storage-class", "user.s3.tag.project", "user.s3.website-redirect",
	}
	if diff := cmp.Diff(want, List(f)); diff != "" {
		t.Error(diff)
	}
	for _, name := range List(f) {
		a := mustParse(t, name, File)
		if _, present := a.Value(f); !present || !ListNeeds(File).Has(a.Needs()) {
			t.Errorf("%s is listed and not there (needs %b)", name, a.Needs())
		}
	}
	f.Scope = Bucket
	want = []string{"user.big", "user.bytes", "user.note", "user.s3.meta.colour", "user.s3.meta.empty", "user.s3.tag.project"}
	if diff := cmp.Diff(want, List(f)); diff != "" {
		t.Error(diff)
	}
}

// What cp -a would carry to another filesystem and back without anybody having set it.
func TestListIsSilentAboutWhatNobodySet(t *testing.T) {
	t.Parallel()
	f := &Facts{Now: noon, GuessedType: "text/x-log", Capabilities: backend.Capabilities{ObjectLock: true}, Object: backend.Object{
		ETag: "e", HasMetadata: true, StorageClass: "STANDARD", Headers: backend.Headers{ContentType: "text/x-log", Expires: "0"},
		Metadata:   map[string]string{"file-permissions": "0100644", "uid": "5", "objmount-generation": "g", "symlink-target": "x", "symlink-target-2": "y", "raw": "\xff", "lines": "a\nb"},
		Encryption: backend.Encryption{Algorithm: "AES256"}, Lock: backend.ObjectLock{Retention: backend.Retention{Mode: backend.Governance, Until: noon}},
	}}
	if got := List(f); len(got) != 0 {
		t.Errorf("listed: %q", got)
	}
	f.GuessedType, f.Object.Headers.ContentType = "application/pdf", "binary/octet-stream"
	if got := List(f); len(got) != 0 {
		t.Errorf("listed of what was uploaded without a type: %q", got)
	}
	if got := List(&Facts{}); len(got) != 0 {
		t.Errorf("listed where nothing is known: %q", got)
	}
}

// What the bucket gives to everything nobody set.
func TestListIsSilentAboutTheRetentionOfTheBucket(t *testing.T) {
	t.Parallel()
	leap := time.Date(2028, 2, 29, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		stored, until time.Time
		mode          backend.RetentionMode
		rule          *backend.BucketLock
		listed        bool
	}{
		{noon, noon.AddDate(0, 0, 30), backend.Governance, &backend.BucketLock{Enabled: true, Mode: backend.Governance, Days: 30}, false},
		{noon, noon.AddDate(0, 0, 30).Add(700 * time.Millisecond), backend.Governance, &backend.BucketLock{Enabled: true, Mode: backend.Governance, Days: 30}, false},
		{leap, leap.AddDate(3, 0, 0), backend.Compliance, &backend.BucketLock{Enabled: true, Mode: backend.Compliance, Years: 3}, false},
		{noon, noon.AddDate(0, 0, 30).Add(time.Minute), backend.Governance, &backend.BucketLock{Enabled: true, Mode: backend.Governance, Days: 30}, true},
		{noon, noon.AddDate(0, 0, 29), backend.Governance, &backend.BucketLock{Enabled: true, Mode: backend.Governance, Days: 30}, true},
		{noon, noon.AddDate(0, 0, 30), backend.Compliance, &backend.BucketLock{Enabled: true, Mode: backend.Governance, Days: 30}, true},
		{noon, noon.AddDate(0, 0, 30), backend.Governance, &backend.BucketLock{Enabled: true}, true},
		{noon, noon.AddDate(0, 0, 30), backend.Governance, nil, true},
		{time.Time{}, noon.AddDate(0, 0, 30), backend.Governance, &backend.BucketLock{Enabled: true, Mode: backend.Governance, Days: 30}, true},
	} {
		f := &Facts{Now: noon, Object: backend.Object{
			HasMetadata: true, LastModified: c.stored, Lock: backend.ObjectLock{Retention: backend.Retention{Mode: c.mode, Until: c.until}},
		}}
		f.Bucket.Lock = c.rule
		if listed := slices.Contains(List(f), "user.s3.retention"); listed != c.listed {
			t.Errorf("%+v: listed %v", c, listed)
		}
		if _, there := mustParse(t, "user.s3.retention", File).Value(f); !there {
			t.Errorf("%+v is not there", c)
		}
	}
}
