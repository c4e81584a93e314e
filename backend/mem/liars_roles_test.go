package mem_test

import (
	"context"
	"maps"
	"slices"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// locked is a store whose bucket has object lock.
type locked struct{ *mem.Store }

func lockable() locked {
	s := mem.New("bucket")
	s.Configure(func(cfg *mem.Settings) {
		cfg.Capabilities.Limits.MinPart, cfg.Capabilities.ObjectLock = backend.KiB, true
	})
	return locked{s}
}

// tagMerger adds tags to those that are there.
type tagMerger struct{ liar }

func (m tagMerger) PutTags(ctx context.Context, id backend.ObjectID, version string, tags map[string]string) error {
	all, err := m.Tags(ctx, id, version)
	if err != nil {
		return err
	}
	maps.Copy(all, tags)
	return m.liar.PutTags(ctx, id, version, all)
}

// tagForgetter takes every version for the current one.
type tagForgetter struct{ locked }

func (f tagForgetter) PutTags(ctx context.Context, id backend.ObjectID, _ string, tags map[string]string) error {
	return f.locked.PutTags(ctx, id, "", tags)
}

// unlocker keeps locks and does not respect them.
type unlocker struct{ locked }

func (u unlocker) SetRetention(ctx context.Context, id backend.ObjectID, version string, r backend.Retention, _ bool) error {
	return u.locked.SetRetention(ctx, id, version, r, true)
}

func (u unlocker) Delete(ctx context.Context, in backend.DeleteInput) error {
	in.BypassGovernance = true
	if err := u.locked.Delete(ctx, in); !backend.IsKind(err, backend.KindLocked) {
		return err
	}
	if err := u.SetLegalHold(ctx, backend.ObjectID{Bucket: in.Bucket, Key: in.Key}, in.VersionID, false); err != nil {
		return err
	}
	return u.locked.Delete(ctx, in)
}

func (u unlocker) DeleteVersions(ctx context.Context, bucket string, ids []backend.VersionID, _ bool) ([]backend.DeleteResult, error) {
	return u.locked.DeleteVersions(ctx, bucket, ids, true)
}

// lockDropper ignores the lock that a write asks for.
type lockDropper struct{ locked }

func (d lockDropper) Put(ctx context.Context, in backend.PutInput) (backend.Object, error) {
	in.Properties.Lock = backend.ObjectLock{}
	return d.locked.Put(ctx, in)
}

// keyPager goes on with the next key, whatever version it is asked to go on from.
type keyPager struct{ locked }

func (p keyPager) ListVersions(ctx context.Context, in backend.ListVersionsInput) (backend.VersionPage, error) {
	in.VersionMarker = ""
	return p.locked.ListVersions(ctx, in)
}

// oldestFirst has the versions of a page the wrong way round.
type oldestFirst struct{ locked }

func (o oldestFirst) ListVersions(ctx context.Context, in backend.ListVersionsInput) (backend.VersionPage, error) {
	page, err := o.locked.ListVersions(ctx, in)
	slices.Reverse(page.Versions)
	return page, err
}

// markerHider does not list delete markers.
type markerHider struct{ locked }

func (h markerHider) ListVersions(ctx context.Context, in backend.ListVersionsInput) (backend.VersionPage, error) {
	page, err := h.locked.ListVersions(ctx, in)
	page.Versions = slices.DeleteFunc(page.Versions, func(v backend.Version) bool { return v.DeleteMarker })
	return page, err
}

// neverSuspended does not switch versions off.
type neverSuspended struct{ liar }

func (n neverSuspended) SetBucketVersioning(ctx context.Context, bucket, status string) error {
	if status == "Suspended" {
		return nil
	}
	return n.liar.SetBucketVersioning(ctx, bucket, status)
}
