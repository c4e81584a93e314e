package s3

import (
	"context"
	"strings"
	"testing"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/objmount/objmount/backend"
)

// lockServer runs a test on every server that has object lock, with a bucket that has it.
func lockServer(t *testing.T, run func(t *testing.T, srv server, store *Store, bucket string)) {
	eachServer(t, func(t *testing.T, srv server, store *Store, plain string) {
		if !vendors[srv.name].objectLock {
			_, err := store.Lock(t.Context(), backend.ObjectID{Bucket: plain, Key: "k"}, "")
			if !backend.IsKind(err, backend.KindUnsupported) {
				t.Errorf("a store without locks: %v", err)
			}
			return
		}
		bucket := plain + "-locked"
		if err := lockBuckets(store)(t.Context(), bucket); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			purge(t, store, bucket, true)
			store.DeleteBucket(context.Background(), bucket)
		})
		run(t, srv, store, bucket)
	})
}

// lockBuckets makes buckets with object lock. A store that has none is not asked to: it would
// make a plain one.
func lockBuckets(store *Store) func(ctx context.Context, bucket string) error {
	return func(ctx context.Context, bucket string) error {
		c := call{op: "CreateBucket", bucket: bucket, write: true}
		if !store.vendor.Load().objectLock {
			return lacking(c)
		}
		_, err := send(ctx, store, c, store.client.CreateBucket, &awss3.CreateBucketInput{Bucket: &bucket, ObjectLockEnabledForBucket: yes(true)})
		return err
	}
}

// soon is a date that retention can have.
func soon(d time.Duration) time.Time { return time.Now().Add(d).UTC().Truncate(time.Second) }

// TestLocksOnServers: a lock is what was set, forbids a deletion with its own kind, and gives way
// to whom it should.
func TestLocksOnServers(t *testing.T) {
	lockServer(t, func(t *testing.T, _ server, store *Store, bucket string) {
		ctx, id := t.Context(), backend.ObjectID{Bucket: bucket, Key: "k"}
		if caps, err := store.Capabilities(ctx, bucket, "", false); err != nil || !caps.ObjectLock {
			t.Fatalf("%+v, %v", caps, err)
		}
		obj, err := store.Put(ctx, backend.PutInput{Bucket: bucket, Key: "k", Body: strings.NewReader("x"), Size: 1})
		if err != nil {
			t.Fatal(err)
		}
		check := func(want backend.ObjectLock) {
			t.Helper()
			got, err := store.Lock(ctx, id, obj.VersionID)
			if err != nil || !got.Retention.Until.Equal(want.Retention.Until) || got.Retention.Mode != want.Retention.Mode || got.LegalHold != want.LegalHold {
				t.Errorf("Lock: %+v, %v; want %+v", got, err, want)
			}
			for _, version := range []string{"", obj.VersionID} {
				head, err := store.Head(ctx, id, backend.GetOptions{VersionID: version})
				if err != nil || !head.Lock.Retention.Until.Equal(want.Retention.Until) || head.Lock.Retention.Mode != want.Retention.Mode || head.Lock.LegalHold != want.LegalHold {
					t.Errorf("Head of %q: %+v, %v; want %+v", version, head.Lock, err, want)
				}
			}
		}
		refused := func(what string, err error) {
			t.Helper()
			if !backend.IsKind(err, backend.KindLocked) {
				t.Errorf("%s: %v", what, err)
			}
		}
		remove := func(bypass bool) error {
			single := store.Delete(ctx, backend.DeleteInput{Bucket: bucket, Key: "k", VersionID: obj.VersionID, BypassGovernance: bypass})
			results, err := store.DeleteVersions(ctx, bucket, []backend.VersionID{{Key: "k", VersionID: obj.VersionID}}, bypass)
			if err != nil || (results[0].Err == nil) != (single == nil) || single != nil && backend.KindOf(single) != backend.KindOf(results[0].Err) {
				t.Errorf("alone: %v; many: %+v, %v", single, results, err)
			}
			return single
		}
		check(backend.ObjectLock{})
		r := backend.Retention{Mode: backend.Governance, Until: soon(time.Hour)}
		if err := store.SetRetention(ctx, id, obj.VersionID, r, false); err != nil {
			t.Fatal(err)
		}
		check(backend.ObjectLock{Retention: r})
		refused("a deletion under governance", remove(false))
		shorter := backend.Retention{Mode: backend.Governance, Until: soon(time.Minute)}
		refused("a shorter retention", store.SetRetention(ctx, id, "", shorter, false))
		refused("none", store.SetRetention(ctx, id, "", backend.Retention{}, false))
		if err := store.SetRetention(ctx, id, "", shorter, true); err != nil {
			t.Error(err)
		}
		if err := store.SetLegalHold(ctx, id, obj.VersionID, true); err != nil {
			t.Fatal(err)
		}
		check(backend.ObjectLock{Retention: shorter, LegalHold: true})
		refused("a deletion under legal hold", remove(true))
		if err := store.SetLegalHold(ctx, id, "", false); err != nil {
			t.Fatal(err)
		}
		check(backend.ObjectLock{Retention: shorter})
		if err := store.SetRetention(ctx, id, "", backend.Retention{}, true); err != nil {
			t.Fatal(err)
		}
		if lock, err := store.Lock(ctx, id, ""); err != nil || lock.Active(time.Now()) {
			t.Errorf("after its end: %+v, %v", lock, err)
		}
		if err := store.Delete(ctx, backend.DeleteInput{Bucket: bucket, Key: "k", VersionID: obj.VersionID}); err != nil {
			t.Error(err)
		}
		if _, err := store.Lock(ctx, id, obj.VersionID); !backend.IsKind(err, backend.KindNotExist) {
			t.Errorf("a version that is gone: %v", err)
		}
		if _, err := store.Lock(ctx, backend.ObjectID{Bucket: bucket, Key: "none"}, ""); !backend.IsKind(err, backend.KindNotExist) {
			t.Errorf("a key that never was: %v", err)
		}
	})
}

