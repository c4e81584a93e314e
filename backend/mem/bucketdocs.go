package mem

import (
	"bytes"
	"context"
	"net/http"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/documents"
)

// GetBucketDoc implements backend.BucketDocs.
func (s *Store) GetBucketDoc(ctx context.Context, name string, doc backend.BucketDoc) (text []byte, err error) {
	err = s.bucket(ctx, "get "+doc.String(), name, func(c call, b *bucket) error {
		kept, ok := b.docs[doc]
		if !ok {
			return c.error(backend.KindNotExist, http.StatusNotFound, "NoSuchConfiguration", "The bucket has no such document")
		}
		text = bytes.Clone(kept)
		return nil
	})
	return text, err
}

// PutBucketDoc implements backend.BucketDocs. Documents are kept, and have no effect.
func (s *Store) PutBucketDoc(ctx context.Context, name string, doc backend.BucketDoc, text []byte) error {
	return s.bucket(ctx, "put "+doc.String(), name, func(c call, b *bucket) error {
		parsed, err := documents.Parse(doc, text)
		if err != nil {
			return c.invalid("MalformedXML", err.Error())
		}
		b.docs[doc] = parsed
		return nil
	})
}

// DeleteBucketDoc implements backend.BucketDocs.
func (s *Store) DeleteBucketDoc(ctx context.Context, name string, doc backend.BucketDoc) error {
	return s.bucket(ctx, "delete "+doc.String(), name, func(_ call, b *bucket) error {
		delete(b.docs, doc)
		return nil
	})
}
