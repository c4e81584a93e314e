package mem

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"time"

	"github.com/objmount/objmount/backend"
)

// Presign implements backend.Presigner. Nothing answers at the URL; it is the same for the
// same request at the same time. What shall be good for longer than 7 days is good for 7 days.
func (s *Store) Presign(ctx context.Context, in backend.PresignInput) (backend.Presigned, error) {
	c := call{"Presign", in.Object.Bucket, in.Object.Key}
	address, err := s.ObjectURL(ctx, in.Object)
	if err != nil {
		return backend.Presigned{}, err
	}
	query, err := in.Values()
	if err != nil {
		return backend.Presigned{}, c.invalid("InvalidArgument", err.Error())
	}
	signed, date := s.presigned(in.Method, in.Expires)
	if in.Header != nil {
		signed.Header = maps.Clone(in.Header)
	}
	query.Set("X-Amz-Date", date)
	query.Set("X-Amz-Expires", fmt.Sprint(int64(min(in.Expires, backend.MaxPresigned)/time.Second)))
	address.RawQuery = query.Encode()
	signed.URL = address.String()
	return signed, nil
}

// PresignPost implements backend.Presigner. Nothing answers, and nothing is signed: the policy is as it would be.
func (s *Store) PresignPost(ctx context.Context, in backend.PostInput) (backend.Presigned, error) {
	c := call{"PresignPost", in.Object.Bucket, in.Object.Key}
	if err := c.canceled(ctx); err != nil {
		return backend.Presigned{}, err
	}
	if in.Object.Key == "" && !in.Prefix {
		return backend.Presigned{}, c.noEmptyKey()
	}
	signed, date := s.presigned(http.MethodPost, in.Expires)
	policy, fields, err := in.Policy(signed.Expires, map[string]string{"x-amz-date": date})
	if err != nil {
		return backend.Presigned{}, c.invalid("InvalidArgument", err.Error())
	}
	fields["policy"] = base64.StdEncoding.EncodeToString(policy)
	signed.URL, signed.Fields = endpoint+"/"+in.Object.Bucket, fields
	return signed, nil
}

// presigned is what every signed request has, and when that was: how long it is good, as Settings.CredentialsEnd allows.
func (s *Store) presigned(method string, lasts time.Duration) (signed backend.Presigned, date string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.nowLocked()
	signed = backend.Presigned{Method: method, Header: map[string]string{}}
	signed.Expires = now.Add(min(lasts, backend.MaxPresigned).Truncate(time.Second))
	if ends := s.settings.CredentialsEnd; !ends.IsZero() && ends.Before(signed.Expires) {
		signed.Expires, signed.Shortened = ends, true
	}
	return signed, now.Format("20060102T150405Z")
}
