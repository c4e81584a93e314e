package xattr

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/objmount/objmount/backend"
)

// able are the rules of a store that has everything but annotations.
func able() Rules {
	return Rules{Now: noon, Capabilities: backend.Capabilities{Tagging: true, ObjectLock: true, Classes: true, Underscores: true, Limits: backend.S3Limits()}}
}

type props = backend.Properties

func headers(h backend.Headers) props      { return props{Headers: h} }
func meta(kv ...string) props              { return props{Metadata: pairs(kv)} }
func tags(kv ...string) props              { return props{Tags: pairs(kv)} }
func retained(r backend.Retention) props   { return props{Lock: backend.ObjectLock{Retention: r}} }
func encrypted(e backend.Encryption) props { return props{Encryption: e} }
func only(c Change) Request                { return Request{Change: c} }
func until(mode backend.RetentionMode, days int) props {
	return retained(backend.Retention{Mode: mode, Until: noon.AddDate(0, 0, days)})
}

func pairs(kv []string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(kv); i += 2 {
		m[kv[i]] = kv[i+1]
	}
	return m
}

func TestSet(t *testing.T) {
	t.Parallel()
	kms := backend.Encryption{Algorithm: "aws:kms", KMSKeyID: "k:1", BucketKey: true}
	for _, c := range []struct {
		name, value string
		before      props
		after       props
		want        Request
	}{
		{"user.s3.content-type", "a/b", headers(backend.Headers{ContentType: "x/y", CacheControl: "no-cache"}), headers(backend.Headers{ContentType: "a/b", CacheControl: "no-cache"}), only(ChangeProperties)},
		{"user.s3.content-type", "a/b", headers(backend.Headers{ContentType: "a/b"}), headers(backend.Headers{ContentType: "a/b"}), only(0)},
		{"user.s3.cache-control", "no-cache", props{}, headers(backend.Headers{CacheControl: "no-cache"}), only(ChangeProperties)},
		{"user.s3.content-disposition", `attachment; filename="a b"`, props{}, headers(backend.Headers{ContentDisposition: `attachment; filename="a b"`}), only(ChangeProperties)},
		{"user.s3.content-encoding", "gzip", props{}, headers(backend.Headers{ContentEncoding: "gzip"}), only(ChangeProperties)},
		{"user.s3.content-language", "de", props{}, headers(backend.Headers{ContentLanguage: "de"}), only(ChangeProperties)},
		{"user.s3.expires", "2026-10-21T09:28:00+02:00", props{}, headers(backend.Headers{Expires: "Wed, 21 Oct 2026 07:28:00 GMT"}), only(ChangeProperties)},
		{"user.s3.expires", "Wed, 21 Oct 2026 07:28:00 GMT", props{}, headers(backend.Headers{Expires: "Wed, 21 Oct 2026 07:28:00 GMT"}), only(ChangeProperties)},
		{"user.s3.website-redirect", "https://x/y", props{}, headers(backend.Headers{WebsiteRedirect: "https://x/y"}), only(ChangeProperties)},
		{"user.s3.tag.a/b é", "v @", tags("k", "v"), tags("k", "v", "a/b é", "v @"), only(ChangeTags)},
		{"user.s3.tag.k", "", props{}, tags("k", ""), only(ChangeTags)},
		{"user.s3.tag.k", "v", tags("k", "v"), tags("k", "v"), only(0)},
		{"user.s3.meta.Colour", "réd", meta("size", "1"), meta("size", "1", "colour", "réd"), only(ChangeProperties)},
		{"user.s3.meta.colour", "", props{}, meta("colour", ""), only(ChangeProperties)},
		{"user.s3.meta.a_b", "x", props{}, meta("a_b", "x"), only(ChangeProperties)},
		{"user.note", "\x00", meta("xattr-note", "x", "xattr-note-z2", "y"), meta("xattr-note", "base64:AA=="), only(ChangeProperties)},
		{"user.note", "x", meta("xattr-note", "x"), meta("xattr-note", "x"), only(0)},
		{"user.s3.storage-class", "STANDARD_IA", props{}, props{StorageClass: "STANDARD_IA"}, only(ChangeProperties | ChangeClass)},
		{"user.s3.storage-class", "STANDARD", props{}, props{}, only(0)},
		{"user.s3.encryption", "AES256", props{}, encrypted(backend.Encryption{Algorithm: "AES256"}), only(ChangeEncryption)},
		{"user.s3.encryption", "aws:kms:k:2", encrypted(kms), encrypted(backend.Encryption{Algorithm: "aws:kms", KMSKeyID: "k:2", BucketKey: true}), only(ChangeEncryption)},
		{"user.s3.encryption", "aws:kms:dsse:k", encrypted(kms), encrypted(backend.Encryption{Algorithm: "aws:kms:dsse", KMSKeyID: "k"}), only(ChangeEncryption)},
		{"user.s3.encryption", "aws:kms:dsse", props{}, encrypted(backend.Encryption{Algorithm: "aws:kms:dsse"}), only(ChangeEncryption)},
		{"user.s3.encryption", "", encrypted(kms), props{}, only(ChangeProperties)},
		{"user.s3.retention", "COMPLIANCE 2026-12-21T13:00:00+01:00", props{}, until(backend.Compliance, 30), only(ChangeRetention)},
		{"user.s3.retention", "GOVERNANCE 30d", until(backend.Governance, 1), until(backend.Governance, 30), only(ChangeRetention)},
		{"user.s3.retention.until", "1y", props{}, until(backend.Governance, 365), only(ChangeRetention)},
		{"user.s3.retention.until", "30d", until(backend.Compliance, 1), until(backend.Compliance, 30), only(ChangeRetention)},
		{"user.s3.retention.until", "30d", until(backend.Compliance, 30), until(backend.Compliance, 30), only(0)},
		{"user.s3.retention.mode", "COMPLIANCE", until(backend.Governance, 30), until(backend.Compliance, 30), only(ChangeRetention)},
		{"user.s3.legal-hold", "on", until(backend.Governance, 1), props{Lock: backend.ObjectLock{LegalHold: true, Retention: until(backend.Governance, 1).Lock.Retention}}, only(ChangeLegalHold)},
		{"user.s3.legal-hold", "off", props{}, props{}, only(0)},
		{"user.s3.restore", "7d:Bulk", props{}, props{}, Request{Change: ChangeRestore, Days: 7, Tier: "Bulk"}},
		{"user.s3.restore", "7", props{}, props{}, Request{Change: ChangeRestore, Days: 7}},
	} {
		got := c.before.Clone()
		req, err := mustParse(t, c.name, File).Set(&got, []byte(c.value), able())
		if diff := cmp.Diff(c.want, req); err != nil || diff != "" {
			t.Errorf("%s = %q: %v %s", c.name, c.value, err, diff)
		}
		if diff := cmp.Diff(c.after, got); diff != "" {
			t.Errorf("%s = %q: %s", c.name, c.value, diff)
		}
	}
}

