package writeback

import (
	"bytes"
	"context"
	"testing"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
	"github.com/objmount/objmount/cache/staging"
)

func TestSmallFileIsOnePut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for name, size := range map[string]int64{"empty": 0, "one": 1, "part": partSize, "nearly two": 2*partSize - 1} {
		f := r.create(name)
		data := random(1, size)
		r.write(f, data, 0)
		r.q.Grown(f)
		s := r.seal(f)
		generation := tagOf(s.Generation, f)
		obj, err := r.q.Commit(context.Background(), s)
		if err != nil {
			t.Fatal(err)
		}
		r.has(name, data)
		if head := r.head(name); head.ETag != obj.ETag || head.Metadata[backend.MetaGeneration] != generation {
			t.Errorf("%s: %+v", name, head)
		}
		if f.State() != staging.StateCommitted {
			t.Errorf("%s is %v", name, f.State())
		}
		r.requests(map[string]int{"PutObject": 1})
	}
}

func TestPutCarriesProperties(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	f := r.stage(staging.Spec{Target: id("a"), Properties: backend.Properties{
		Headers: backend.Headers{ContentType: "text/x-test"}, Metadata: map[string]string{"k": "v"}, Tags: map[string]string{"t": "u"},
	}})
	r.write(f, []byte("text"), 0)
	r.mustCommit(f)
	head := r.head("a")
	if head.Headers.ContentType != "text/x-test" || head.Metadata["k"] != "v" || head.TagCount != 1 {
		t.Errorf("%+v", head)
	}
	if _, leaked := f.Spec().Properties.Metadata[backend.MetaGeneration]; leaked {
		t.Error("the generation id was written into the file's own properties")
	}
}

func TestOneByteAppended(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	data := random(2, 1000*kib)
	f := r.edit(r.put("a", data))
	r.write(f, []byte{7}, int64(len(data)))
	r.mustCommit(f)
	r.has("a", append(bytes.Clone(data), 7))
	// 64 KiB is the largest part here.
	r.requests(map[string]int{"CreateMultipartUpload": 1, "UploadPartCopy": 16, "UploadPart": 1, "CompleteMultipartUpload": 1})
	if s := r.q.Stats(); s.BytesSent != 1 || s.BytesFetched != 0 || s.BytesCopied != 1000*kib {
		t.Errorf("%+v", s)
	}
}

// With the limits of S3: one copied part, one sent one.
func TestOneByteAppendedToALargeObject(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(_ *rig, c *Config, s *mem.Settings) {
		s.Capabilities.Limits, c.PartSize = backend.S3Limits(), 0
	})
	size := 40 * mib
	f := r.edit(r.put("a", make([]byte, size)))
	r.write(f, []byte{7}, size)
	r.q.Grown(f)
	r.mustCommit(f)
	r.requests(map[string]int{"CreateMultipartUpload": 1, "UploadPartCopy": 1, "UploadPart": 1, "CompleteMultipartUpload": 1})
	if s := r.q.Stats(); s.BytesSent != 1 || s.BytesFetched != 0 || r.head("a").Size != size+1 {
		t.Errorf("%+v", s)
	}
}

func TestChangeInTheMiddle(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	data := random(3, 500*kib)
	f := r.edit(r.put("a", data))
	change := random(4, 100)
	r.write(f, change, 250*kib)
	copy(data[250*kib:], change)
	r.mustCommit(f)
	r.has("a", data)
	if s := r.q.Stats(); s.BytesSent != minPart || s.BytesFetched != minPart-100 {
		t.Errorf("sent %d, fetched %d", s.BytesSent, s.BytesFetched)
	}
	r.noUploads("a")
}

func TestSparseFile(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	f := r.create("a")
	r.write(f, []byte("x"), 0)
	r.write(f, []byte("y"), 300*kib)
	r.mustCommit(f)
	want := make([]byte, 300*kib+1)
	want[0], want[300*kib] = 'x', 'y'
	r.has("a", want)
}

func TestWholeObjectIsOneCopy(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	src := r.put("src", random(5, 30*kib))
	f := r.create("dst")
	if err := f.SetRemote(0, remoteOf(src, src.Size), 0, src.Size); err != nil {
		t.Fatal(err)
	}
	obj := r.mustCommit(f)
	r.has("dst", r.get("src"))
	r.requests(map[string]int{"CopyObject": 1})
	if obj.ETag != r.head("dst").ETag {
		t.Error("wrong ETag")
	}
}

func TestPropertiesOfStoredObject(t *testing.T) {
	t.Parallel()
	r := newRig(t, with(func(c *backend.Capabilities) { c.CopyDestination = false }))
	old := r.put("a", random(6, 30*kib))
	f := r.edit(old)
	if err := f.SetProperties(backend.Properties{Metadata: map[string]string{"mode": "1"}}); err != nil {
		t.Fatal(err)
	}
	r.mustCommit(f)
	r.requests(map[string]int{"CopyObject": 1})
	if r.head("a").Metadata["mode"] != "1" || r.q.Stats().Unguarded != 0 {
		t.Errorf("%+v", r.head("a"))
	}
	// The same while another client wins.
	if err := f.SetProperties(backend.Properties{Metadata: map[string]string{"mode": "2"}}); err != nil {
		t.Fatal(err)
	}
	r.put("a", []byte("theirs"))
	_, err := r.commit(f)
	wantKind(t, err, backend.KindChanged)
	r.has("a", []byte("theirs"))
}