// TestComplianceOnServers: nobody shortens or removes it. The date is near, so that the bucket can
// be removed some time.
func TestComplianceOnServers(t *testing.T) {
	lockServer(t, func(t *testing.T, _ server, store *Store, bucket string) {
		ctx, id := t.Context(), backend.ObjectID{Bucket: bucket, Key: "k"}
		in := backend.PutInput{Bucket: bucket, Key: "k", Body: strings.NewReader("x"), Size: 1}
		in.Properties.Lock.Retention = backend.Retention{Mode: backend.Compliance, Until: soon(4 * time.Second)}
		obj, err := store.Put(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		for what, err := range map[string]error{
			"removed":       store.SetRetention(ctx, id, "", backend.Retention{}, true),
			"governance":    store.SetRetention(ctx, id, "", backend.Retention{Mode: backend.Governance, Until: soon(time.Hour)}, true),
			"deleted":       store.Delete(ctx, backend.DeleteInput{Bucket: bucket, Key: "k", VersionID: obj.VersionID, BypassGovernance: true}),
			"wrong bucket?": errOf(store.Lock(ctx, backend.ObjectID{Bucket: bucket, Key: "none"}, "")),
		} {
			want := backend.KindLocked
			if what == "wrong bucket?" {
				want = backend.KindNotExist
			}
			if !backend.IsKind(err, want) {
				t.Errorf("%s: %v", what, err)
			}
		}
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(200 * time.Millisecond) {
			err := store.Delete(ctx, backend.DeleteInput{Bucket: bucket, Key: "k", VersionID: obj.VersionID})
			if err == nil {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
	})
}

// TestLockedWritesOnServers: PUT, parts and copies take a lock along.
func TestLockedWritesOnServers(t *testing.T) {
	lockServer(t, func(t *testing.T, _ server, store *Store, bucket string) {
		ctx := t.Context()
		lock := backend.ObjectLock{Retention: backend.Retention{Mode: backend.Governance, Until: soon(time.Hour)}, LegalHold: true}
		props := backend.Properties{Lock: lock, Metadata: map[string]string{"m": "1"}}
		in := backend.PutInput{Bucket: bucket, Key: "put", Body: strings.NewReader("x"), Size: 1, Properties: props}
		if _, err := store.Put(ctx, in); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Copy(ctx, backend.CopyInput{Bucket: bucket, Key: "copy", Source: backend.Source{Bucket: bucket, Key: "put"}, Size: 1, Replace: &props}); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Copy(ctx, backend.CopyInput{Bucket: bucket, Key: "plain", Source: backend.Source{Bucket: bucket, Key: "put"}, Size: 1}); err != nil {
			t.Fatal(err)
		}
		upload, err := store.CreateUpload(ctx, backend.CreateUploadInput{Bucket: bucket, Key: "parts", Properties: props})
		if err != nil {
			t.Fatal(err)
		}
		part, err := store.UploadPart(ctx, backend.PartInput{Bucket: bucket, Key: "parts", UploadID: upload, Number: 1, Body: strings.NewReader("x"), Size: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := store.CompleteUpload(ctx, backend.CompleteInput{Bucket: bucket, Key: "parts", UploadID: upload, Parts: []backend.Part{part}, Size: 1}); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"put", "copy", "parts", "plain"} {
			obj, err := store.Head(ctx, backend.ObjectID{Bucket: bucket, Key: key}, backend.GetOptions{})
			want := lock
			if key == "plain" {
				want = backend.ObjectLock{} // a lock is of one version
			}
			if err != nil || obj.Lock.LegalHold != want.LegalHold || obj.Lock.Retention.Mode != want.Retention.Mode || !obj.Lock.Retention.Until.Equal(want.Retention.Until) {
				t.Errorf("%s: %+v, %v", key, obj.Lock, err)
			}
			if err := store.SetLegalHold(ctx, obj.ID(), "", false); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestDefaultRetentionOnServers: what a bucket gives to new objects, also where the store does not
// show it.
func TestDefaultRetentionOnServers(t *testing.T) {
	lockServer(t, func(t *testing.T, _ server, store *Store, bucket string) {
		ctx, id := t.Context(), backend.ObjectID{Bucket: bucket, Key: "k"}
		if lock, err := store.BucketLock(ctx, bucket); err != nil || lock != (backend.BucketLock{Enabled: true}) {
			t.Errorf("%+v, %v", lock, err)
		}
		days := int32(2)
		if _, err := store.client.PutObjectLockConfiguration(ctx, &awss3.PutObjectLockConfigurationInput{Bucket: &bucket,
			ObjectLockConfiguration: &types.ObjectLockConfiguration{ObjectLockEnabled: types.ObjectLockEnabledEnabled, Rule: &types.ObjectLockRule{
				DefaultRetention: &types.DefaultRetention{Mode: types.ObjectLockRetentionModeGovernance, Days: &days}}}}); err != nil {
			t.Fatal(err)
		}
		if lock, err := store.BucketLock(ctx, bucket); err != nil || lock != (backend.BucketLock{Enabled: true, Mode: backend.Governance, Days: 2}) {
			t.Errorf("%+v, %v", lock, err)
		}
		obj, err := store.Put(ctx, backend.PutInput{Bucket: bucket, Key: "k", Body: strings.NewReader("x"), Size: 1})
		if err != nil {
			t.Fatal(err)
		}
		head, err := store.Head(ctx, id, backend.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		lock, err := store.Lock(ctx, id, obj.VersionID)
		if err != nil {
			t.Fatal(err)
		}
		for what, got := range map[string]backend.ObjectLock{"Head": head.Lock, "Lock": lock} {
			late := got.Retention.Until.Sub(head.LastModified.AddDate(0, 0, 2))
			if got.Retention.Mode != backend.Governance || late < 0 || late > time.Second {
				t.Errorf("%s: %+v", what, got)
			}
		}
		if err := store.Delete(ctx, backend.DeleteInput{Bucket: bucket, Key: "k", VersionID: obj.VersionID}); !backend.IsKind(err, backend.KindLocked) {
			t.Error(err)
		}
	})
}
