package s3

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/objmount/objmount/backend"
)

// SSE-C (S3 user guide, "Using server-side encryption with customer-provided keys"): the key of an
// object goes with every request that reads or writes its bytes or tells of them, and the store
// forgets it. Which requests these are is said here and nowhere else; the keys are added where
// requests are sent.

// keyUse says for which objects of a request the store needs keys.
type keyUse uint8

const (
	keyless    keyUse = iota // the bytes are not touched
	keyReads                 // of the object, which may be encrypted or not
	keyMakes                 // of the object, which is encrypted by it
	keyCopies                // of both: one is read, the other made
	keyUnknown               // the operation has not been thought about: not sent where there is a key
)

// keyUses are the operations about one object. Those about uploads need the key where these have
// checksums (S3 API, "ListParts", "CompleteMultipartUpload").
var keyUses = map[string]keyUse{
	"HeadObject": keyReads, "GetObject": keyReads, "SelectObjectContent": keyReads,
	"PutObject": keyMakes, "CreateMultipartUpload": keyMakes, "UploadPart": keyMakes, "ListParts": keyMakes, "CompleteMultipartUpload": keyMakes,
	"CopyObject": keyCopies, "UploadPartCopy": keyCopies,
	"AbortMultipartUpload": keyless, "DeleteObject": keyless, "RestoreObject": keyless, "UpdateObjectEncryption": keyless, "GetObjectAcl": keyless, "PutObjectAcl": keyless,
	"GetObjectTagging": keyless, "PutObjectTagging": keyless, "DeleteObjectTagging": keyless,
	"GetObjectRetention": keyless, "PutObjectRetention": keyless, "GetObjectLegalHold": keyless, "PutObjectLegalHold": keyless,
	"ListObjectAnnotations": keyless, "GetObjectAnnotation": keyless, "PutObjectAnnotation": keyless, "DeleteObjectAnnotation": keyless,
}

const (
	encryptionHeader   = "X-Amz-Server-Side-Encryption"
	customerHeader     = encryptionHeader + "-Customer-"
	copyCustomerHeader = "X-Amz-Copy-Source-Server-Side-Encryption-Customer-"
	echoedKey          = customerHeader + "Key-Md5"
)

// setKey sets the three headers by which a key travels.
func setKey(h http.Header, prefix string, key *[32]byte) {
	if key == nil {
		return
	}
	h.Set(prefix+"Algorithm", "AES256")
	h.Set(prefix+"Key", base64.StdEncoding.EncodeToString(key[:]))
	h.Set(prefix+"Key-Md5", md5OfKey(key))
}

func md5OfKey(key *[32]byte) string {
	sum := md5.Sum(key[:])
	return base64.StdEncoding.EncodeToString(sum[:])
}

// keys are what a Store knows about the keys of objects.
type keys struct {
	of   func(bucket, key string) *[32]byte // nil: there are none
	name func(bucket, key string) string    // nil: they have no names

	plain bool // requests travel in clear

	mu sync.Mutex
	// bare are objects that have no key though their place has one, because others wrote them, or we
	// before there was one. It saves a request; it may be wrong.
	bare map[versionName]struct{}

	trying  chan struct{} // has room for one: who tries a way to encrypt; the others wait for what that shows
	trusted sync.Map      // way to encrypt -> whether the store does that (bool)
}

type versionName struct{ bucket, key, version string }

// maxBare bounds the memory for objects without the key of their place: 10,000 names.
const maxBare = 10_000

func (k *keys) isBare(v versionName) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, bare := k.bare[v]
	return bare
}

func (k *keys) setBare(v versionName, bare bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !bare {
		delete(k.bare, v)
		return
	}
	if k.bare == nil || len(k.bare) >= maxBare {
		k.bare = make(map[versionName]struct{})
	}
	k.bare[v] = struct{}{}
}

// keyOf returns the key that an object has by its place; nil: none.
func (s *Store) keyOf(bucket, key string) *[32]byte {
	if s.keys.of == nil || key == "" {
		return nil
	}
	return s.keys.of(bucket, key)
}

