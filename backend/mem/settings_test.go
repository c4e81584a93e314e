package mem

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
	"pgregory.net/rapid"
)

func configured(change func(*Settings)) *Store {
	s := New(testBucket)
	s.Configure(change)
	return s
}

// conditional does one write of each kind whose condition does not hold.
func conditional(s backend.Store) map[string]error {
	ctx, stale := context.Background(), backend.Condition{IfMatch: "stale"}
	none := backend.Condition{IfNoneMatch: true}
	complete := func(cond backend.Condition) error {
		id, err := s.CreateUpload(ctx, backend.CreateUploadInput{Bucket: testBucket, Key: "a"})
		if err != nil {
			return err
		}
		p, err := s.UploadPart(ctx, backend.PartInput{Bucket: testBucket, Key: "a", UploadID: id, Number: 1, Body: strings.NewReader("x"), Size: 1})
		if err != nil {
			return err
		}
		_, err = s.CompleteUpload(ctx, backend.CompleteInput{Bucket: testBucket, Key: "a", UploadID: id, Parts: []backend.Part{p}, Condition: cond})
		return err
	}
	write := func(cond backend.Condition) error {
		_, err := s.Put(ctx, backend.PutInput{Bucket: testBucket, Key: "a", Condition: cond})
		return err
	}
	duplicate := func(etag string, cond backend.Condition) error {
		_, err := s.Copy(ctx, backend.CopyInput{Bucket: testBucket, Key: "a", Source: backend.Source{Bucket: testBucket, Key: "source", ETag: etag}, Condition: cond})
		return err
	}
	part := func() error {
		id, err := s.CreateUpload(ctx, backend.CreateUploadInput{Bucket: testBucket, Key: "p"})
		if err != nil {
			return err
		}
		_, err = s.CopyPart(ctx, backend.CopyPartInput{Bucket: testBucket, Key: "p", UploadID: id, Number: 1, Source: backend.Source{Bucket: testBucket, Key: "source", ETag: "stale"}, Range: backend.Range{Len: 1}})
		return err
	}
	_, read := s.Head(ctx, backend.ObjectID{Bucket: testBucket, Key: "a"}, backend.GetOptions{IfMatch: "stale"})
	return map[string]error{
		"Get IfMatch": read, "Put IfMatch": write(stale), "Put IfNoneMatch": write(none),
		"Complete IfMatch": complete(stale), "Complete IfNoneMatch": complete(none),
		"Copy source": duplicate("stale", backend.Condition{}), "Copy IfMatch": duplicate("", stale), "Copy IfNoneMatch": duplicate("", none),
		"CopyPart": part(), "Delete IfMatch": s.Delete(ctx, backend.DeleteInput{Bucket: testBucket, Key: "a", IfMatch: "stale"}),
	}
}

