package mem_test

import (
	"strings"
	"testing"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

func TestBucketDocsAreKept(t *testing.T) {
	t.Parallel()
	ctx, s := t.Context(), mem.New()
	if _, err := s.GetBucketDoc(ctx, "bucket", backend.CORSDoc); !backend.IsKind(err, backend.KindNoBucket) {
		t.Errorf("no bucket: %v", err)
	}
	if err := s.MakeBucket(ctx, backend.MakeBucketInput{Name: "bucket", Region: "eu-west-1", ObjectLock: true}); err != nil {
		t.Fatal(err)
	}
	if lock, err := s.BucketLock(ctx, "bucket"); err != nil || !lock.Enabled {
		t.Errorf("%+v, %v", lock, err)
	}
	if status, err := s.BucketVersioning(ctx, "bucket"); err != nil || status != "Enabled" {
		t.Errorf("%s, %v", status, err)
	}
	if region, err := s.BucketRegion(ctx, "bucket"); err != nil || region != "eu-west-1" {
		t.Errorf("%s, %v", region, err)
	}
	const xml = "<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin></CORSRule></CORSConfiguration>"
	if err := s.PutBucketDoc(ctx, "bucket", backend.CORSDoc, []byte(xml)); err != nil {
		t.Fatal(err)
	}
	if err := s.PutBucketDoc(ctx, "bucket", backend.CORSDoc, []byte("{}")); !backend.IsKind(err, backend.KindInvalid) {
		t.Errorf("a bad document: %v", err)
	}
	if text, err := s.GetBucketDoc(ctx, "bucket", backend.CORSDoc); err != nil || !strings.Contains(string(text), `"AllowedOrigins": [`) {
		t.Errorf("%v\n%s", err, text)
	}
	if err := s.DeleteBucketDoc(ctx, "bucket", backend.CORSDoc); err != nil {
		t.Error(err)
	}
	if _, err := s.GetBucketDoc(ctx, "bucket", backend.CORSDoc); !backend.IsKind(err, backend.KindNotExist) {
		t.Errorf("after the removal: %v", err)
	}
}