// keyNamed says in words which key an object has by its place.
func (s *Store) keyNamed(bucket, key string) string {
	if s.keys.name != nil {
		if name := s.keys.name(bucket, key); name != "" {
			return "the key in " + name
		}
	}
	return "the configured key"
}

// withKeys makes a request with the keys that it needs. An object without the key of its place is
// refused with status 400 to those who send one (Amazon, MinIO), as is one with a key to those who
// send none: then it is asked for once more the other way.
func withKeys[Out any](ctx context.Context, s *Store, c call, request func(keys http.Header) (*Out, error)) (*Out, error) {
	if s.keys.of == nil || c.key == "" {
		return request(nil)
	}
	use, listed := keyUses[c.op]
	if listed && use == keyless {
		return request(nil)
	}
	own, read := s.keyOf(c.bucket, c.key), versionName{c.bucket, c.key, c.version}
	readKey := own
	if use == keyCopies {
		read = versionName{c.source.Bucket, c.source.Key, c.source.VersionID}
		readKey = s.keyOf(read.bucket, read.key)
	}
	e := &backend.Error{Op: c.op, Bucket: c.bucket, Key: c.key}
	switch {
	case own == nil && readKey == nil || c.bare:
		return request(nil)
	case !listed:
		e.Kind, e.Message = backend.KindUnsupported, "not for objects that are encrypted with keys of their users"
		return nil, e
	case s.keys.plain:
		e.Kind, e.Message = backend.KindInvalid, "a key of SSE-C is sent over https only"
		return nil, e
	}
	header := func(bare bool) http.Header {
		h := make(http.Header, 6)
		if use != keyReads {
			setKey(h, customerHeader, own)
		}
		switch {
		case bare:
		case use == keyReads:
			setKey(h, customerHeader, own)
		case use == keyCopies:
			setKey(h, copyCustomerHeader, readKey)
		}
		return h
	}
	if use == keyMakes || readKey == nil {
		return request(header(false))
	}
	bare := s.keys.isBare(read)
	out, err := request(header(bare))
	if err == nil || !refusesKey(err) {
		return out, err
	}
	other, otherwise := request(header(!bare))
	switch {
	case otherwise == nil:
		s.keys.setBare(read, !bare)
		return other, nil
	case bare:
		s.keys.setBare(read, false)
		return nil, s.explainKey(read, otherwise, err)
	case statusOf(otherwise) == http.StatusBadRequest || statusOf(otherwise) == http.StatusForbidden:
		return nil, s.explainKey(read, err, otherwise)
	}
	return nil, otherwise // a condition that does not hold, say
}

// refusesKey reports whether an error may be about the key that was sent, or was not.
func refusesKey(err error) bool {
	status := statusOf(err)
	return status == http.StatusBadRequest || status == http.StatusForbidden
}

