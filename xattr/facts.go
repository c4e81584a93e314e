package xattr

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/objmount/objmount/backend"
)

func parts(f *Facts) string {
	if f.Description == nil {
		return ""
	}
	return positive(int64(f.Description.Parts))
}

func partSize(f *Facts) string {
	if f.Description == nil {
		return ""
	}
	return positive(f.Description.PartSize)
}

func positive(n int64) string {
	if n <= 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// checksums are those of the description, and the one that a HEAD tells.
func checksums(f *Facts) map[string]string {
	sums := map[string]string{}
	if f.Object.CRC64NVME != "" {
		sums["crc64nvme"] = f.Object.CRC64NVME
	}
	if f.Description != nil {
		for algorithm, sum := range f.Description.Checksums {
			sums[algorithm] = sum
		}
	}
	return sums
}

func checksum(a Attribute, f *Facts) ([]byte, bool) {
	sum := checksums(f)[a.key]
	return []byte(sum), sum != ""
}

func checksumType(f *Facts) string {
	if f.Description == nil {
		return ""
	}
	return f.Description.ChecksumType
}

// versionLine is one line of user.s3.versions.
type versionLine struct {
	Version      string `json:"version"`
	LastModified string `json:"last_modified"`
	Size         *int64 `json:"size,omitempty"`
	ETag         string `json:"etag,omitempty"`
	Latest       bool   `json:"latest,omitempty"`
	Deleted      bool   `json:"deleted,omitempty"`
}

// versions is one JSON document a line, as many lines as fit.
func versions(_ Attribute, f *Facts) ([]byte, bool) {
	var b bytes.Buffer
	for _, v := range f.Versions {
		line := versionLine{Version: v.VersionID, LastModified: instant(v.LastModified), ETag: v.ETag, Latest: v.Latest, Deleted: v.DeleteMarker}
		if !v.DeleteMarker {
			line.Size = &v.Size
		}
		text := encodeJSON(line, "")
		if b.Len()+len(text) > MaxValue {
			break
		}
		b.Write(text)
	}
	return b.Bytes(), b.Len() > 0
}

// encodeJSON ends in a newline. The types of this package cannot fail.
func encodeJSON(v any, indent string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func bucketVersioning(f *Facts) string {
	status := f.Bucket.Versioning
	switch {
	case status == nil:
		return ""
	case *status == "":
		return "Off"
	}
	return *status
}

func setBucketVersioning(a Attribute, _ *backend.Properties, value []byte, _ Rules) (Request, error) {
	switch status := string(value); status {
	case "Enabled", "Suspended":
		return Request{Change: ChangeBucketVersioning, Versioning: status}, nil
	}
	return Request{}, a.refuse(ErrValue, "Enabled or Suspended")
}

func bucketLock(f *Facts) string {
	lock := f.Bucket.Lock
	switch {
	case lock == nil:
		return ""
	case !lock.Enabled:
		return "off"
	case lock.Mode == backend.NoRetention:
		return "on"
	case lock.Years > 0:
		return "on " + string(lock.Mode) + " " + strconv.Itoa(lock.Years) + "y"
	}
	return "on " + string(lock.Mode) + " " + strconv.Itoa(lock.Days) + "d"
}

func bucketEncryption(f *Facts) string {
	if f.Bucket.Encryption == nil {
		return ""
	}
	return encryptionText(*f.Bucket.Encryption)
}

func bucketPublic(f *Facts) string {
	switch {
	case f.Bucket.Public == nil:
		return ""
	case *f.Bucket.Public:
		return "yes"
	}
	return "no"
}

func bucketSize(f *Facts) string {
	if f.Bucket.Usage == nil {
		return ""
	}
	return strconv.FormatInt(f.Bucket.Usage.Bytes, 10)
}

func bucketCount(f *Facts) string {
	if f.Bucket.Usage == nil {
		return ""
	}
	return strconv.FormatInt(f.Bucket.Usage.Objects, 10)
}
