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
	l := &listing{Contents: make([]listedKey, 0, bytes.Count(s.text, []byte("<Contents>")))}
	contents := func(empty bool) bool {
		l.Contents = append(l.Contents, listedKey{})
		return !empty && s.fields("Contents", l.Contents[len(l.Contents)-1].field)
	}
	prefixes := func(empty bool) bool { return !empty && s.prefix(&l.CommonPrefixes) }
	return l, s.document("ListBucketResult", func(name []byte) elementReader {
		switch string(name) {
		case "Contents":
			return contents
		case "CommonPrefixes":
			return prefixes
		}
		return nil
	}, l.field)
}

// prefix reads a common prefix.
func (s *scanner) prefix(all *[]listedName) bool {
	*all = append(*all, listedName{})
	return s.fields("CommonPrefixes", (*all)[len(*all)-1].field)
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