func TestConditionsOfAFile(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.put("a", []byte("theirs"))
	f := r.create("a")
	r.write(f, []byte("ours"), 0)
	_, err := r.commit(f)
	wantKind(t, err, backend.KindExist)
	r.requests(map[string]int{"PutObject": 1, "HeadObject": 1})
	r.has("a", []byte("theirs"))
	if fails := r.failures(); len(fails) != 1 || !backend.IsKind(fails[0], backend.KindExist) {
		t.Errorf("told: %v", fails)
	}
	if err := r.q.Wait(context.Background(), f); !backend.IsKind(err, backend.KindExist) {
		t.Errorf("wait: %v", err)
	}
	if len(r.q.Pending()) != 0 {
		t.Errorf("still queued: %+v", r.q.Pending())
	}

	big := r.edit(r.put("b", random(7, 100*kib)))
	r.write(big, []byte("ours"), 0)
	other := r.put("b", random(8, 100*kib))
	_, err = r.commit(big)
	wantKind(t, err, backend.KindChanged)
	if r.head("b").ETag != other.ETag {
		t.Error("overwritten")
	}
	r.noUploads("b")
}

// A commit of what an earlier one of the same file stored goes on from there.
func TestCommitsOfOneFile(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	f := r.create("a")
	data := random(9, 40*kib)
	r.write(f, data, 0)
	r.mustCommit(f)
	r.store.Reset()
	more := random(10, 40*kib)
	r.write(f, more, 40*kib)
	r.mustCommit(f)
	r.has("a", append(bytes.Clone(data), more...))
	if s := r.q.Stats(); s.BytesCopied != 40*kib {
		t.Errorf("what was stored is not copied: %+v", s)
	}
	if _, err := r.q.Commit(context.Background(), r.seal(f)); err != nil {
		t.Errorf("sealed again without a change: %v", err)
	}
}

// A snapshot that was sealed before the one before it was stored refers to what is stored by then.
func TestSealedWhileUploading(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	data := random(11, 100*kib)
	f := r.edit(r.put("a", data))
	entered, gate := make(chan struct{}), make(chan struct{})
	r.faults.Add(mem.Rule{Op: "CompleteMultipartUpload", Times: 1, Do: []mem.Action{mem.Before(func(context.Context, mem.Call) {
		close(entered)
		<-gate
	})}})
	r.write(f, []byte("first"), 0)
	copy(data, "first")
	first := make(chan error, 1)
	s := r.seal(f)
	go func() {
		_, err := r.q.Commit(context.Background(), s)
		first <- err
	}()
	<-entered
	r.write(f, []byte("second"), 50*kib)
	copy(data[50*kib:], "second")
	s = r.seal(f)
	second := make(chan error, 1)
	go func() {
		_, err := r.q.Commit(context.Background(), s)
		second <- err
	}()
	eventually(t, "the second is queued", func() bool { return len(r.q.Pending()) == 2 })
	close(gate)
	for _, done := range []chan error{first, second} {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	r.has("a", data)
	if f.State() != staging.StateCommitted {
		t.Errorf("the file is %v", f.State())
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(*backend.Limits)
	}{
		{"equal parts", func(l *backend.Limits) { l.EqualParts = true }},
		{"few parts", func(l *backend.Limits) { l.MaxParts = 8 }},
		{"no large copy", func(l *backend.Limits) { l.MaxCopy = 50 * kib }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, with(func(c *backend.Capabilities) { tc.change(&c.Limits) }))
			data := random(12, 200*kib)
			f := r.create("new")
			for off := int64(0); off < 200*kib; off += 4 * kib {
				r.write(f, data[off:off+4*kib], off)
				r.q.Grown(f)
			}
			obj := r.mustCommit(f)
			r.has("new", data)
			r.noUploads("new")

			cp := r.create("copy")
			if err := cp.SetRemote(0, remoteOf(obj, obj.Size), 0, obj.Size); err != nil {
				t.Fatal(err)
			}
			r.mustCommit(cp)
			r.has("copy", data)

			edit := r.edit(obj)
			r.write(edit, []byte("change"), 111*kib)
			copy(data[111*kib:], "change")
			r.mustCommit(edit)
			r.has("new", data)
		})
	}
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	r := newRig(t, with(func(c *backend.Capabilities) { c.Limits.MaxObject = 100 * kib }))
	f := r.create("a")
	if err := f.Truncate(101 * kib); err != nil {
		t.Fatal(err)
	}
	_, err := r.commit(f)
	wantKind(t, err, backend.KindTooLarge)
	if p := r.q.Pending(); len(p) != 1 || p[0].State != "failed" {
		t.Errorf("%+v", p)
	}
	if err := f.Truncate(99 * kib); err != nil {
		t.Fatal(err)
	}
	r.mustCommit(f)
	r.has("a", make([]byte, 99*kib))
}
