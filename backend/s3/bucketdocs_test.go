package s3

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/objmount/objmount/backend"
)

// bucketDocExamples are documents with a part of what is sent for them.
var bucketDocExamples = map[backend.BucketDoc]struct{ text, sent string }{
	backend.PolicyDoc: {`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::BUCKET/pub/*"}}`,
		`"Statement":[{"Effect":"Allow"`},
	backend.LifecycleDoc: {`{"Rules": [{"Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 3}}]}`,
		"<Rule><Filter><Prefix>tmp/</Prefix></Filter><Status>Enabled</Status><Expiration><Days>3</Days></Expiration></Rule>"},
	backend.NotificationDoc: {`{"QueueConfigurations": [{"QueueArn": "q", "Events": ["s3:ObjectCreated:*"]}]}`,
		"<QueueConfiguration><Queue>q</Queue><Event>s3:ObjectCreated:*</Event></QueueConfiguration>"},
	backend.EncryptionDoc: {`{"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}`, "<SSEAlgorithm>AES256</SSEAlgorithm>"},
	backend.ReplicationDoc: {`{"Role": "r", "Rules": [{"Status": "Enabled", "Priority": 1, "Filter": {"Prefix": ""}, "Destination": {"Bucket": "arn:aws:s3:::other"}, "DeleteMarkerReplication": {"Status": "Disabled"}}]}`,
		"<Destination><Bucket>arn:aws:s3:::other</Bucket></Destination>"},
	backend.ObjectLockDoc: {`{"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 2}}}`, "<Mode>GOVERNANCE</Mode><Days>2</Days>"},
	backend.CORSDoc:       {`{"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["https://a.example"]}]}`, "<AllowedOrigin>https://a.example</AllowedOrigin>"},
	backend.PublicAccessDoc: {`{"BlockPublicPolicy": true, "RestrictPublicBuckets": false}`,
		"<BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>false</RestrictPublicBuckets>"},
}

func TestBucketDocsOnTheWire(t *testing.T) {
	t.Parallel()
	for _, doc := range backend.EachBucketDoc() {
		t.Run(doc.String(), func(t *testing.T) {
			t.Parallel()
			e, r := bucketDocExamples[doc], docRequests[doc]
			store, f := asAmazon(t, says(""))
			if err := store.PutBucketDoc(t.Context(), "bucket", doc, []byte(e.text)); err != nil {
				t.Fatal(err)
			}
			put := f.only(t)
			if put.method != http.MethodPut || put.path != "/bucket?"+r.query || !strings.Contains(put.body, e.sent) || put.header.Get("Content-Md5") == "" {
				t.Errorf("sent %+v", put)
			}
			err := store.PutBucketDoc(t.Context(), "bucket", doc, []byte(`{"Rulez": []}`))
			if !backend.IsKind(err, backend.KindInvalid) || !strings.Contains(err.Error(), `line 1: the `) || len(f.requests()) != 1 {
				t.Errorf("a bad document: %v, %d requests", err, len(f.requests()))
			}
			for _, code := range r.absent {
				gone, g := asAmazon(t, func(w http.ResponseWriter, _ *http.Request) { fail(w, 404, code, "none") })
				if _, err := gone.GetBucketDoc(t.Context(), "bucket", doc); !backend.IsKind(err, backend.KindNotExist) {
					t.Errorf("%s: %v", code, err)
				}
				if err := gone.DeleteBucketDoc(t.Context(), "bucket", doc); err != nil {
					t.Errorf("%s, deleted: %v", code, err)
				}
				if last := g.requests()[len(g.requests())-1]; r.remove != "" && (last.method != http.MethodDelete || last.query != r.query) {
					t.Errorf("deleted by %+v", last)
				}
			}
			none, _ := asAmazon(t, func(w http.ResponseWriter, _ *http.Request) { fail(w, 404, "NoSuchBucket", "no") })
			if _, err := none.GetBucketDoc(t.Context(), "bucket", doc); !backend.IsKind(err, backend.KindNoBucket) {
				t.Errorf("no bucket: %v", err)
			}
			broken, _ := asAmazon(t, says("<html>"))
			if _, err := broken.GetBucketDoc(t.Context(), "bucket", doc); !backend.IsKind(err, backend.KindOther) {
				t.Errorf("an answer that is no document: %v", err)
			}
		})
	}
}

