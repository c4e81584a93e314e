package s3

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"slices"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/documents"
)

// docRequest is how a document of a bucket is asked for, set and removed.
type docRequest struct {
	query            string
	get, put, remove string   // operations; no remove: an empty document is put
	absent           []string // the codes that say that there is none
}

var docRequests = map[backend.BucketDoc]docRequest{
	backend.PolicyDoc: {"policy=", "GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy", []string{"NoSuchBucketPolicy"}},
	backend.LifecycleDoc: {"lifecycle=", "GetBucketLifecycleConfiguration", "PutBucketLifecycleConfiguration", "DeleteBucketLifecycle",
		[]string{"NoSuchLifecycleConfiguration"}},
	backend.NotificationDoc: {"notification=", "GetBucketNotificationConfiguration", "PutBucketNotificationConfiguration", "", nil},
	backend.EncryptionDoc: {"encryption=", "GetBucketEncryption", "PutBucketEncryption", "DeleteBucketEncryption",
		[]string{"ServerSideEncryptionConfigurationNotFoundError"}},
	// The second is MinIO's answer to the removal of none.
	backend.ReplicationDoc: {"replication=", "GetBucketReplication", "PutBucketReplication", "DeleteBucketReplication",
		[]string{"ReplicationConfigurationNotFoundError", "XMinioAdminRemoteTargetNotFoundError"}},
	backend.ObjectLockDoc: {"object-lock=", "GetObjectLockConfiguration", "PutObjectLockConfiguration", "",
		[]string{"ObjectLockConfigurationNotFoundError"}},
	backend.CORSDoc: {"cors=", "GetBucketCors", "PutBucketCors", "DeleteBucketCors", []string{"NoSuchCORSConfiguration"}},
	// MinIO takes the removal for one of the bucket itself.
	backend.PublicAccessDoc: {"publicAccessBlock=", "GetPublicAccessBlock", "PutPublicAccessBlock", "DeletePublicAccessBlock",
		[]string{"NoSuchPublicAccessBlockConfiguration"}},
}

// emptyDocs are put where nothing can be removed.
var emptyDocs = map[backend.BucketDoc]string{backend.NotificationDoc: "{}", backend.ObjectLockDoc: `{"ObjectLockEnabled": "Enabled"}`}

// missing turns the answer that there is no document into KindNotExist: for a bucket, a 404 means the bucket.
func (r docRequest) missing(err error) error {
	var e *backend.Error
	if errors.As(err, &e) && slices.Contains(r.absent, e.Code) {
		e.Kind = backend.KindNotExist
	}
	return err
}

func (s *Store) aboutDoc(doc backend.BucketDoc, c call) (call, docRequest, error) {
	r := docRequests[doc]
	c, err := about(slices.Contains(s.vendor.Load().docs, doc), c)
	return c, r, err
}

// GetBucketDoc implements backend.BucketDocs.
func (s *Store) GetBucketDoc(ctx context.Context, bucket string, doc backend.BucketDoc) ([]byte, error) {
	c, r, err := s.aboutDoc(doc, call{op: docRequests[doc].get, bucket: bucket, repeat: repeatHarmless})
	if err != nil {
		return nil, err
	}
	var answer []byte
	c.read = func(resp *http.Response) (err error) {
		const longest = 16 << 20 // Amazon's are 2 MB at most
		answer, err = io.ReadAll(io.LimitReader(resp.Body, longest))
		return err
	}
	resp, err := s.direct(ctx, c, http.MethodGet, r.query, make(http.Header, 4))
	if err != nil {
		return nil, r.missing(err)
	}
	_ = resp.Body.Close() // once more
	text, err := documents.Read(doc, answer)
	switch {
	case err != nil:
		return nil, &backend.Error{Kind: backend.KindOther, Op: c.op, Bucket: bucket, Message: "the answer cannot be read: " + err.Error()}
	case text == nil:
		return nil, &backend.Error{Kind: backend.KindNotExist, Op: c.op, Bucket: bucket, Message: "it is empty"}
	}
	return text, nil
}

// PutBucketDoc implements backend.BucketDocs.
func (s *Store) PutBucketDoc(ctx context.Context, bucket string, doc backend.BucketDoc, text []byte) error {
	c, r, err := s.aboutDoc(doc, call{op: docRequests[doc].put, bucket: bucket, write: true, repeat: repeatHarmless})
	if err != nil {
		return err
	}
	body, err := documents.Wire(doc, text)
	if err != nil {
		return &backend.Error{Kind: backend.KindInvalid, Op: c.op, Bucket: bucket, Message: err.Error()}
	}
	header := make(http.Header, 8)
	sum := md5.Sum(body)
	header.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum[:])) // demanded by Amazon and others
	header.Set("Content-Type", "application/xml")
	if doc == backend.PolicyDoc {
		header.Set("Content-Type", "application/json")
	}
	c.payload = newPayload(bytes.NewReader(body), int64(len(body)))
	_, err = s.upload(ctx, c, r.query, header)
	if doc == backend.ObjectLockDoc {
		s.locks.Delete(bucket) // also when the outcome is not known
	}
	var e *backend.Error
	if errors.As(err, &e) && slices.Contains(r.absent, e.Code) {
		e.Kind = backend.KindInvalid // what it names is not there
	}
	return err
}

// DeleteBucketDoc implements backend.BucketDocs.
func (s *Store) DeleteBucketDoc(ctx context.Context, bucket string, doc backend.BucketDoc) error {
	r := docRequests[doc]
	if r.remove == "" {
		if _, err := s.GetBucketDoc(ctx, bucket, doc); backend.IsKind(err, backend.KindNotExist) {
			return nil // an empty document would switch object lock on
		} else if err != nil {
			return err
		}
		return s.PutBucketDoc(ctx, bucket, doc, []byte(emptyDocs[doc]))
	}
	c, r, err := s.aboutDoc(doc, call{op: r.remove, bucket: bucket, write: true, repeat: repeatHarmless})
	if err != nil {
		return err
	}
	resp, err := s.direct(ctx, c, http.MethodDelete, r.query, make(http.Header, 4))
	if err != nil {
		if err = r.missing(err); backend.IsKind(err, backend.KindNotExist) {
			return nil
		}
		return err
	}
	_ = resp.Body.Close() // there is none
	return nil
}