func TestSetOfBuckets(t *testing.T) {
	t.Parallel()
	var p props
	r := Rules{Now: noon} // tags of buckets need no Tagging
	for i := range 50 {
		if req, err := mustParse(t, fmt.Sprintf("user.s3.tag.k%d", i), Bucket).Set(&p, []byte("v"), r); err != nil || req.Change != ChangeBucketTags {
			t.Fatal(req, err)
		}
	}
	if _, err := mustParse(t, "user.s3.tag.k50", Bucket).Set(&p, nil, r); !errors.Is(err, ErrNoRoom) {
		t.Errorf("51 tags: %v", err)
	}
	if req, err := mustParse(t, "user.s3.tag.k5", Bucket).Remove(&p, r); err != nil || req.Change != ChangeBucketTags || len(p.Tags) != 49 {
		t.Errorf("remove: %v %v", req, err)
	}
	want := Request{Change: ChangeBucketVersioning, Versioning: "Suspended"}
	if req, err := mustParse(t, "user.s3.bucket.versioning", Bucket).Set(&p, []byte("Suspended"), r); err != nil || !cmp.Equal(req, want) {
		t.Errorf("versioning: %v %v", req, err)
	}
}

// TestLimitsOfBuckets: they are tags, and other tags stay.
func TestLimitsOfBuckets(t *testing.T) {
	t.Parallel()
	p := tags("of", "others")
	r := Rules{Now: noon}
	is := func(want map[string]string) {
		t.Helper()
		if diff := cmp.Diff(want, p.Tags); diff != "" {
			t.Errorf("tags:\n%s", diff)
		}
	}
	set := func(name, value string) {
		t.Helper()
		if req, err := mustParse(t, name, Bucket).Set(&p, []byte(value), r); err != nil || req.Change != ChangeBucketTags {
			t.Fatal(req, err)
		}
	}
	set("user.s3.bucket.file-size-limit", "52428800")
	set("user.s3.bucket.allowed-mime-types", "image/*, application/pdf")
	is(map[string]string{"of": "others", "objmount-file-size-limit": "52428800", "objmount-allowed-mime-types": "application/pdf image/"})
	set("user.s3.tag.objmount-file-size-limit", "7")
	for name, want := range map[string]string{"file-size-limit": "7", "allowed-mime-types": "application/pdf,image/*"} {
		if got, _ := mustParse(t, "user.s3.bucket."+name, Bucket).Value(&Facts{Scope: Bucket, Tags: p.Tags}); string(got) != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"user.s3.bucket.file-size-limit", "user.s3.bucket.allowed-mime-types"} {
		a := mustParse(t, name, Bucket)
		if req, err := a.Remove(&p, r); err != nil || req.Change != ChangeBucketTags {
			t.Errorf("remove %s: %v %v", name, req, err)
		}
		if _, present := a.Value(&Facts{Scope: Bucket, Tags: p.Tags}); present {
			t.Errorf("%s is still there", name)
		}
		if _, err := a.Remove(&p, r); !errors.Is(err, ErrAbsent) {
			t.Errorf("remove %s again: %v", name, err)
		}
	}
	is(map[string]string{"of": "others"})
	for i := range 49 {
		p.Tags[fmt.Sprint(i)] = ""
	}
	if _, err := mustParse(t, "user.s3.bucket.file-size-limit", Bucket).Set(&p, []byte("1"), r); !errors.Is(err, ErrNoRoom) {
		t.Errorf("beside 50 tags: %v", err)
	}
}

