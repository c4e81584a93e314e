package xattr

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/backend"
)

func TestJSON(t *testing.T) {
	t.Parallel()
	const want = `{
  "bucket": "b",
  "key": "k",
  "size": 7,
  "etag": "e1",
  "version_id": "v1",
  "last_modified": "2026-11-21T12:00:00.005Z",
  "storage_class": "GLACIER",
  "headers": {
    "cache-control": "no-cache",
    "content-disposition": "inline",
    "content-encoding": "gzip",
    "content-language": "de",
    "content-type": "text/x-log",
    "expires": "Wed, 21 Oct 2026 07:28:00 GMT",
    "website-redirect": "/x"
  },
  "tags": {
    "project": "apollo"
  },
  "metadata": {
    "bad key": "x",
    "colour": "red",
    "empty": "",
    "raw": "\ufffd"
  },
  "attributes": {
    "big": {
      "size": 70
    },
    "bytes": {
      "base64": "AP8="
    },
    "note": "two words"
  },
  "annotations": {
    "huge": 65537,
    "summary": 2
  },
  "encryption": "aws:kms:arn:aws:kms:eu-west-1:1:key/2",
  "retention_mode": "COMPLIANCE",
  "retention_until": "2026-12-21T12:00:00Z",
  "legal_hold": "on",
  "restore": "until 2026-11-27T00:00:00Z",
  "replication": "COMPLETED",
  "checksums": {
    "crc64nvme": "AAAAAAAAAAA=",
    "sha256": "c2hh-3"
  },
  "checksum_type": "COMPOSITE",
  "parts": 3,
  "part_size": 8388608,
  "owner": "ann",
  "public_url": "https://cdn/k",
  "upload_state": "stored"
}
`
	a := mustParse(t, Root, File)
	got, present := a.Value(full())
	if diff := cmp.Diff(want, string(got)); diff != "" || !present {
		t.Error(diff)
	}
	if !a.Needs().Has(NeedObject | NeedTags | NeedDescription | NeedOwner | NeedUpload) {
		t.Errorf("needs %b", a.Needs())
	}
	if got := JSON(&Facts{}); !json.Valid(got) {
		t.Errorf("nothing known: %s", got)
	}
}

func TestJSONOfLimits(t *testing.T) {
	t.Parallel()
	got := string(JSON(&Facts{Scope: Bucket, Tags: map[string]string{"objmount-file-size-limit": "5", "objmount-allowed-mime-types": "image/ nonsense"}}))
	for _, want := range []string{`"file_size_limit": 5`, `"allowed_mime_types": [
    "image/*"
  ]`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s has no %s", got, want)
		}
	}
}

func TestJSONOfBuckets(t *testing.T) {
	t.Parallel()
	const want = `{
  "bucket": "b",
  "tags": {
    "project": "apollo"
  },
  "versioning": "Enabled",
  "region": "eu-west-1",
  "object_lock": "on GOVERNANCE 30d",
  "encryption": "AES256",
  "created": "2026-11-21T12:00:00Z",
  "public": "no",
  "size": 5000,
  "count": 2
}
`
	f := full()
	f.Scope = Bucket
	got, _ := mustParse(t, Root, Bucket).Value(f)
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

// A delete marker has two attributes and the document, also when it is asked in a bucket that can do more.
func TestDeleteMarker(t *testing.T) {
	t.Parallel()
	f := &Facts{
		Now: noon, DeleteMarker: true, Object: backend.Object{Bucket: "docs", Key: "report.pdf", VersionID: "v2", LastModified: noon.Add(5 * time.Millisecond)},
		Capabilities: backend.Capabilities{ObjectLock: true, Tagging: true, Classes: true}, PublicURL: "https://docs/report.pdf", Tags: map[string]string{"a": "b"},
	}
	there := map[string]string{"user.s3.version-id": "v2", "user.s3.last-modified": "2026-11-21T12:00:00.005Z"}
	for _, name := range []string{"version-id", "last-modified", "etag", "legal-hold", "retention", "storage-class", "public-url", "tag.a", "versions", "encryption"} {
		value, present := mustParse(t, "user.s3."+name, File).Value(f)
		if want, is := there["user.s3."+name]; present != is || string(value) != want {
			t.Errorf("%s: %q, %v", name, value, present)
		}
	}
	var document map[string]any
	value, present := mustParse(t, "user.s3", File).Value(f)
	if err := json.Unmarshal(value, &document); err != nil || !present || document["delete_marker"] != true || document["version_id"] != "v2" || document["size"] != nil {
		t.Errorf("%s: %v", value, err)
	}
}
