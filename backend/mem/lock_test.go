package mem

import (
	"context"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
)

// lockStore returns a store whose bucket has object lock, and what moves its clock.
func lockStore(lock backend.BucketLock) (*Store, func(time.Duration)) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := New(testBucket)
	s.Configure(func(cfg *Settings) { cfg.Clock = func() time.Time { return now } })
	s.ConfigureBucket(testBucket, func(b *BucketSettings) { b.Lock = lock })
	return s, func(d time.Duration) {
		s.mu.Lock()
		defer s.mu.Unlock()
		now = now.Add(d)
	}
}

func putLocked(s backend.Store, key string, lock backend.ObjectLock) (backend.Object, error) {
	return s.Put(context.Background(), backend.PutInput{Bucket: testBucket, Key: key, Properties: backend.Properties{Lock: lock}})
}

// TestRetention does every change of a retention to every state of one.
func TestRetention(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	none := backend.Retention{}
	of := func(mode backend.RetentionMode, d time.Duration) backend.Retention {
		return backend.Retention{Mode: mode, Until: begin.Add(d)}
	}
	for _, c := range []struct {
		name            string
		from, to        backend.Retention
		wait            time.Duration
		plain, bypassed backend.Kind // KindOther: done
	}{
		{"set", none, of(backend.Compliance, day), 0, 0, 0},
		{"set in the past", none, of(backend.Governance, 0), 0, backend.KindInvalid, backend.KindInvalid},
		{"unknown mode", none, of("OTHER", day), 0, backend.KindInvalid, backend.KindInvalid},
		{"extend governance", of(backend.Governance, day), of(backend.Governance, 2*day), 0, 0, 0},
		{"same governance", of(backend.Governance, day), of(backend.Governance, day), 0, 0, 0},
		{"shorten governance", of(backend.Governance, 2*day), of(backend.Governance, day), 0, backend.KindLocked, 0},
		{"remove governance", of(backend.Governance, day), none, 0, backend.KindLocked, 0},
		{"governance to compliance", of(backend.Governance, day), of(backend.Compliance, 2*day), 0, backend.KindLocked, 0},
		{"remove expired governance", of(backend.Governance, day), none, day, 0, 0},
		{"extend compliance", of(backend.Compliance, day), of(backend.Compliance, 2*day), 0, 0, 0},
		{"shorten compliance", of(backend.Compliance, 2*day), of(backend.Compliance, day), 0, backend.KindLocked, backend.KindLocked},
		{"remove compliance", of(backend.Compliance, day), none, 0, backend.KindLocked, backend.KindLocked},
		{"compliance to governance", of(backend.Compliance, day), of(backend.Governance, 2*day), 0, backend.KindLocked, backend.KindLocked},
		{"expired compliance to governance", of(backend.Compliance, day), of(backend.Governance, 3*day), 2 * day, 0, 0},
	} {
		for bypass, kind := range map[bool]backend.Kind{false: c.plain, true: c.bypassed} {
			s, wait := lockStore(backend.BucketLock{Enabled: true})
			obj, err := putLocked(s, "a", backend.ObjectLock{Retention: c.from})
			if err != nil {
				t.Fatal(err)
			}
			wait(c.wait)
			want := c.to
			if kind != 0 {
				want = c.from
			}
			if err := s.SetRetention(context.Background(), obj.ID(), "", c.to, bypass); kindOrZero(err) != kind {
				t.Errorf("%s, bypass %t: %v", c.name, bypass, err)
			}
			if got, err := s.Lock(context.Background(), obj.ID(), obj.VersionID); err != nil || got.Retention != want {
				t.Errorf("%s, bypass %t: %+v, want %+v, %v", c.name, bypass, got, want, err)
			}
		}
	}
}

func TestLocksKeepVersions(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, c := range map[string]struct {
		lock            backend.ObjectLock
		plain, bypassed backend.Kind // of the deletion of the version
	}{
		"none":       {backend.ObjectLock{}, 0, 0},
		"governance": {backend.ObjectLock{Retention: backend.Retention{Mode: backend.Governance, Until: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)}}, backend.KindLocked, 0},
		"compliance": {backend.ObjectLock{Retention: backend.Retention{Mode: backend.Compliance, Until: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)}}, backend.KindLocked, backend.KindLocked},
		"hold":       {backend.ObjectLock{LegalHold: true}, backend.KindLocked, backend.KindLocked},
	} {
		for bypass, kind := range map[bool]backend.Kind{false: c.plain, true: c.bypassed} {
			s, wait := lockStore(backend.BucketLock{Enabled: true})
			obj, err := putLocked(s, "a", c.lock)
			if err != nil {
				t.Fatal(err)
			}
			put(t, s, "a", []byte("on top"))
			if err := s.Delete(ctx, backend.DeleteInput{Bucket: testBucket, Key: "a"}); err != nil {
				t.Errorf("%s: a marker on top: %v", name, err)
			}
			remove := func() error {
				return s.Delete(ctx, backend.DeleteInput{Bucket: testBucket, Key: "a", VersionID: obj.VersionID, BypassGovernance: bypass})
			}
			if err := remove(); kindOrZero(err) != kind {
				t.Errorf("%s, bypass %t: %v", name, bypass, err)
			}
			head, err := s.Head(ctx, obj.ID(), backend.GetOptions{VersionID: obj.VersionID})
			if kind == 0 {
				wantKind(t, err, backend.KindNotExist)
				continue
			}
			if err != nil || head.Lock != c.lock {
				t.Errorf("%s: %+v, %v", name, head.Lock, err)
			}
			if c.lock.LegalHold {
				if err := s.SetLegalHold(ctx, obj.ID(), obj.VersionID, false); err != nil {
					t.Error(err)
				}
			}
			wait(31 * 24 * time.Hour)
			results, err := s.DeleteVersions(ctx, testBucket, []backend.VersionID{{Key: "a", VersionID: obj.VersionID}}, false)
			if err != nil || results[0].Err != nil {
				t.Errorf("%s, when it is over: %v, %v", name, results, err)
			}
		}
	}
}

