package writeback

import (
	"bytes"
	"context"
	"testing"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
	"github.com/objmount/objmount/cache/staging"
)

// liar is a store that accepts conditions and ignores them, as several do.
func liar(c *backend.Capabilities) {
	c.PutIfNoneMatch, c.PutIfMatch, c.CompleteIfNoneMatch, c.CompleteIfMatch = false, false, false, false
	c.CopySourceIfMatch, c.CopyPartIfMatch, c.CopyDestination, c.GetIfMatch = false, false, false, false
}

func honest(_ *rig, _ *Config, s *mem.Settings) { s.RefuseConditions = true }

func TestUnguardedStores(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]option{"lying": {with(liar)}, "refusing": {with(liar), honest}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, options...)
			f := r.create("new")
			r.write(f, []byte("data"), 0)
			r.mustCommit(f)
			r.requests(map[string]int{"HeadObject": 2, "PutObject": 1})

			taken := r.create("new")
			r.write(taken, []byte("other"), 0)
			_, err := r.commit(taken)
			wantKind(t, err, backend.KindExist)
			r.has("new", []byte("data"))
			r.requests(map[string]int{"HeadObject": 1})

			data := random(30, 100*kib)
			large := r.edit(r.put("large", data))
			r.write(large, []byte("change"), 0)
			copy(data, "change")
			r.mustCommit(large)
			r.has("large", data)
			if got := r.store.Requests(); got["UploadPartCopy"] != 0 || got["GetObject"] == 0 {
				t.Errorf("unconditional copies: %v", got)
			}
			r.write(large, []byte("again"), 10)
			r.put("large", []byte("theirs"))
			_, err = r.commit(large)
			wantKind(t, err, backend.KindChanged)
			r.has("large", []byte("theirs"))
			r.noUploads("large")
			if r.q.Stats().Unguarded < 3 {
				t.Errorf("%+v", r.q.Stats())
			}
		})
	}
}

// Another client writes right after us: our object is gone, and that is a conflict.
func TestUnguardedAndOverwritten(t *testing.T) {
	t.Parallel()
	r := newRig(t, with(liar))
	r.faults.Add(once("PutObject", mem.After(func(context.Context, mem.Call) { r.put("a", []byte("theirs")) })))
	f := r.create("a")
	r.write(f, []byte("ours"), 0)
	_, err := r.commit(f)
	wantKind(t, err, backend.KindExist)
	if len(r.failures()) != 1 {
		t.Errorf("told %v", r.failures())
	}
}

// A repeat on such a store recognises what it stored before.
func TestUnguardedLostReply(t *testing.T) {
	t.Parallel()
	r := newRig(t, with(liar))
	r.faults.Add(once("PutObject", mem.LoseReply()))
	r.faults.Add(mem.Rule{Op: "HeadObject", Nth: 2, Times: 1, Do: []mem.Action{mem.Fail(backend.KindTransient)}})
	f := r.create("a")
	r.write(f, []byte("ours"), 0)
	r.mustCommit(f)
	r.requests(map[string]int{"PutObject": 1, "HeadObject": 3})
}

func TestCopyToAnotherKeyWithoutCondition(t *testing.T) {
	t.Parallel()
	r := newRig(t, with(func(c *backend.Capabilities) { c.CopyDestination = false }))
	src := r.put("src", random(31, 100))
	f := r.create("dst")
	if err := f.SetRemote(0, remoteOf(src, src.Size), 0, src.Size); err != nil {
		t.Fatal(err)
	}
	r.mustCommit(f)
	r.requests(map[string]int{"HeadObject": 2, "CopyObject": 1})
	taken := r.create("dst")
	if err := taken.SetRemote(0, remoteOf(src, src.Size), 0, src.Size); err != nil {
		t.Fatal(err)
	}
	_, err := r.commit(taken)
	wantKind(t, err, backend.KindExist)
}

func TestNoPartCopy(t *testing.T) {
	t.Parallel()
	r := newRig(t, with(func(c *backend.Capabilities) { c.PartCopy = false }),
		func(_ *rig, c *Config, _ *mem.Settings) { c.BufferLimit = 20 * kib })
	data := random(32, 200*kib)
	f := r.edit(r.put("a", data))
	r.write(f, []byte("change"), 100*kib)
	copy(data[100*kib:], "change")
	r.mustCommit(f)
	r.has("a", data)
	if r.store.Requests()["UploadPartCopy"] != 0 {
		t.Error("copied parts")
	}
}

// Parts that need more memory than there is are streamed, also when they have to be repeated.
func TestMergedPartsLargerThanTheBuffer(t *testing.T) {
	t.Parallel()
	r := newRig(t, with(func(c *backend.Capabilities) { c.PartCopy = false }),
		func(_ *rig, c *Config, _ *mem.Settings) { c.BufferLimit = 3 * kib })
	data := random(33, 100*kib)
	f := r.edit(r.put("a", data))
	r.write(f, []byte("change"), 50*kib)
	copy(data[50*kib:], "change")
	r.faults.Add(mem.Rule{Op: "GetObject", Nth: 3, Times: 2, Do: []mem.Action{mem.Cut(1000)}})
	r.mustCommit(f)
	r.has("a", data)
	if r.q.Stats().Retries == 0 {
		t.Error("the cut downloads were not noticed")
	}
	// A source that changes while it is streamed is a conflict too.
	g := r.edit(r.head("a"))
	r.write(g, []byte("x"), 3)
	r.put("a", random(34, 100*kib))
	_, err := r.commit(g)
	wantKind(t, err, backend.KindChanged)
}