func TestConditionsAreEnforcedIgnoredOrRefused(t *testing.T) {
	t.Parallel()
	lying := func(cfg *Settings) {
		cfg.Capabilities = backend.Capabilities{PartCopy: true, FileAndPrefix: true, AnyKey: true, Limits: backend.S3Limits()}
	}
	refusing := func(cfg *Settings) {
		lying(cfg)
		cfg.RefuseConditions = true
	}
	for name, c := range map[string]struct {
		change func(*Settings)
		check  func(what string, err error) bool
	}{
		"enforced": {func(*Settings) {}, func(what string, err error) bool {
			if strings.HasSuffix(what, "IfNoneMatch") {
				return backend.IsKind(err, backend.KindExist)
			}
			return backend.IsKind(err, backend.KindChanged)
		}},
		"ignored": {lying, func(_ string, err error) bool { return err == nil }},
		"refused": {refusing, func(_ string, err error) bool { return backend.IsKind(err, backend.KindUnsupported) }},
	} {
		s := configured(c.change)
		put(t, s, "a", []byte("x"))
		put(t, s, "source", []byte("y"))
		for what, err := range conditional(s) {
			if !c.check(what, err) {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		}
	}
}

func TestWhatIsOffIsUnsupported(t *testing.T) {
	t.Parallel()
	s, ctx := configured(func(cfg *Settings) { cfg.Capabilities = backend.Capabilities{Limits: backend.S3Limits()} }), context.Background()
	_, err := s.DeleteMany(ctx, testBucket, []string{"a"})
	wantKind(t, err, backend.KindUnsupported)
	_, err = s.CopyPart(ctx, backend.CopyPartInput{Bucket: testBucket, Key: "a", Number: 1, Range: backend.Range{Len: 1}})
	wantKind(t, err, backend.KindUnsupported)
	in := backend.PutInput{Bucket: testBucket, Key: "a", Properties: backend.Properties{
		Tags: map[string]string{"a": "b"}, StorageClass: "GLACIER", Encryption: backend.Encryption{Algorithm: "AES256"},
	}}
	obj, err := s.Put(ctx, in)
	if err != nil || obj.TagCount != -1 || obj.StorageClass != "" || obj.Encryption != (backend.Encryption{}) || obj.CRC64NVME != "" {
		t.Errorf("%+v, %v", obj, err)
	}
	s.Configure(func(cfg *Settings) { cfg.Capabilities = AllCapabilities() })
	obj, err = s.Put(ctx, in)
	if err != nil || obj.TagCount != 1 || obj.StorageClass != "GLACIER" || obj.Encryption.Algorithm != "AES256" || obj.CRC64NVME == "" {
		t.Errorf("%+v, %v", obj, err)
	}
	// A copy that replaces nothing drops class and encryption, and keeps tags.
	obj, err = s.Copy(ctx, backend.CopyInput{Bucket: testBucket, Key: "b", Source: backend.Source{Bucket: testBucket, Key: "a"}})
	if err != nil || obj.TagCount != 1 || obj.StorageClass != "" || obj.Encryption.Algorithm != "" {
		t.Errorf("%+v, %v", obj, err)
	}
}

func TestKeysThatStrictStoresRefuse(t *testing.T) {
	t.Parallel()
	s := configured(func(cfg *Settings) { cfg.Capabilities.FileAndPrefix, cfg.Capabilities.AnyKey = false, false })
	for _, key := range []string{"file", "dir/", "dir/x", "deep/er/y"} {
		put(t, s, key, nil)
	}
	for _, key := range []string{"file/x", "file/", "dir", "deep", "deep/er", "/x", "x//y", "a/./b", "..", "a/..", "//"} {
		wantKind(t, putErr(s, key, nil), backend.KindInvalid)
	}
	for _, key := range []string{"fil", "file2", "dir-1", "deep/e", "a..b", "x/", "...", "deep/er/y"} {
		put(t, s, key, nil)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	s, ctx := New(testBucket), context.Background()
	limit := func(change func(*backend.Limits)) {
		s.Configure(func(cfg *Settings) {
			cfg.Capabilities.Limits = backend.Limits{MinPart: 2, MaxPart: 5, MaxParts: 3, MaxPut: 8, MaxCopy: 8, MaxObject: 9, MaxMeta: 20}
			if change != nil {
				change(&cfg.Capabilities.Limits)
			}
		})
	}
	limit(nil)
	wantKind(t, putErr(s, "a", make([]byte, 9)), backend.KindTooLarge)
	put(t, s, "a", make([]byte, 8))
	limit(func(l *backend.Limits) { l.MaxCopy = 7 })
	_, err := s.Copy(ctx, backend.CopyInput{Bucket: testBucket, Key: "b", Source: backend.Source{Bucket: testBucket, Key: "a"}})
	wantKind(t, err, backend.KindTooLarge)
	limit(nil)
	_, err = s.Put(ctx, backend.PutInput{Bucket: testBucket, Key: "m", Properties: backend.Properties{Metadata: map[string]string{"key": "18 bytes of a value"}}})
	wantKind(t, err, backend.KindTooLarge)

	for _, c := range []struct {
		numbers []int32
		sizes   []int
		part    backend.Kind // of the last part; KindOther: none
		end     backend.Kind
	}{
		{[]int32{1, 2, 3}, []int{2, 5, 1}, 0, 0},
		{[]int32{1, 2, 4}, []int{2, 2, 1}, backend.KindTooLarge, 0},
		{[]int32{0}, []int{2}, backend.KindInvalid, 0},
		{[]int32{1}, []int{6}, backend.KindTooLarge, 0},
		{[]int32{1, 2}, []int{1, 2}, 0, backend.KindInvalid},
		{[]int32{2, 1}, []int{2, 2}, 0, backend.KindInvalid},
		{[]int32{1, 2}, []int{5, 5}, 0, backend.KindTooLarge},
		{nil, nil, 0, backend.KindInvalid},
	} {
		partErr, endErr := multipart(s, c.numbers, c.sizes)
		if got := kindOrZero(partErr); got != c.part {
			t.Errorf("%+v: part: %v", c, partErr)
		}
		if got := kindOrZero(endErr); got != c.end {
			t.Errorf("%+v: complete: %v", c, endErr)
		}
	}
	limit(func(l *backend.Limits) { l.EqualParts = true })
	for want, sizes := range map[backend.Kind][]int{0: {2, 2, 1}, backend.KindInvalid: {2, 3, 1}} {
		if _, err := multipart(s, []int32{1, 2, 3}, sizes); kindOrZero(err) != want {
			t.Errorf("equal parts, sizes %v: %v", sizes, err)
		}
	}
}

func kindOrZero(err error) backend.Kind {
	if err == nil {
		return 0
	}
	return backend.KindOf(err)
}

func multipart(s *Store, numbers []int32, sizes []int) (partErr, endErr error) {
	ctx := context.Background()
	id, err := s.CreateUpload(ctx, backend.CreateUploadInput{Bucket: testBucket, Key: "parts"})
	if err != nil {
		return err, nil
	}
	var parts []backend.Part
	for i, number := range numbers {
		p, err := s.UploadPart(ctx, backend.PartInput{Bucket: testBucket, Key: "parts", UploadID: id, Number: number, Body: bytes.NewReader(make([]byte, sizes[i])), Size: int64(sizes[i])})
		if err != nil {
			return err, nil
		}
		parts = append(parts, p)
	}
	_, err = s.CompleteUpload(ctx, backend.CompleteInput{Bucket: testBucket, Key: "parts", UploadID: id, Parts: parts})
	return nil, err
}

func TestBodiesOfAnotherSizeAreRefused(t *testing.T) {
	t.Parallel()
	s, ctx := New(testBucket), context.Background()
	for _, size := range []int64{0, 3, 5} {
		_, err := s.Put(ctx, backend.PutInput{Bucket: testBucket, Key: "a", Body: strings.NewReader("four"), Size: size})
		wantKind(t, err, backend.KindInvalid)
	}
	_, err := s.Put(ctx, backend.PutInput{Bucket: testBucket, Key: "a", Size: 1})
	wantKind(t, err, backend.KindInvalid)
}

func TestMetadataThatHeadersCannotCarry(t *testing.T) {
	t.Parallel()
	s, ctx := New(testBucket), context.Background()
	write := func(p backend.Properties) error {
		_, err := s.Put(ctx, backend.PutInput{Bucket: testBucket, Key: "a", Properties: p})
		return err
	}
	for key, value := range map[string]string{"": "x", "two words": "x", "ü": "x", "colon:": "x", "a": "ü", "b": "line\nbreak", "c": " outer", "d": "outer "} {
		wantKind(t, write(backend.Properties{Metadata: map[string]string{key: value}}), backend.KindInvalid)
	}
	wantKind(t, write(backend.Properties{Headers: backend.Headers{CacheControl: "a\r\nb: c"}}), backend.KindInvalid)
	tags := map[string]string{}
	for i := range 11 {
		tags[fmt.Sprint(i)] = ""
	}
	wantKind(t, write(backend.Properties{Tags: tags}), backend.KindInvalid)
	wantKind(t, write(backend.Properties{Tags: map[string]string{strings.Repeat("k", 129): ""}}), backend.KindInvalid)
	if err := write(backend.Properties{Metadata: map[string]string{"Upper-Case": "x"}}); err != nil {
		t.Fatal(err)
	}
	if _, obj := get(t, s, "a", backend.GetOptions{}); !maps.Equal(obj.Metadata, map[string]string{"upper-case": "x"}) {
		t.Errorf("%v", obj.Metadata)
	}
}

func TestTheClockDatesObjects(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)
	s, ctx := configured(func(cfg *Settings) { cfg.Clock = func() time.Time { return now } }), context.Background()
	begin := now.Truncate(time.Second)
	put(t, s, "put", nil)
	id, err := s.CreateUpload(ctx, backend.CreateUploadInput{Bucket: testBucket, Key: "parts"})
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.UploadPart(ctx, backend.PartInput{Bucket: testBucket, Key: "parts", UploadID: id, Number: 1, Body: strings.NewReader("x"), Size: 1})
	if err != nil {
		t.Fatal(err)
	}
	s.Configure(func(cfg *Settings) { cfg.Clock = func() time.Time { return now.Add(time.Hour) } })
	if _, err := s.CompleteUpload(ctx, backend.CompleteInput{Bucket: testBucket, Key: "parts", UploadID: id, Parts: []backend.Part{p}}); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"put", "parts"} { // an upload's object is dated by its beginning
		if _, obj := get(t, s, key, backend.GetOptions{}); !obj.LastModified.Equal(begin) || !obj.Fetched.Equal(begin.Add(time.Hour)) {
			t.Errorf("%s: modified %v fetched %v", key, obj.LastModified, obj.Fetched)
		}
	}
}

