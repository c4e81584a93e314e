package xattr

import (
	"strings"
	"unicode/utf8"
)

// document is the value of Root for a file or directory.
type document struct {
	Bucket         string            `json:"bucket,omitempty"`
	Key            string            `json:"key,omitempty"`
	Size           *int64            `json:"size,omitempty"`
	ETag           string            `json:"etag,omitempty"`
	VersionID      string            `json:"version_id,omitempty"`
	DeleteMarker   bool              `json:"delete_marker,omitempty"`
	LastModified   string            `json:"last_modified,omitempty"`
	StorageClass   string            `json:"storage_class,omitempty"`
	Headers        map[string]string `json:"headers,omitempty"`
	Tags           map[string]string `json:"tags,omitempty"`
	Metadata       map[string]string `json:"metadata,omitempty"`
	Attributes     map[string]any    `json:"attributes,omitempty"`
	Annotations    map[string]int64  `json:"annotations,omitempty"`
	Encryption     string            `json:"encryption,omitempty"`
	RetentionMode  string            `json:"retention_mode,omitempty"`
	RetentionUntil string            `json:"retention_until,omitempty"`
	LegalHold      string            `json:"legal_hold,omitempty"`
	Restore        string            `json:"restore,omitempty"`
	Replication    string            `json:"replication,omitempty"`
	Checksums      map[string]string `json:"checksums,omitempty"`
	ChecksumType   string            `json:"checksum_type,omitempty"`
	Parts          int               `json:"parts,omitempty"`
	PartSize       int64             `json:"part_size,omitempty"`
	Owner          string            `json:"owner,omitempty"`
	PublicURL      string            `json:"public_url,omitempty"`
	UploadState    string            `json:"upload_state,omitempty"`
}

// bucketDocument is the value of Root for a bucket.
type bucketDocument struct {
	Bucket     string            `json:"bucket,omitempty"`
	Tags       map[string]string `json:"tags,omitempty"`
	Versioning string            `json:"versioning,omitempty"`
	Region     string            `json:"region,omitempty"`
	ObjectLock string            `json:"object_lock,omitempty"`
	Encryption string            `json:"encryption,omitempty"`
	Created    string            `json:"created,omitempty"`
	Public     string            `json:"public,omitempty"`
	Size       *int64            `json:"size,omitempty"`
	Count      *int64            `json:"count,omitempty"`
	SizeLimit  int64             `json:"file_size_limit,omitempty"`
	Types      []string          `json:"allowed_mime_types,omitempty"`
}

// JSON returns everything that is known as one indented document that ends in a newline. Values of
// user.NAME that are no text are {"base64": "..."}. The presigned URL, which is another one every
// time, and the versions have their own names.
func JSON(f *Facts) []byte {
	if f.Scope == Bucket {
		return encodeJSON(bucketJSON(f), "  ")
	}
	o := &f.Object
	doc := document{
		Bucket: o.Bucket, Key: o.Key, ETag: o.ETag, VersionID: o.VersionID, DeleteMarker: f.DeleteMarker, LastModified: instant(o.LastModified),
		StorageClass: storageClass(f), Headers: map[string]string{}, Tags: f.Tags, Metadata: map[string]string{}, Attributes: map[string]any{},
		Annotations: map[string]int64{}, Encryption: encryption(f), RetentionMode: retentionMode(f), RetentionUntil: retentionUntil(f),
		LegalHold: legalHold(f), Restore: restoreState(f), Replication: o.Replication, Checksums: checksums(f), ChecksumType: checksumType(f),
		Owner: f.Owner, PublicURL: f.PublicURL, UploadState: f.UploadState,
	}
	if o.HasMetadata {
		doc.Size = &o.Size
	}
	if f.Description != nil {
		doc.Parts, doc.PartSize = f.Description.Parts, f.Description.PartSize
	}
	for i := range headerRows {
		if value, present := headerRows[i].value(Attribute{}, f); present {
			doc.Headers[headerRows[i].name] = string(value)
		}
	}
	for key, value := range o.Metadata {
		if !Reserved(key) {
			doc.Metadata[key] = value
		}
	}
	for _, name := range otherKeys(f) {
		if value, present := joinPieces(o.Metadata, name); present {
			doc.Attributes[name] = jsonValue(value)
		}
	}
	for name, size := range f.Annotations {
		if name, _, ours := decodeName(name); ours {
			if _, there := doc.Attributes[name]; !there {
				doc.Attributes[name] = map[string]int64{"size": size}
			}
			continue
		}
		doc.Annotations[name] = size
	}
	return encodeJSON(doc, "  ")
}

func bucketJSON(f *Facts) bucketDocument {
	doc := bucketDocument{
		Bucket: f.Object.Bucket, Tags: f.Tags, Versioning: bucketVersioning(f), Region: f.Bucket.Region, ObjectLock: bucketLock(f),
		Encryption: bucketEncryption(f), Created: instant(f.Bucket.Created), Public: bucketPublic(f),
	}
	limits := limitsOf(f.Tags)
	doc.SizeLimit, doc.Types = limits.FileSize, limits.Types
	if usage := f.Bucket.Usage; usage != nil {
		doc.Size, doc.Count = &usage.Bytes, &usage.Objects
	}
	return doc
}

func jsonValue(value []byte) any {
	if utf8.Valid(value) && !strings.ContainsRune(string(value), 0) {
		return string(value)
	}
	return map[string][]byte{"base64": value}
}
