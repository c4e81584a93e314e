package main

import (
	"bytes"
	"context"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/staging"
	"github.com/objmount/objmount/ctl"
	"github.com/objmount/objmount/fs"
)

// mountStage is what the mount has that the store has not, as the verbs see it.
type mountStage struct {
	fs   *fs.FS
	area *staging.Area
}

func (m mountStage) Waiting(p ctl.Place) []ctl.Waiting {
	var list []ctl.Waiting
	place := located(p)
	add := func(w ctl.Waiting) {
		if place.Holds(w.Bucket, string(w.Key)) {
			list = append(list, w)
		}
	}
	state := m.fs.Status()
	for _, q := range state.Pending {
		add(ctl.Waiting{
			ID: q.ID, Bucket: q.Bucket, Key: ctl.Text(q.Key), State: q.State, Size: q.Bytes, Done: q.Done, Attempts: q.Attempts,
			Reason: q.LastError, NextTry: q.NextTry, Since: q.Since,
		})
	}
	for _, k := range state.Kept {
		add(ctl.Waiting{ID: k.ID, Bucket: k.Bucket, Key: ctl.Text(k.Key), State: k.State, Kept: true, Size: k.Size, Reason: k.Reason, LocalFile: k.Path})
	}
	return list
}

func (m mountStage) Retry(p ctl.Place, id string) { m.fs.Retry(located(p), id) }

func (m mountStage) Flush(ctx context.Context, p ctl.Place) error {
	return m.fs.Settle(ctx, located(p))
}

func (m mountStage) Drop(ctx context.Context, id string) (bool, error) { return m.fs.Drop(ctx, id) }

func (m mountStage) StoreKept(ctx context.Context, id string, to backend.ObjectID, fresh bool) (backend.Object, error) {
	return m.fs.StoreKept(ctx, id, to, fresh)
}

func (m mountStage) ReadKept(ctx context.Context, id string, limit int64) ([]byte, error) {
	var content bytes.Buffer
	err := m.fs.ReadKept(ctx, id, limit, &content)
	return content.Bytes(), err
}

func (m mountStage) Uploads() []string {
	var ids []string
	for _, f := range m.area.Files() {
		if up := f.Upload(); up != nil {
			ids = append(ids, up.UploadID)
		}
	}
	return ids
}

func (m mountStage) Quarantined() ([]ctl.Quarantined, error) {
	files, err := m.area.Quarantined()
	list := make([]ctl.Quarantined, len(files))
	for i, q := range files {
		list[i] = ctl.Quarantined{File: q.Path, Size: q.Size}
	}
	return list, err
}

// mountCache is the block cache of the mount, as the verbs see it.
type mountCache struct{ p *parts }

func (m mountCache) CacheStats() ctl.Cache { return m.p.cacheStats() }

func (p *parts) cacheStats() ctl.Cache {
	b := p.blocks.Stats()
	return ctl.Cache{
		Dir: p.cacheDir, Hits: b.Hits, Misses: b.Misses, StoreBytes: b.StoreBytes, Requests: b.Requests, Corrupt: b.Corrupt, Unsaved: b.DiskDropped,
		MemoryUsed: b.MemoryUsed, MemoryLimit: b.MemoryLimit, DiskUsed: b.DiskUsed, DiskLimit: b.DiskLimit,
	}
}

func (m mountCache) Prefetch(ctx context.Context, p ctl.Place, progress func(ctl.Step)) (objects, bytes int64, err error) {
	a, err := m.p.fs.Prefetch(ctx, located(p), func(at fs.Fetching) {
		if at.Looked > 0 {
			progress(ctl.Step{Doing: "counting", Looked: at.Looked, All: at.All.Objects, Total: at.All.Bytes})
			return
		}
		progress(ctl.Step{Doing: "fetching", Done: at.Done.Objects, Bytes: at.Done.Bytes, All: at.All.Objects, Total: at.All.Bytes, Now: ctl.Text(at.Key)})
	})
	return a.Objects, a.Bytes, err
}

func (m mountCache) Evict(ctx context.Context, p ctl.Place) (objects, bytes int64, err error) {
	a, err := m.p.fs.Evict(ctx, located(p))
	return a.Objects, a.Bytes, err
}
