package xattr

import (
	"slices"

	"github.com/objmount/objmount/backend"
)

// scopes is a set of Scope.
type scopes uint8

const (
	inFile      = scopes(1 << File)
	inDirectory = scopes(1 << Directory)
	inBucket    = scopes(1 << Bucket)
	inObject    = inFile | inDirectory
	anywhere    = inObject | inBucket
)

func (s scopes) has(one Scope) bool { return s&(1<<one) != 0 }

type (
	valueFunc  func(a Attribute, f *Facts) (value []byte, present bool)
	setFunc    func(a Attribute, p *backend.Properties, value []byte, r Rules) (Request, error)
	removeFunc func(a Attribute, p *backend.Properties, r Rules) (Request, error)
)

// row is all about one name, or about a family of names that end in a KEY.
type row struct {
	name        string // without Prefix; that of a family ends in "."
	family      bool
	fold        bool // KEY is in lower case
	scopes      scopes
	needs       Need
	bucketNeeds Need // instead of needs, in the scope Bucket; 0: the same
	value       valueFunc
	set         setFunc                        // nil: read only
	remove      removeFunc                     // nil: cannot be removed
	listed      func(f *Facts) bool            // of a single name: worth copying; nil: never
	keys        func(f *Facts) []string        // of a family: the KEYs worth copying; nil: none
	field       func(*backend.Headers) *string // of a header
	annotation  func(Attribute, *Facts) string // whose value is the attribute's
}

// rows are the names below Prefix.
var rows = slices.Concat(headerRows, []row{
	{name: "tag.", family: true, scopes: anywhere, needs: NeedTags, bucketNeeds: NeedTags, value: tagValue, set: setTag, remove: removeTag, keys: tagKeys},
	{name: "meta.", family: true, fold: true, scopes: anywhere, needs: NeedObject, value: metaValue, set: setMeta, remove: removeMeta, keys: metaKeys},
	{name: "annotation.", family: true, scopes: inObject, needs: NeedAnnotations, value: annotationValue, set: setAnnotation, remove: removeAnnotation, keys: annotationKeys, annotation: annotationName},
	{name: "storage-class", scopes: inObject, needs: NeedObject, value: text(storageClass), set: setClass, remove: removeClass, listed: classListed},
	{name: "encryption", scopes: inObject, needs: NeedObject, value: text(encryption), set: setEncryption, remove: removeEncryption},
	{name: "retention", scopes: inObject, needs: NeedObject, value: text(retention), set: setRetention, remove: removeRetention, listed: retentionListed},
	{name: "retention.mode", scopes: inObject, needs: NeedObject, value: text(retentionMode), set: setRetentionMode, remove: removeRetention},
	{name: "retention.until", scopes: inObject, needs: NeedObject, value: text(retentionUntil), set: setRetentionUntil, remove: removeRetention},
	{name: "legal-hold", scopes: inObject, needs: NeedObject, value: text(legalHold), set: setLegalHold, remove: removeLegalHold, listed: legalHoldListed},
	{name: "restore", scopes: inFile, needs: NeedObject, value: text(restoreState), set: setRestore},

	{name: "etag", scopes: inObject, needs: NeedObject, value: text(func(f *Facts) string { return f.Object.ETag })},
	{name: "version-id", scopes: inObject, needs: NeedObject, value: text(func(f *Facts) string { return f.Object.VersionID })},
	{name: "last-modified", scopes: inObject, needs: NeedObject, value: text(func(f *Facts) string { return instant(f.Object.LastModified) })},
	{name: "replication", scopes: inObject, needs: NeedObject, value: text(func(f *Facts) string { return f.Object.Replication })},
	{name: "parts", scopes: inFile, needs: NeedDescription, value: text(parts)},
	{name: "part-size", scopes: inFile, needs: NeedDescription, value: text(partSize)},
	{name: "checksum.", family: true, fold: true, scopes: inFile, needs: NeedObject | NeedDescription, value: checksum},
	{name: "checksum.type", scopes: inFile, needs: NeedDescription, value: text(checksumType)},
	{name: "owner", scopes: inObject, needs: NeedOwner, value: text(func(f *Facts) string { return f.Owner })},
	{name: "versions", scopes: inFile, needs: NeedVersions, value: versions},
	{name: "url", scopes: inFile, needs: NeedURL, value: text(func(f *Facts) string { return f.URL })},
	{name: "public-url", scopes: inFile, needs: NeedPublicURL, value: text(func(f *Facts) string { return f.PublicURL })},
	{name: "upload-state", scopes: inFile, needs: NeedUpload, value: text(func(f *Facts) string { return f.UploadState })},

	{name: "bucket.versioning", scopes: inBucket, needs: NeedVersioning, value: text(bucketVersioning), set: setBucketVersioning},
	{name: "bucket.region", scopes: inBucket, needs: NeedRegion, value: text(func(f *Facts) string { return f.Bucket.Region })},
	{name: "bucket.object-lock", scopes: inBucket, needs: NeedBucketLock, value: text(bucketLock)},
	{name: "bucket.encryption", scopes: inBucket, needs: NeedEncryption, value: text(bucketEncryption)},
	{name: "bucket.created", scopes: inBucket, needs: NeedCreated, value: text(func(f *Facts) string { return instant(f.Bucket.Created) })},
	{name: "bucket.public", scopes: inBucket, needs: NeedPublic, value: text(bucketPublic)},
	{name: "bucket.file-size-limit", scopes: inBucket, needs: NeedTags, value: text(fileSizeLimit), set: setFileSizeLimit, remove: removeFileSizeLimit},
	{name: "bucket.allowed-mime-types", scopes: inBucket, needs: NeedTags, value: text(allowedTypes), set: setAllowedTypes, remove: removeAllowedTypes},
	{name: "bucket.size", scopes: inBucket, needs: NeedUsage, value: text(bucketSize)},
	{name: "bucket.count", scopes: inBucket, needs: NeedUsage, value: text(bucketCount)},
})