func TestEmptyETagOfComplete(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(_ *rig, _ *Config, s *mem.Settings) { s.EmptyCompleteETag = true })
	f := r.create("a")
	data := random(35, 50*kib)
	r.write(f, data, 0)
	obj := r.mustCommit(f)
	if obj.ETag == "" || obj.ETag != r.head("a").ETag {
		t.Errorf("%+v", obj)
	}
}

func TestVersionedSources(t *testing.T) {
	t.Parallel()
	r := newRig(t, with(func(c *backend.Capabilities) {
		liar(c)
		c.Versioned = true
	}))
	data := random(36, 100*kib)
	src := r.put("src", data)
	r.put("src", []byte("a later version"))
	f := r.create("a")
	if err := f.SetRemote(0, remoteOf(src, src.Size), 0, src.Size); err != nil {
		t.Fatal(err)
	}
	r.write(f, []byte("change"), 0)
	copy(data, "change")
	r.mustCommit(f)
	r.has("a", data)
	if r.store.Requests()["UploadPartCopy"] == 0 {
		t.Error("a version could have been copied")
	}
}

// TestCopyRefused: a store that can copy refuses it for one key or source. The bytes are fetched, on the
// condition that they are still those of the version that the file refers to, and sent.
func TestCopyRefused(t *testing.T) {
	t.Parallel()
	refuse := func(op string) mem.Rule {
		return mem.Rule{Op: op, Do: []mem.Action{mem.Fail(backend.KindUnsupported)}}
	}
	for name, c := range map[string]struct {
		rules []mem.Rule
		want  map[string]int
	}{
		"parts":           {[]mem.Rule{refuse("UploadPartCopy")}, map[string]int{"CopyObject": 1}},
		"objects":         {[]mem.Rule{refuse("CopyObject")}, map[string]int{"CopyObject": 1}},
		"both":            {[]mem.Rule{refuse("CopyObject"), refuse("UploadPartCopy")}, map[string]int{"CopyObject": 1}},
		"source replaced": {[]mem.Rule{refuse("CopyObject"), refuse("UploadPartCopy")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			data := random(33, 100*kib)
			src := r.put("source", data)
			for _, rule := range c.rules {
				r.faults.Add(rule)
			}
			whole, edited := r.create("whole"), r.create("edited")
			for _, f := range []*staging.File{whole, edited} {
				if err := f.SetRemote(0, remoteOf(src, src.Size), 0, src.Size); err != nil {
					t.Fatal(err)
				}
			}
			r.write(edited, []byte("change"), 50*kib)
			if c.want == nil {
				r.put("source", random(34, 100*kib))
				for _, f := range []*staging.File{whole, edited} {
					_, err := r.commit(f)
					wantKind(t, err, backend.KindChanged)
				}
				return
			}
			r.mustCommit(whole)
			r.has("whole", data)
			if got := r.store.Requests()["CopyObject"]; got != c.want["CopyObject"] {
				t.Errorf("%d CopyObject", got)
			}
			r.mustCommit(edited)
			copy(data[50*kib:], "change")
			r.has("edited", data)
			r.noUploads("edited")
		})
	}
}

// TestPropertiesWhereCopyIsRefused: a change of properties is a copy of the object onto itself; where that is
// refused, the object is stored anew.
func TestPropertiesWhereCopyIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	data := random(35, 60*kib)
	f := r.edit(r.put("a", data))
	for _, op := range []string{"CopyObject", "UploadPartCopy"} {
		r.faults.Add(mem.Rule{Op: op, Do: []mem.Action{mem.Fail(backend.KindUnsupported)}})
	}
	if err := f.SetProperties(backend.Properties{Headers: backend.Headers{ContentType: "text/x-new"}}); err != nil {
		t.Fatal(err)
	}
	r.mustCommit(f)
	r.has("a", data)
	if got := r.head("a").Headers.ContentType; got != "text/x-new" {
		t.Errorf("content type %q", got)
	}
}

// TestSpoiledBase: what is fetched whole, to be sent again with what was added, is checked: a bit that changed on its way is not stored.
func TestSpoiledBase(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	old := bytes.Repeat([]byte("old"), 1000)
	f := r.edit(r.put("a", old))
	r.write(f, []byte("added"), int64(len(old)))
	spoilt := r.faults.Add(mem.Rule{Op: "GetObject", Times: 1, Do: []mem.Action{mem.Flip(0)}})
	r.mustCommit(f)
	if spoilt.Hits() != 1 {
		t.Errorf("%d downloads were spoilt", spoilt.Hits())
	}
	r.has("a", append(old, "added"...))
}
