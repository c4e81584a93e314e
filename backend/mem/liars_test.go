package mem_test

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/backendtest"
	"github.com/objmount/objmount/backend/mem"
)

// liarVariable names the liar that a child process of this test gives to the suite.
const liarVariable = "OBJMOUNT_TEST_LIAR"

// liar is a store that says it can do everything.
type liar struct{ backend.Store }

func (liar) Capabilities(context.Context, string, string, bool) (backend.Capabilities, error) {
	caps := mem.AllCapabilities()
	caps.Limits.MinPart = backend.KiB
	return caps, nil
}

// quoter leaves the quotes on ETags.
type quoter struct{ liar }

func (q quoter) Head(ctx context.Context, id backend.ObjectID, opt backend.GetOptions) (backend.Object, error) {
	obj, err := q.liar.Head(ctx, id, opt)
	obj.ETag = `"` + obj.ETag + `"`
	return obj, err
}

// repeater shows a common prefix again on the next page, as gofakes3 does.
type repeater struct{ liar }

func (r repeater) List(ctx context.Context, in backend.ListInput) (backend.Page, error) {
	page, err := r.liar.List(ctx, in)
	if in.Token != "" && in.Delimiter != "" {
		page.Prefixes = append([]string{in.Prefix + "d0/"}, page.Prefixes...)
	}
	return page, err
}

// merger mixes old and new metadata in a copy, as gofakes3 does.
type merger struct{ liar }

func (m merger) Copy(ctx context.Context, in backend.CopyInput) (backend.Object, error) {
	if in.Replace != nil {
		old, err := m.Head(ctx, backend.ObjectID{Bucket: in.Source.Bucket, Key: in.Source.Key}, backend.GetOptions{})
		if err != nil {
			return old, err
		}
		merged := in.Replace.Clone()
		merged.Metadata = old.Metadata
		for k, v := range in.Replace.Metadata {
			merged.Metadata[k] = v
		}
		in.Replace = &merged
	}
	return m.liar.Copy(ctx, in)
}

// unescaper takes a "+" in a key for a blank.
type unescaper struct{ liar }

func (u unescaper) Put(ctx context.Context, in backend.PutInput) (backend.Object, error) {
	in.Key = strings.ReplaceAll(in.Key, "+", " ")
	return u.liar.Put(ctx, in)
}

// dasher changes metadata keys on their way to a multipart upload, as Swift does.
type dasher struct{ liar }

func (d dasher) CreateUpload(ctx context.Context, in backend.CreateUploadInput) (string, error) {
	changed := make(map[string]string)
	for k, v := range in.Properties.Metadata {
		changed[strings.ReplaceAll(k, "_", "-")] = v
	}
	in.Properties.Metadata = changed
	return d.liar.CreateUpload(ctx, in)
}

// liars maps a name to a wrong store and to subtests of which each must fail.
var liars = map[string]struct {
	store func() backend.Store
	fails []string
}{
	"conditions": {
		func() backend.Store {
			s := mem.New("bucket")
			s.Configure(func(cfg *mem.Settings) {
				limits := cfg.Capabilities.Limits
				limits.MinPart = backend.KiB
				cfg.Capabilities = backend.Capabilities{PartCopy: true, DeleteMany: true, Underscores: true, Limits: limits}
			})
			return liar{s}
		},
		[]string{
			"Condition/PutIfNoneMatch", "Condition/PutIfMatch", "Condition/PutIfMatchMultipartETag", "Condition/CompleteIfNoneMatch", "Condition/CompleteIfMatch",
			"Condition/CopySourceIfMatch", "Condition/CopyDestinationIfNoneMatch", "Condition/CopyDestinationIfMatch", "Condition/DeleteIfMatch",
			"Read/IfMatch", "CopyPart/SourceIfMatch", "Race/OneWinnerOfPutIfNoneMatch", "Race/OneWinnerOfCompleteIfNoneMatch", "Race/NoLostUpdates",
			"Object/ChecksumVerified", "Multipart/PartChecksumVerified", "Name/AnyKey", "Name/FileAndPrefix",
		},
	},
	"quotes":   {func() backend.Store { return quoter{honest()} }, []string{"Object/RoundTrip", "List/Fields"}},
	"prefixes": {func() backend.Store { return repeater{honest()} }, []string{"List/PrefixesAreNotRepeated", "List/EveryPageSize"}},
	"dashes":   {func() backend.Store { return dasher{honest()} }, []string{"Properties/Underscores", "Multipart/Properties"}},
	"merging":  {func() backend.Store { return merger{honest()} }, []string{"Copy/Replaces", "Copy/OntoItself"}},
	"escapes":  {func() backend.Store { return unescaper{honest()} }, []string{"Name/Special", "Name/SpecialDirectories"}},
	"bodies": {
		func() backend.Store {
			return liar{mem.Faulty(honest(), mem.Rule{Op: "GetObject", Do: []mem.Action{mem.Flip(3)}})}
		},
		[]string{"Object/RoundTrip", "Object/Large", "Read/Ranges", "Multipart/OutOfOrderAndAgain", "CopyPart/Ranges"},
	},
	"tags":       {func() backend.Store { return tagMerger{honest()} }, []string{"Tags/WriteReadRemove"}},
	"tags of":    {func() backend.Store { return tagForgetter{lockable()} }, []string{"Tags/ByVersion"}},
	"locks":      {func() backend.Store { return unlocker{lockable()} }, []string{"Lock/Delete", "Lock/DeleteVersions", "Lock/LegalHold", "Lock/Retention"}},
	"lock of":    {func() backend.Store { return lockDropper{lockable()} }, []string{"Lock/OfWrites", "Lock/Compliance"}},
	"pages":      {func() backend.Store { return keyPager{lockable()} }, []string{"Versions/EveryPageSize", "Versions/Markers"}},
	"order":      {func() backend.Store { return oldestFirst{lockable()} }, []string{"Versions/Order", "Version/EachWriteIsOne"}},
	"markers":    {func() backend.Store { return markerHider{lockable()} }, []string{"Versions/Order", "Version/MarkerRemoved", "Versions/Delimiter"}},
	"versioning": {func() backend.Store { return neverSuspended{honest()} }, []string{"Version/Suspended", "Bucket/Versioning"}},
}

func honest() liar {
	s := mem.New("bucket")
	s.Configure(func(cfg *mem.Settings) { cfg.Capabilities.Limits.MinPart = backend.KiB })
	return liar{s}
}

// TestLiar is what the child processes run.
func TestLiar(t *testing.T) {
	name := os.Getenv(liarVariable)
	if name == "" {
		t.Skip("runs in a child of TestSuiteCatchesLiars")
	}
	backendtest.Run(t, func(*testing.T) (backend.Store, string) { return liars[name].store(), "bucket" })
}

var failure = regexp.MustCompile(`--- FAIL: TestLiar/(\w+/\w+) `)

// TestSuiteCatchesLiars gives wrong stores to the suite: a suite that accepts them is worth nothing.
func TestSuiteCatchesLiars(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, l := range liars {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(program, "-test.run=^TestLiar$", "-test.short")
			cmd.Env = append(os.Environ(), liarVariable+"="+name)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatal("the suite accepts it")
			}
			var failed []string
			for _, m := range failure.FindAllSubmatch(out, -1) {
				failed = append(failed, string(m[1]))
			}
			for _, want := range l.fails {
				if !slices.Contains(failed, want) {
					t.Errorf("%s does not fail; these do: %q", want, failed)
				}
			}
		})
	}
}