// refusals are values that are not taken, and why.
var refusals = []struct {
	name, value string
	scope       Scope
	want        error
}{
	{"user.s3.content-type", "", File, ErrValue},
	{"user.s3.content-type", " a/b", File, ErrValue},
	{"user.s3.content-type", "a\nb", File, ErrValue},
	{"user.s3.content-disposition", "naïve", File, ErrValue},
	{"user.s3.cache-control", strings.Repeat("x", 2049), File, ErrValue},
	{"user.s3.expires", "tomorrow", File, ErrValue},
	{"user.s3.website-redirect", "x", File, ErrValue},
	{"user.s3.tag." + strings.Repeat("k", 129), "", File, ErrTooBig},
	{"user.s3.tag.k", strings.Repeat("é", 257), File, ErrTooBig},
	{"user.s3.tag.k#", "", File, ErrValue},
	{"user.s3.tag.k", "a\tb", File, ErrValue},
	{"user.s3.tag.k", "\xff", File, ErrValue},
	{"user.s3.tag.aws:k", "", File, ErrValue},
	{"user.s3.meta.a b", "", File, ErrValue},
	{"user.s3.meta.k", "\xff", File, ErrValue},
	{"user.s3.meta.k", "a\tb", File, ErrValue},
	{"user.s3.meta.mode", "1", File, ErrValue},
	{"user.s3.meta.File-Mtime", "1", File, ErrValue},
	{"user.s3.meta.objmount-x", "1", File, ErrValue},
	{"user.s3.meta.xattr-x", "1", File, ErrValue},
	{"user.s3.meta.k", strings.Repeat("x", 2048), File, ErrNoRoom},
	{"user.note", strings.Repeat("x", 2048), File, ErrNoRoom},
	{"user.note", strings.Repeat("x", MaxValue+1), File, ErrTooBig},
	{"user.s3.annotation.k", "", File, ErrUnsupported},
	{"user.s3.storage-class", "", File, ErrValue},
	{"user.s3.storage-class", "standard", File, ErrValue},
	{"user.s3.encryption", "aes", File, ErrValue},
	{"user.s3.encryption", "AES256:k", File, ErrValue},
	{"user.s3.encryption", "aws:kms:", File, ErrValue},
	{"user.s3.encryption", "aws:kms:a b", File, ErrValue},
	{"user.s3.retention", "GOVERNANCE", File, ErrValue},
	{"user.s3.retention", "governance 30d", File, ErrValue},
	{"user.s3.retention", "GOVERNANCE 2026-11-21T12:00:00Z", File, ErrValue},
	{"user.s3.retention.until", "soon", File, ErrValue},
	{"user.s3.retention.until", "0d", File, ErrValue},
	{"user.s3.retention.mode", "COMPLIANCE", File, ErrValue},
	{"user.s3.legal-hold", "yes", File, ErrValue},
	{"user.s3.restore", "soon", File, ErrValue},
	{"user.s3.restore", "7d:Fast", File, ErrValue},
	{"user.s3.bucket.versioning", "Off", Bucket, ErrValue},
	{"user.s3.bucket.versioning", "Enabled", File, ErrUnsupported},
	{"user.s3.bucket.file-size-limit", "0", Bucket, ErrValue},
	{"user.s3.bucket.file-size-limit", "50MiB", Bucket, ErrValue},
	{"user.s3.bucket.file-size-limit", "50", Directory, ErrUnsupported},
	{"user.s3.bucket.allowed-mime-types", "pdf", Bucket, ErrValue},
	{"user.s3.bucket.allowed-mime-types", "*/*", Bucket, ErrValue},
	{"user.s3.tag.objmount-file-size-limit", "much", Bucket, ErrValue},
	{"user.s3.tag.objmount-allowed-mime-types-2", "pdf", Bucket, ErrValue},
	{"user.s3.content-type", "a/b", Bucket, ErrUnsupported},
	{"user.s3.restore", "7d", Directory, ErrUnsupported},
}