func TestDefaultRetention(t *testing.T) {
	t.Parallel()
	ctx, lock := context.Background(), backend.BucketLock{Enabled: true, Mode: backend.Compliance, Days: 1}
	s, wait := lockStore(lock)
	id, err := s.CreateUpload(ctx, backend.CreateUploadInput{Bucket: testBucket, Key: "parts"})
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.UploadPart(ctx, backend.PartInput{Bucket: testBucket, Key: "parts", UploadID: id, Number: 1})
	if err != nil {
		t.Fatal(err)
	}
	wait(time.Hour)
	if _, err := s.CompleteUpload(ctx, backend.CompleteInput{Bucket: testBucket, Key: "parts", UploadID: id, Parts: []backend.Part{p}}); err != nil {
		t.Fatal(err)
	}
	put(t, s, "put", nil)
	own := backend.ObjectLock{LegalHold: true, Retention: backend.Retention{Mode: backend.Governance, Until: time.Date(2030, 1, 1, 0, 0, 0, 999, time.UTC)}}
	if _, err := putLocked(s, "own", own); err != nil {
		t.Fatal(err)
	}
	if _, err := putLocked(s, "hold", backend.ObjectLock{LegalHold: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Copy(ctx, backend.CopyInput{Bucket: testBucket, Key: "copy", Source: backend.Source{Bucket: testBucket, Key: "own"}}); err != nil {
		t.Fatal(err)
	}
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	own.Retention.Until = own.Retention.Until.Truncate(time.Second).Add(time.Second)
	standard := backend.Retention{Mode: backend.Compliance, Until: begin.Add(25 * time.Hour)}
	for key, want := range map[string]backend.ObjectLock{
		"put": {Retention: standard}, "copy": {Retention: standard}, "own": own, "hold": {LegalHold: true, Retention: standard},
		"parts": {Retention: backend.Retention{Mode: backend.Compliance, Until: begin.Add(24 * time.Hour)}}, // of its beginning, as its date
	} {
		if _, obj := get(t, s, key, backend.GetOptions{}); obj.Lock != want {
			t.Errorf("%s: %+v, want %+v", key, obj.Lock, want)
		}
	}
	if got, err := s.BucketLock(ctx, testBucket); err != nil || got != lock {
		t.Errorf("%+v, %v", got, err)
	}
	if caps, err := s.Capabilities(ctx, testBucket, "", false); err != nil || !caps.ObjectLock || !caps.Versioned {
		t.Errorf("%+v, %v", caps, err)
	}
	wantKind(t, s.SetBucketVersioning(ctx, testBucket, "Suspended"), backend.KindInvalid)
}

func TestLocksNeedABucketWithThem(t *testing.T) {
	t.Parallel()
	s, ctx := New(testBucket), context.Background()
	obj := put(t, s, "a", nil)
	_, err := putLocked(s, "a", backend.ObjectLock{LegalHold: true})
	wantKind(t, err, backend.KindInvalid)
	_, err = s.CreateUpload(ctx, backend.CreateUploadInput{Bucket: testBucket, Key: "a", Properties: backend.Properties{Lock: backend.ObjectLock{LegalHold: true}}})
	wantKind(t, err, backend.KindInvalid)
	if lock, err := s.Lock(ctx, obj.ID(), ""); err != nil || lock != (backend.ObjectLock{}) {
		t.Errorf("%+v, %v", lock, err)
	}
	wantKind(t, s.SetLegalHold(ctx, obj.ID(), "", true), backend.KindInvalid)
	wantKind(t, s.SetRetention(ctx, obj.ID(), "", backend.Retention{}, false), backend.KindInvalid)
	if lock, err := s.BucketLock(ctx, testBucket); err != nil || lock != (backend.BucketLock{}) {
		t.Errorf("%+v, %v", lock, err)
	}
	s.Configure(func(cfg *Settings) { cfg.Capabilities.ObjectLock = true })
	if obj, err := putLocked(s, "a", backend.ObjectLock{LegalHold: true}); err != nil || obj.VersionID == "" || !obj.Lock.LegalHold {
		t.Errorf("%+v, %v", obj, err)
	}
}