// TestBucketDocsAreAskedForWhereTheyAreKnown: elsewhere "?policy" may list the bucket, or make one.
func TestBucketDocsAreAskedForWhereTheyAreKnown(t *testing.T) {
	t.Parallel()
	for _, name := range []string{vendorUnknown, vendorMinIO, vendorVersityGW, vendorCeph, vendorSwift, vendorGCS, vendorR2, vendorRclone} {
		store, f := newFake(t, Config{MaxAttempts: 1}, func(_ int, w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") })
		v := vendors[name]
		if v == nil {
			v = unknownVendor
		}
		store.vendor.Store(v)
		for _, doc := range backend.EachBucketDoc() {
			if slices.Contains(v.docs, doc) {
				continue
			}
			_, err := store.GetBucketDoc(t.Context(), "bucket", doc)
			for _, err := range []error{err, store.PutBucketDoc(t.Context(), "bucket", doc, []byte(bucketDocExamples[doc].text)), store.DeleteBucketDoc(t.Context(), "bucket", doc)} {
				if !backend.IsKind(err, backend.KindUnsupported) {
					t.Errorf("%s, %v: %v", name, doc, err)
				}
			}
		}
		if n := len(f.requests()); n > 0 {
			t.Errorf("%s got %d requests", name, n)
		}
	}
}

func TestBucketDocsOnServers(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server, store *Store, bucket string) {
		ctx := t.Context()
		for _, doc := range vendors[srv.name].docs {
			if _, err := store.GetBucketDoc(ctx, bucket, doc); !backend.IsKind(err, backend.KindNotExist) {
				t.Errorf("%v of a new bucket: %v", doc, err)
			}
			switch doc {
			case backend.NotificationDoc, backend.ReplicationDoc, backend.ObjectLockDoc:
				if err := store.DeleteBucketDoc(ctx, bucket, doc); err != nil {
					t.Errorf("%v: %v", doc, err)
				}
				continue // they need a target, or a bucket of their kind
			}
			text := strings.ReplaceAll(bucketDocExamples[doc].text, "BUCKET", bucket)
			if err := store.PutBucketDoc(ctx, bucket, doc, []byte(text)); err != nil {
				t.Errorf("%v: %v", doc, err)
				continue
			}
			got, err := store.GetBucketDoc(ctx, bucket, doc)
			if err != nil {
				t.Errorf("%v: %v", doc, err)
			}
			if err := store.PutBucketDoc(ctx, bucket, doc, got); err != nil {
				t.Errorf("%v: what was read is not taken back: %v\n%s", doc, err, got)
			}
			for range 2 { // the second finds nothing
				if err := store.DeleteBucketDoc(ctx, bucket, doc); err != nil {
					t.Errorf("%v: %v", doc, err)
				}
			}
			if _, err := store.GetBucketDoc(ctx, bucket, doc); !backend.IsKind(err, backend.KindNotExist) {
				t.Errorf("%v after its removal: %v", doc, err)
			}
		}
		locked := bucket + "-lock"
		if err := store.MakeBucket(ctx, backend.MakeBucketInput{Name: locked, ObjectLock: true}); err != nil {
			if vendors[srv.name].objectLock {
				t.Error(err)
			}
			return
		}
		defer store.DeleteBucket(ctx, locked)
		if err := store.PutBucketDoc(ctx, locked, backend.ObjectLockDoc, []byte(bucketDocExamples[backend.ObjectLockDoc].text)); err != nil {
			t.Error(err)
		}
		if lock, err := store.BucketLock(ctx, locked); err != nil || lock != (backend.BucketLock{Enabled: true, Mode: backend.Governance, Days: 2}) {
			t.Errorf("the lock is %+v, %v", lock, err)
		}
		if err := store.DeleteBucketDoc(ctx, locked, backend.ObjectLockDoc); err != nil {
			t.Error(err)
		}
		if text, err := store.GetBucketDoc(ctx, locked, backend.ObjectLockDoc); err != nil || string(text) != "{\n    \"ObjectLockEnabled\": \"Enabled\"\n}\n" {
			t.Errorf("%v\n%s", err, text)
		}
	})
}
