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
	const root = "ListVersionsResult"
	s.head()
	if kind, name := s.token(); kind != tokenOpen || string(name) != root {
		return nil, false
	}
	l := &versionListing{Others: make([]listedVersion, 0, bytes.Count(s.text, []byte("<VersionId>")))}
	for {
		kind, name := s.token()
		ok := true
		switch {
		case kind == tokenClose && string(name) == root:
			kind, _ := s.token()
			return l, kind == tokenEnd
		case kind == tokenEmpty && string(name) != "CommonPrefixes" && string(name) != "Version" && string(name) != "DeleteMarker":
		case kind != tokenOpen:
			return nil, false
		case string(name) == "Version" || string(name) == "DeleteMarker":
			l.Others = append(l.Others, listedVersion{XMLName: xml.Name{Local: string(name)}})
			ok = s.version(&l.Others[len(l.Others)-1])
		case string(name) == "CommonPrefixes":
			l.CommonPrefixes = append(l.CommonPrefixes, listedName{})
			ok = s.fields("CommonPrefixes", l.CommonPrefixes[len(l.CommonPrefixes)-1].field)
		default:
			if to := l.field(name); to == nil {
				ok = s.skip(name)
			} else {
				*to, ok = s.content(string(name))
			}
		}
		if !ok {
			return nil, false
		}
	}
}

// version reads the children of a version up to its end tag.
func (s *scanner) version(v *listedVersion) bool {
	for {
		kind, child := s.token()
		ok := true
		switch {
		case kind == tokenClose:
			return string(child) == v.XMLName.Local
		case kind == tokenEmpty:
			if to := v.field(child); to != nil {
				*to = ""
			}
		case kind != tokenOpen:
			return false
		case string(child) == "Owner":
			ok = s.fields("Owner", v.ownerField)
		default:
			if to := v.field(child); to == nil {
				ok = s.skip(child)
			} else {
				*to, ok = s.content(string(child))
			}
		}
		if !ok {
			return false
		}
	}
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
