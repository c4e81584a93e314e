package s3

import (
	"bytes"
	"encoding/xml"
)

// parseVersions reads a listing of versions, as parseListing does one of objects.
func parseVersions(text []byte) (*versionListing, error) {
	if l, ok := (&scanner{text: text}).versions(); ok {
		return l, nil
	}
	l := new(versionListing)
	if err := xml.Unmarshal(text, l); err != nil {
		return nil, err
	}
	return l, nil
}

// versions reads a whole listing of versions.
func (s *scanner) versions() (*versionListing, bool) {
	l := &versionListing{Others: make([]listedVersion, 0, bytes.Count(s.text, []byte("<VersionId>")))}
	version := func(empty bool) bool { return !empty && s.version(l, "Version") }
	marker := func(empty bool) bool { return !empty && s.version(l, "DeleteMarker") }
	prefixes := func(empty bool) bool { return !empty && s.prefix(&l.CommonPrefixes) }
	return l, s.document("ListVersionsResult", func(name []byte) elementReader {
		switch string(name) {
		case "Version":
			return version
		case "DeleteMarker":
			return marker
		case "CommonPrefixes":
			return prefixes
		}
		return nil
	}, l.field)
}

// version reads a version or a delete marker.
func (s *scanner) version(l *versionListing, name string) bool {
	l.Others = append(l.Others, listedVersion{XMLName: xml.Name{Local: name}})
	v := &l.Others[len(l.Others)-1]
	owner := func(empty bool) bool { return empty || s.fields("Owner", v.ownerField) }
	return s.children(name, func(child []byte) elementReader {
		if string(child) == "Owner" {
			return owner
		}
		return nil
	}, v.field)
}

func (l *versionListing) field(name []byte) *string {
	switch string(name) {
	case "EncodingType":
		return &l.EncodingType
	case "IsTruncated":
		return &l.IsTruncated
	case "NextKeyMarker":
		return &l.NextKeyMarker
	case "NextVersionIdMarker":
		return &l.NextVersionIDMarker
	}
	return nil
}

func (v *listedVersion) field(name []byte) *string {
	switch string(name) {
	case "Key":
		return &v.Key
	case "VersionId":
		return &v.VersionID
	case "IsLatest":
		return &v.IsLatest
	case "ETag":
		return &v.ETag
	case "Size":
		return &v.Size
	case "LastModified":
		return &v.LastModified
	case "StorageClass":
		return &v.StorageClass
	}
	return nil
}

func (v *listedVersion) ownerField(name []byte) *string {
	switch string(name) {
	case "ID":
		return &v.OwnerID
	case "DisplayName":
		return &v.OwnerName
	}
	return nil
}