func statusOf(err error) int {
	var e *backend.Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

// explainKey says of a refusal that it is about the key, where the other refusal, without one,
// tells: whoever may not read at all is refused with status 403 both ways.
func (s *Store) explainKey(id versionName, with, without error) error {
	var e *backend.Error
	if statusOf(with) != http.StatusForbidden || statusOf(without) != http.StatusBadRequest || !errors.As(with, &e) {
		return with
	}
	e.Kind = backend.KindPermission
	e.Message = strings.TrimPrefix(e.Message+"; ", "; ") + "the object is encrypted with another key than " + s.keyNamed(id.bucket, id.key)
	return e
}

// echoed checks that the answer to a write names the key that was sent. A store that does not has
// not encrypted.
func (s *Store) echoed(c call, echo string) error {
	key := s.keyOf(c.bucket, c.key)
	if key == nil || c.bare || echo == md5OfKey(key) {
		return nil
	}
	return &backend.Error{Kind: backend.KindUnsupported, Op: c.op, Bucket: c.bucket, Key: c.key,
		Message: "the store did not encrypt with " + s.keyNamed(c.bucket, c.key) + ": what it got is stored in clear"}
}

// encryptionFor is the encryption that a write asks for by name: none where the place has a key,
// as S3 takes only one of the two.
func (s *Store) encryptionFor(c call, e backend.Encryption) backend.Encryption {
	if e.Algorithm == backend.CustomerEncryption || s.keyOf(c.bucket, c.key) != nil {
		return backend.Encryption{}
	}
	return e
}

// encrypts fails unless a store will encrypt a write as it is asked to. One that is not known to is
// asked once, before it gets any data. e is what encryptionFor gave.
func (s *Store) encrypts(ctx context.Context, c call, e backend.Encryption) error {
	way := e.Algorithm
	if s.keyOf(c.bucket, c.key) != nil {
		way = backend.CustomerEncryption
	}
	if way == "" || s.vendor.Load().encrypts || c.trial {
		return nil
	}
	if _, known := s.keys.trusted.Load(way); !known {
		if err := s.tryOnce(ctx, c, e, way); err != nil {
			return err
		}
	}
	if does, _ := s.keys.trusted.Load(way); does == true {
		return nil
	}
	return &backend.Error{Kind: backend.KindUnsupported, Op: c.op, Bucket: c.bucket, Key: c.key,
		Message: fmt.Sprintf("the store would take the data and not encrypt it with %s, so it was not sent", way)}
}

// noteEncryption learns from the header of an answer about an object what the store encrypts with, so
// that what it has done before, for a bucket or for others, need not be tried.
func (s *Store) noteEncryption(h http.Header) {
	way := h.Get(encryptionHeader)
	if way == "" || s.vendor.Load().encrypts {
		return
	}
	if _, known := s.keys.trusted.Load(way); !known {
		s.keys.trusted.Store(way, true)
	}
}

// tryOnce tries a way to encrypt unless somebody has.
func (s *Store) tryOnce(ctx context.Context, c call, e backend.Encryption, way string) error {
	select {
	case s.keys.trying <- struct{}{}:
	case <-ctx.Done():
		return &backend.Error{Kind: backend.KindCanceled, Op: c.op, Bucket: c.bucket, Key: c.key, Err: ctx.Err()}
	}
	defer func() { <-s.keys.trying }()
	if _, known := s.keys.trusted.Load(way); known {
		return nil
	}
	does, err := s.tryEncryption(ctx, c, e)
	if err == nil {
		s.keys.trusted.Store(way, does)
	}
	return err
}

// tryEncryption finds out whether a store encrypts: it begins an upload, which gets no data of
// anybody's and is aborted. The answer to it or to a part has to name the encryption; where that comes
// with a key, a part without the key has to be refused and one with it taken. An error is one of the store, of which
// nothing was learned.
func (s *Store) tryEncryption(ctx context.Context, c call, e backend.Encryption) (bool, error) {
	if strings.HasSuffix(c.key, "/") { // a directory, which some servers do not upload in parts
		c.key += ".objmount-probe"
	}
	out, err := s.createUpload(ctx, call{op: "CreateMultipartUpload", bucket: c.bucket, key: c.key, trial: true},
		backend.CreateUploadInput{Bucket: c.bucket, Key: c.key, Properties: backend.Properties{Encryption: e}})
	if err != nil {
		return false, err
	}
	up := backend.Upload{Bucket: c.bucket, Key: c.key, UploadID: out.id}
	defer func() {
		if err := s.AbortUpload(context.WithoutCancel(ctx), up); err != nil {
			s.log.Warn("the upload by which encryption was tried could not be aborted", "bucket", up.Bucket, "key", up.Key, "error", err)
		}
	}()
	part := func(bare bool) (http.Header, error) {
		return s.uploadPart(ctx, call{op: "UploadPart", bucket: c.bucket, key: c.key, bare: bare},
			backend.PartInput{Bucket: up.Bucket, Key: up.Key, UploadID: up.UploadID, Number: 1, Body: strings.NewReader("0"), Size: 1})
	}
	if s.keyOf(c.bucket, c.key) == nil {
		if out.algorithm == e.Algorithm {
			return true, nil
		}
		answer, err := part(false)
		return err == nil && answer.Get(encryptionHeader) == e.Algorithm, err
	}
	if _, err := part(true); err == nil || !refusesKey(err) {
		return false, err
	}
	_, err = part(false)
	if backend.IsKind(err, backend.KindUnsupported) {
		return false, nil
	}
	return err == nil, err
}
