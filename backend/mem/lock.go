package mem

import (
	"context"
	"net/http"
	"time"

	"github.com/objmount/objmount/backend"
)

// keeps reports whether a lock keeps its version from being deleted by whom may bypass
// governance, or may not.
func keeps(l backend.ObjectLock, bypass bool, now time.Time) bool {
	return l.LegalHold || l.Retention.Active(now) && !(bypass && l.Retention.Mode == backend.Governance)
}

func (c call) locked() error {
	return c.error(backend.KindLocked, http.StatusForbidden, "AccessDenied", "Access Denied because object protected by object lock.")
}

// lockLocked returns the object lock of a bucket.
func (s *Store) lockLocked(b *bucket) backend.BucketLock {
	lock := b.settings.Lock
	lock.Enabled = lock.Enabled || s.settings.Capabilities.ObjectLock
	return lock
}

// checkLockLocked decides whether a new object may have this lock.
func (s *Store) checkLockLocked(c call, l backend.ObjectLock) error {
	b := s.buckets[c.bucket]
	if l == (backend.ObjectLock{}) || b == nil {
		return nil
	}
	if !s.lockLocked(b).Enabled {
		return c.noLock()
	}
	return c.checkRetention(l.Retention, s.nowLocked())
}

func (c call) noLock() error {
	return c.invalid("InvalidRequest", "Bucket is missing Object Lock Configuration")
}

// checkRetention: both of mode and date are given, or none.
func (c call) checkRetention(r backend.Retention, now time.Time) error {
	switch {
	case r == (backend.Retention{}):
		return nil
	case r.Mode != backend.Governance && r.Mode != backend.Compliance:
		return c.invalid("InvalidArgument", "Unknown wormMode directive.")
	case !r.Until.After(now):
		return c.invalid("InvalidArgument", "The retain until date must be in the future!")
	}
	return nil
}

// newLockLocked returns the lock of a version that is made at a time in b, of what was asked for.
func (s *Store) newLockLocked(b *bucket, l backend.ObjectLock, created time.Time) backend.ObjectLock {
	lock := s.lockLocked(b)
	if l.Retention.Mode == backend.NoRetention && lock.Enabled && lock.Mode != backend.NoRetention {
		l.Retention = backend.Retention{Mode: lock.Mode, Until: created.AddDate(lock.Years, 0, lock.Days)}
	}
	l.Retention.Until = wholeSeconds(l.Retention.Until)
	return l
}

// wholeSeconds rounds up: nothing is free earlier than was asked for.
func wholeSeconds(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	whole := t.UTC().Truncate(time.Second)
	if whole.Before(t) {
		whole = whole.Add(time.Second)
	}
	return whole
}

// Lock implements backend.Locker.
func (s *Store) Lock(ctx context.Context, id backend.ObjectID, versionID string) (backend.ObjectLock, error) {
	c := call{"GetObjectRetention", id.Bucket, id.Key}
	if err := c.canceled(ctx); err != nil {
		return backend.ObjectLock{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, v, err := s.versionLocked(c, versionID)
	if err != nil || !s.lockLocked(b).Enabled {
		return backend.ObjectLock{}, err
	}
	return v.properties.Lock, nil
}

// SetRetention implements backend.Locker. Whoever calls it has the right to bypass governance.
func (s *Store) SetRetention(ctx context.Context, id backend.ObjectID, versionID string, r backend.Retention, bypass bool) error {
	c := call{"PutObjectRetention", id.Bucket, id.Key}
	if r.Mode == backend.NoRetention {
		r.Until = time.Time{}
	}
	return s.change(ctx, c, versionID, func(b *bucket, v *version) error {
		now := s.nowLocked()
		if !s.lockLocked(b).Enabled {
			return c.noLock()
		}
		if err := c.checkRetention(r, now); err != nil {
			return err
		}
		old := v.properties.Lock.Retention
		weaker := r.Mode != old.Mode || wholeSeconds(r.Until).Before(old.Until)
		if old.Active(now) && weaker && !(bypass && old.Mode == backend.Governance) {
			return c.locked()
		}
		v.properties.Lock.Retention = backend.Retention{Mode: r.Mode, Until: wholeSeconds(r.Until)}
		return nil
	})
}

// SetLegalHold implements backend.Locker.
func (s *Store) SetLegalHold(ctx context.Context, id backend.ObjectID, versionID string, on bool) error {
	c := call{"PutObjectLegalHold", id.Bucket, id.Key}
	return s.change(ctx, c, versionID, func(b *bucket, v *version) error {
		if !s.lockLocked(b).Enabled {
			return c.noLock()
		}
		v.properties.Lock.LegalHold = on
		return nil
	})
}