func TestRefusalsChangeNothing(t *testing.T) {
	t.Parallel()
	for _, c := range refusals {
		before := props{Metadata: map[string]string{"a": "b"}, Tags: map[string]string{"c": "d"}, StorageClass: "GLACIER"}
		got := before.Clone()
		req, err := mustParse(t, c.name, c.scope).Set(&got, []byte(c.value), able())
		if !errors.Is(err, c.want) || req.Change != 0 {
			t.Errorf("%.60s = %.40q: %v %v, want %v", c.name, c.value, req, err, c.want)
		}
		if diff := cmp.Diff(before, got); diff != "" {
			t.Errorf("%.60s = %.40q: %s", c.name, c.value, diff)
		}
	}
}

func TestModeOfARetentionThatIsOver(t *testing.T) {
	t.Parallel()
	p := until(backend.Governance, -1)
	_, err := mustParse(t, "user.s3.retention.mode", File).Set(&p, []byte("COMPLIANCE"), able())
	if !errors.Is(err, ErrValue) || !strings.Contains(err.Error(), "retention.until first") {
		t.Errorf("%v", err)
	}
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	writable := map[string]bool{"tag.": true, "meta.": true, "annotation.": true, "storage-class": true, "encryption": true, "retention": true, "retention.mode": true,
		"retention.until": true, "legal-hold": true, "restore": true, "bucket.versioning": true,
		"bucket.file-size-limit": true, "bucket.allowed-mime-types": true}
	for _, r := range append([]*row{&everything}, tableRows()...) {
		a := Attribute{row: r, name: r.name, key: "k", scope: File}
		if r.scopes == inBucket {
			a.scope = Bucket
		}
		var p props
		_, err := a.Set(&p, []byte("v"), able())
		if readOnly := errors.Is(err, ErrReadOnly); readOnly == (writable[r.name] || r.field != nil) {
			t.Errorf("set %q: %v", r.name, err)
		}
		if _, err := a.Remove(&props{}, able()); !errors.Is(err, ErrReadOnly) && !errors.Is(err, ErrAbsent) {
			t.Errorf("remove %q where it is not: %v", r.name, err)
		}
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		before props
		want   Change
	}{
		{"user.s3.content-type", headers(backend.Headers{ContentType: "a/b"}), ChangeProperties},
		{"user.s3.tag.k", tags("k", "v"), ChangeTags},
		{"user.s3.meta.K", meta("k", "v"), ChangeProperties},
		{"user.note", meta("xattr-note", "x", "xattr-note-z2", "y"), ChangeProperties},
		{"user.s3.storage-class", props{StorageClass: "GLACIER"}, ChangeProperties | ChangeClass},
		{"user.s3.encryption", encrypted(backend.Encryption{Algorithm: "AES256"}), ChangeProperties},
		{"user.s3.retention", until(backend.Governance, 1), ChangeRetention},
		{"user.s3.retention.mode", until(backend.Governance, 1), ChangeRetention},
		{"user.s3.retention.until", until(backend.Governance, 1), ChangeRetention},
		{"user.s3.legal-hold", props{Lock: backend.ObjectLock{LegalHold: true}}, ChangeLegalHold},
	} {
		a := mustParse(t, c.name, File)
		got := c.before.Clone()
		if req, err := a.Remove(&got, able()); err != nil || req.Change != c.want {
			t.Errorf("remove %s: %v %v", c.name, req, err)
		}
		if len(got.Metadata)+len(got.Tags) != 0 || !cmp.Equal(got.Headers, backend.Headers{}) || got.Encryption != (backend.Encryption{}) || got.Lock != (backend.ObjectLock{}) || got.StorageClass != "" {
			t.Errorf("%s leaves %+v", c.name, got)
		}
		if _, err := a.Remove(&got, able()); !errors.Is(err, ErrAbsent) {
			t.Errorf("remove %s twice: %v", c.name, err)
		}
	}
	hidden := meta("mode", "1")
	if _, err := mustParse(t, "user.s3.meta.mode", File).Remove(&hidden, able()); !errors.Is(err, ErrAbsent) || len(hidden.Metadata) != 1 {
		t.Errorf("an attribute of the file is removed: %v", err)
	}
}
