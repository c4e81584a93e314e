package past_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
	"github.com/objmount/objmount/backend/past"
)

func TestNothingCanBeChanged(t *testing.T) {
	w := newWorld(t)
	w.put("a", "1")
	w.count.Reset()
	s, ctx := w.at(second(5)), context.Background()
	second := func(_ any, err error) error { return err }
	for what, err := range map[string]error{
		"Put":              second(s.Put(ctx, backend.PutInput{Bucket: bucket, Key: "a", Body: strings.NewReader("")})),
		"Copy":             second(s.Copy(ctx, backend.CopyInput{Bucket: bucket, Key: "b", Source: backend.Source{Bucket: bucket, Key: "a"}})),
		"Delete":           s.Delete(ctx, backend.DeleteInput{Bucket: bucket, Key: "a"}),
		"DeleteMany":       second(s.DeleteMany(ctx, bucket, []string{"a"})),
		"DeleteVersions":   second(s.DeleteVersions(ctx, bucket, []backend.VersionID{{Key: "a"}}, false)),
		"CreateUpload":     second(s.CreateUpload(ctx, backend.CreateUploadInput{Bucket: bucket, Key: "a"})),
		"UploadPart":       second(s.UploadPart(ctx, backend.PartInput{Bucket: bucket, Key: "a"})),
		"CopyPart":         second(s.CopyPart(ctx, backend.CopyPartInput{Bucket: bucket, Key: "a"})),
		"CompleteUpload":   second(s.CompleteUpload(ctx, backend.CompleteInput{Bucket: bucket, Key: "a"})),
		"AbortUpload":      s.AbortUpload(ctx, backend.Upload{Bucket: bucket, Key: "a"}),
		"ListParts":        second(s.ListParts(ctx, backend.Upload{Bucket: bucket, Key: "a"})),
		"PutTags":          s.PutTags(ctx, id("a"), "", nil),
		"SetRetention":     s.SetRetention(ctx, id("a"), "", backend.Retention{}, true),
		"SetLegalHold":     s.SetLegalHold(ctx, id("a"), "", true),
		"Restore":          s.Restore(ctx, id("a"), "", 1, ""),
		"UpdateEncryption": s.UpdateEncryption(ctx, id("a"), "", backend.Encryption{}),
		"PutAnnotation":    s.PutAnnotation(ctx, id("a"), "", "n", nil),
		"DeleteAnnotation": s.DeleteAnnotation(ctx, id("a"), "", "n"),
		"CreateBucket":     s.CreateBucket(ctx, "b"),
		"DeleteBucket":     s.DeleteBucket(ctx, bucket),
		"SetVersioning":    s.SetBucketVersioning(ctx, bucket, "Suspended"),
		"BucketVersioning": second(s.BucketVersioning(ctx, bucket)),
		"PutBucketTags":    s.PutBucketTags(ctx, bucket, nil),
		"Presign PUT":      second(s.Presign(ctx, backend.PresignInput{Method: "PUT", Object: id("a")})),
		"ListVersions":     second(s.ListVersions(ctx, backend.ListVersionsInput{Bucket: bucket})),
		"Select":           second(s.Select(ctx, backend.SelectInput{Object: id("a")}, nil)),
	} {
		if !backend.IsKind(err, backend.KindUnsupported) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if uploads, err := s.ListUploads(ctx, id("a")); len(uploads) != 0 || err != nil {
		t.Errorf("uploads: %v, %v", uploads, err)
	}
	w.wantRequests("nothing is asked of the store", map[string]int{})
}

// TestDescribedByVersion: what else is asked about a key is asked about its version of the time.
func TestDescribedByVersion(t *testing.T) {
	w := newWorld(t)
	first := w.put("a", "1")
	w.now = second(10)
	w.put("a", "22")
	asked := ""
	s, ctx := past.New(past.Config{Store: &recorder{Store: w.store, asked: &asked}, At: second(5)}), context.Background()
	for what, ask := range map[string]func(version string) error{
		"tags":        func(v string) error { _, err := s.Tags(ctx, id("a"), v); return err },
		"lock":        func(v string) error { _, err := s.Lock(ctx, id("a"), v); return err },
		"description": func(v string) error { _, err := s.Describe(ctx, id("a"), v); return err },
		"owner":       func(v string) error { _, err := s.Owner(ctx, id("a"), v); return err },
		"annotations": func(v string) error { _, err := s.Annotations(ctx, id("a"), v); return err },
		"annotation":  func(v string) error { _, err := s.Annotation(ctx, id("a"), v, "n"); return err },
		"presigned": func(v string) error {
			_, err := s.Presign(ctx, backend.PresignInput{Method: "GET", Object: id("a"), VersionID: v, Expires: time.Hour})
			return err
		},
	} {
		for given, want := range map[string]string{"": first.VersionID, "other": "other"} {
			asked = "nothing"
			if err := ask(given); !errors.Is(err, errRecorded) || asked != want {
				t.Errorf("%s of %q: asked for %q, %v; want %q", what, given, asked, err, want)
			}
		}
	}
}

var errRecorded = errors.New("recorded")

// recorder notes which version it was asked about.
type recorder struct {
	*mem.Store
	asked *string
}

func (r *recorder) note(version string) error {
	*r.asked = version
	return errRecorded
}

func (r *recorder) Tags(_ context.Context, _ backend.ObjectID, version string) (map[string]string, error) {
	return nil, r.note(version)
}

func (r *recorder) Lock(_ context.Context, _ backend.ObjectID, version string) (backend.ObjectLock, error) {
	return backend.ObjectLock{}, r.note(version)
}

func (r *recorder) Describe(_ context.Context, _ backend.ObjectID, version string) (backend.Description, error) {
	return backend.Description{}, r.note(version)
}

func (r *recorder) Owner(_ context.Context, _ backend.ObjectID, version string) (string, error) {
	return "", r.note(version)
}

func (r *recorder) Annotations(_ context.Context, _ backend.ObjectID, version string) (map[string]int64, error) {
	return nil, r.note(version)
}

func (r *recorder) Annotation(_ context.Context, _ backend.ObjectID, version, _ string) ([]byte, error) {
	return nil, r.note(version)
}

func (r *recorder) Presign(_ context.Context, in backend.PresignInput) (backend.Presigned, error) {
	return backend.Presigned{}, r.note(in.VersionID)
}

func TestCapabilities(t *testing.T) {
	w := newWorld(t)
	w.store.Configure(func(s *mem.Settings) { s.Capabilities.Versioned = true })
	caps, err := w.at(second(5)).Capabilities(context.Background(), bucket, "", true)
	if err != nil || caps.Versioned || caps.Vendor != "mem" {
		t.Errorf("%+v, %v", caps, err)
	}
}