func TestVersionsSwitchedOffAgain(t *testing.T) {
	t.Parallel()
	s, ctx := New(testBucket), context.Background()
	put(t, s, "a", []byte("null"))
	s.Configure(func(cfg *Settings) { cfg.Capabilities.Versioned = true })
	one := put(t, s, "a", []byte("one"))
	if data, _ := get(t, s, "a", backend.GetOptions{VersionID: "null"}); string(data) != "null" {
		t.Errorf("null version: %q", data)
	}
	if err := s.Delete(ctx, backend.DeleteInput{Bucket: testBucket, Key: "a"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(ctx, backend.PutInput{Bucket: testBucket, Key: "a", Condition: backend.Condition{IfNoneMatch: true}}); err != nil {
		t.Errorf("If-None-Match over a delete marker: %v", err)
	}
	s.Configure(func(cfg *Settings) { cfg.Capabilities.Versioned = false })
	put(t, s, "a", []byte("null again"))
	if err := s.Delete(ctx, backend.DeleteInput{Bucket: testBucket, Key: "a"}); err != nil {
		t.Fatal(err)
	}
	_, err := s.Head(ctx, backend.ObjectID{Bucket: testBucket, Key: "a"}, backend.GetOptions{})
	wantKind(t, err, backend.KindNotExist)
	_, err = s.Head(ctx, backend.ObjectID{Bucket: testBucket, Key: "a"}, backend.GetOptions{VersionID: "null"})
	wantKind(t, err, backend.KindNotExist) // a marker
	if data, _ := get(t, s, "a", backend.GetOptions{VersionID: one.VersionID}); string(data) != "one" {
		t.Errorf("kept version: %q", data)
	}
	wantKind(t, s.DeleteBucket(ctx, testBucket), backend.KindNotEmpty)
}

// TestListingsAgainstAModel adds and deletes keys and compares every way to list them.
func TestListingsAgainstAModel(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	key := rapid.StringOfN(rapid.SampledFrom([]rune("ab/\xff0")), 1, 5, -1)
	rapid.Check(t, func(t *rapid.T) {
		s, model := New(testBucket), map[string]bool{}
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			k := key.Draw(t, "key")
			if model[k] || rapid.Bool().Draw(t, "delete") {
				delete(model, k)
				if err := s.Delete(ctx, backend.DeleteInput{Bucket: testBucket, Key: k}); err != nil {
					t.Fatal(err)
				}
				continue
			}
			model[k] = true
			if err := putErr(s, k, nil); err != nil {
				t.Fatal(err)
			}
		}
		in := backend.ListInput{
			Bucket: testBucket, Prefix: rapid.SampledFrom([]string{"", "a", "a/", "b/a", "/"}).Draw(t, "prefix"),
			Delimiter: rapid.SampledFrom([]string{"", "/"}).Draw(t, "delimiter"), StartAfter: rapid.SampledFrom([]string{"", "a", "a/", "a0", "b"}).Draw(t, "after"),
			MaxKeys: int32(rapid.IntRange(0, 4).Draw(t, "page")),
		}
		s.Configure(func(cfg *Settings) { cfg.EmptyLastPage = in.MaxKeys%2 == 1 })
		var want []string
		for k := range model {
			if strings.HasPrefix(k, in.Prefix) {
				if i := strings.Index(k[len(in.Prefix):], "/"); in.Delimiter != "" && i >= 0 {
					k = k[:len(in.Prefix)+i+1] + "<prefix>"
				}
				if name := strings.TrimSuffix(k, "<prefix>"); name > in.StartAfter {
					want = append(want, k)
				}
			}
		}
		slices.Sort(want)
		want = slices.Compact(want)
		var got []string
		for pages := 0; ; pages++ {
			page, err := s.List(ctx, in)
			if err != nil {
				t.Fatal(err)
			}
			for _, obj := range page.Objects {
				got = append(got, obj.Key)
			}
			for _, p := range page.Prefixes {
				got = append(got, p+"<prefix>")
			}
			if in.Token = page.Next; in.Token == "" {
				break
			}
			if pages > 1000 {
				t.Fatal("no end")
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatalf("%+v: %q, want %q", in, got, want)
		}
	})
}
