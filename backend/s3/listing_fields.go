package s3

import "bytes"

// head reads over the first line of a document.
func (s *scanner) head() {
	for _, head := range []string{`<?xml version="1.0" encoding="UTF-8"?>`, `<?xml version='1.0' encoding='UTF-8'?>`} {
		if bytes.HasPrefix(s.text, []byte(head)) {
			s.pos = len(head)
		}
	}
}

// listing reads a whole listing.
func (s *scanner) listing() (*listing, bool) {
	const root = "ListBucketResult"
	s.head()
	if kind, name := s.token(); kind != tokenOpen || string(name) != root {
		return nil, false
	}
	l := &listing{Contents: make([]listedKey, 0, bytes.Count(s.text, []byte("<Contents>")))}
	for {
		kind, name := s.token()
		inner := string(name) == "Contents" || string(name) == "CommonPrefixes"
		ok := true
		switch {
		case kind == tokenClose && string(name) == root:
			kind, _ := s.token()
			return l, kind == tokenEnd
		case kind == tokenEmpty && !inner:
		case kind != tokenOpen:
			return nil, false
		case string(name) == "Contents":
			l.Contents = append(l.Contents, listedKey{})
			ok = s.fields("Contents", l.Contents[len(l.Contents)-1].field)
		case inner:
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

func (l *listing) field(name []byte) *string {
	switch string(name) {
	case "EncodingType":
		return &l.EncodingType
	case "IsTruncated":
		return &l.IsTruncated
	case "NextContinuationToken":
		return &l.NextContinuationToken
	}
	return nil
}

func (k *listedKey) field(name []byte) *string {
	switch string(name) {
	case "Key":
		return &k.Key
	case "ETag":
		return &k.ETag
	case "Size":
		return &k.Size
	case "LastModified":
		return &k.LastModified
	case "StorageClass":
		return &k.StorageClass
	}
	return nil
}

func (n *listedName) field(name []byte) *string {
	if string(name) == "Prefix" {
		return &n.Prefix
	}
	return nil
}
