package writeback

import (
	"context"
	"testing"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
	"github.com/objmount/objmount/cache/staging"
)

// lockable is a bucket with object lock; a queue there asks the lock that a HEAD has shown.
func lockable(_ *rig, c *Config, s *mem.Settings) {
	s.Capabilities.Versioned, s.Capabilities.ObjectLock = true, true
	c.MayReplace = func(_ context.Context, stored backend.Object) error {
		if stored.Lock.Active(stored.Fetched) {
			return &backend.Error{Kind: backend.KindLocked, Op: "Replace", Bucket: stored.Bucket, Key: stored.Key}
		}
		return nil
	}
}

// retain makes what is stored from now on locked.
func (r *rig) retain() {
	r.mem.ConfigureBucket(bucket, func(b *mem.BucketSettings) {
		b.Lock = backend.BucketLock{Enabled: true, Mode: backend.Governance, Days: 1}
	})
}

func (r *rig) lock(key string) {
	r.t.Helper()
	if err := r.mem.SetLegalHold(context.Background(), id(key), "", true); err != nil {
		r.t.Fatal(err)
	}
}

// What is locked is not replaced, in whichever way the content goes up. The upload ends, and is not parked.
func TestLockedTarget(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(r *rig, f *staging.File){
		"by a PUT":            func(r *rig, f *staging.File) { r.write(f, random(1, kib), 0) },
		"by parts":            func(r *rig, f *staging.File) { r.write(f, random(1, 100*kib), 0) },
		"by copies of itself": func(r *rig, f *staging.File) { r.write(f, []byte("change"), 90*kib) },
		"by its properties": func(r *rig, f *staging.File) {
			if err := f.SetProperties(backend.Properties{Metadata: map[string]string{"a": "b"}}); err != nil {
				r.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, lockable)
			data := random(2, 100*kib)
			obj := r.put("a", data)
			r.lock("a")
			f := r.edit(obj)
			change(r, f)
			_, err := r.commit(f)
			wantKind(t, err, backend.KindLocked)
			r.has("a", data)
			r.noUploads("a")
			if fails := r.failures(); len(fails) != 1 || !Final(fails[0]) || Conflict(fails[0]) {
				t.Errorf("told %v", fails)
			}
			if left := r.q.Pending(); len(left) > 0 {
				t.Errorf("still tried: %+v", left)
			}
			err = r.q.Flush(context.Background(), nil)
			if err != nil {
				t.Errorf("a later flush: %v", err)
			}
		})
	}
}

// A new object is asked nothing, one that replaces another one HEAD; elsewhere nothing is asked.
func TestLockRequests(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options []option
		head    int
	}{"with object lock": {[]option{lockable}, 1}, "without": {nil, 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, c.options...)
			f := r.create("a")
			r.write(f, []byte("one"), 0)
			r.mustCommit(f)
			r.requests(map[string]int{"PutObject": 1})
			r.write(f, []byte("two"), 0)
			r.mustCommit(f)
			want := map[string]int{"PutObject": 1}
			if c.head > 0 {
				want["HeadObject"] = c.head
			}
			r.requests(want)
		})
	}
}

// Where what is stored is locked at once, a repeat after a lost reply still recognises its own.
func TestLockedByItself(t *testing.T) {
	t.Parallel()
	r := newRig(t, lockable)
	obj := r.put("a", []byte("old"))
	r.retain()
	f := r.edit(obj)
	r.write(f, []byte("new"), 0)
	r.faults.Add(once("PutObject", mem.LoseReply()))
	r.faults.Add(mem.Rule{Op: "HeadObject", Nth: 2, Times: 1, Do: []mem.Action{mem.Fail(backend.KindTransient)}})
	r.mustCommit(f)
	r.has("a", []byte("new"))
	r.write(f, []byte("more"), 0)
	_, err := r.commit(f)
	wantKind(t, err, backend.KindLocked)
	r.has("a", []byte("new"))
}

// An upload that has the only copy of some content was begun with other properties than the object is to have, and what it
// made is locked: the content counts.
func TestLockedBeforeRestamp(t *testing.T) {
	t.Parallel()
	r := newRig(t, lockable, limited)
	r.retain()
	f, data := r.streamedFile("a", 300*kib)
	if err := f.SetProperties(backend.Properties{Metadata: map[string]string{"mtime": "now"}}); err != nil {
		t.Fatal(err)
	}
	r.mustCommit(f)
	r.has("a", data)
	if s := r.q.Stats(); s.Restamps != 0 || s.Failures != 0 {
		t.Errorf("%+v", s)
	}
	if f.State() != staging.StateCommitted {
		t.Errorf("%v", f.State())
	}
}

// A version that may not be read by its id is read without, as long as it is current; a copy that nothing else ties to it
// is not made.
func TestVersionsForbidden(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]option{"": nil, "without conditions on copies": {with(func(c *backend.Capabilities) { c.CopySourceIfMatch, c.CopyPartIfMatch = false, false })}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, append(options, func(r *rig, c *Config, s *mem.Settings) {
				s.Capabilities.Versioned = true
				c.Store = forbidden{r.store}
			})...)
			data := random(3, 100*kib)
			source := r.put("source", data)
			if source.VersionID == "" {
				t.Fatal("no version")
			}
			copied := r.stage(staging.Spec{Target: id("copy"), Condition: backend.Condition{IfNoneMatch: true}, Content: remoteOf(source, source.Size)})
			r.mustCommit(copied)
			r.has("copy", data)
			part := r.stage(staging.Spec{Target: id("part"), Condition: backend.Condition{IfNoneMatch: true}, Content: remoteOf(source, source.Size)})
			r.write(part, []byte("change"), 50*kib)
			r.mustCommit(part)
			copy(data[50*kib:], "change")
			r.has("part", data)
			if got := r.store.Requests(); len(options) > 0 && got["CopyObject"]+got["UploadPartCopy"] > 0 {
				t.Errorf("unguarded copies: %v", got)
			}
			r.put("source", []byte("replaced"))
			late := r.stage(staging.Spec{Target: id("late"), Condition: backend.Condition{IfNoneMatch: true}, Content: remoteOf(source, source.Size)})
			_, err := r.commit(late)
			if !Conflict(err) {
				t.Errorf("a copy of what is not current: %v", err)
			}
		})
	}
}

// forbidden is a store whose versions may not be read by their ids.
type forbidden struct{ Store }

func refuse(version string) error {
	if version == "" {
		return nil
	}
	return &backend.Error{Kind: backend.KindPermission, Op: "GetObject", Code: "AccessDenied"}
}

func (s forbidden) Get(ctx context.Context, id backend.ObjectID, opt backend.GetOptions) (*backend.Body, error) {
	if err := refuse(opt.VersionID); err != nil {
		return nil, err
	}
	return s.Store.Get(ctx, id, opt)
}

func (s forbidden) Copy(ctx context.Context, in backend.CopyInput) (backend.Object, error) {
	if err := refuse(in.Source.VersionID); err != nil {
		return backend.Object{}, err
	}
	return s.Store.Copy(ctx, in)
}

func (s forbidden) CopyPart(ctx context.Context, in backend.CopyPartInput) (backend.Part, error) {
	if err := refuse(in.Source.VersionID); err != nil {
		return backend.Part{}, err
	}
	return s.Store.CopyPart(ctx, in)
}