var (
	// everything is Root.
	everything = row{
		scopes: anywhere, value: func(_ Attribute, f *Facts) ([]byte, bool) { return JSON(f), true },
		needs:       NeedObject | NeedTags | NeedDescription | NeedOwner | NeedAnnotations | NeedPublicURL | NeedUpload,
		bucketNeeds: NeedTags | NeedVersioning | NeedRegion | NeedBucketLock | NeedEncryption | NeedCreated | NeedPublic | NeedUsage,
	}
	// other is user.NAME outside Prefix; NAME is its KEY.
	other = row{
		family: true, scopes: anywhere, needs: NeedObject | NeedAnnotations,
		value: otherValue, set: setOther, remove: removeOther, keys: otherKeys, annotation: otherAnnotation,
	}
)

// byName finds the row of a name or of a family.
var byName = func() map[string]*row {
	found := make(map[string]*row, len(rows))
	for i := range rows {
		found[rows[i].name] = &rows[i]
	}
	return found
}()

// text makes a value of a string; the empty one is absent.
func text(get func(f *Facts) string) valueFunc {
	return func(_ Attribute, f *Facts) ([]byte, bool) {
		s := get(f)
		return []byte(s), s != ""
	}
}

// ListNeeds returns what must be fetched for List.
func ListNeeds(scope Scope) Need {
	all := other.needs
	for i := range rows {
		if r := &rows[i]; r.scopes.has(scope) && (r.keys != nil || r.listed != nil) {
			all |= Attribute{row: r, scope: scope}.Needs()
		}
	}
	return all
}

// List returns the names that are worth copying and can be set on the copy, sorted: what the user
// gave to the object, not what follows from its content or its place. Names that Linux cannot hold
// are left out.
func List(f *Facts) []string {
	var names []string
	add := func(name string) {
		if len(name) <= maxName {
			names = append(names, name)
		}
	}
	for i := range rows {
		r := &rows[i]
		switch {
		case !r.scopes.has(f.Scope):
		case r.keys != nil:
			for _, key := range r.keys(f) {
				add(Prefix + r.name + key)
			}
		case r.listed != nil && r.listed(f):
			add(Prefix + r.name)
		}
	}
	for _, key := range otherKeys(f) {
		add(user + key)
	}
	slices.Sort(names)
	return names
}
