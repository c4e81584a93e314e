package backendtest

import (
	"context"
	crand "crypto/rand"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
)

// patience is how long a subtest may take: some servers need minutes for a thousand objects on
// a machine that is busy otherwise.
const patience = 8 * time.Minute

// Run tests the store that newStore returns, in the given bucket. newStore is called once;
// what it registers with t.Cleanup runs after the last subtest.
func Run(t *testing.T, newStore func(t *testing.T) (store backend.Store, bucket string), more ...Option) {
	var opt options
	for _, set := range more {
		set(&opt)
	}
	store, bucket := newStore(t)
	prefix := "objmount-conformance-" + random() + "/"
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	caps, err := store.Capabilities(ctx, bucket, prefix, true)
	if err != nil {
		t.Fatalf("Capabilities: %v", err)
	}
	t.Logf("capabilities: %+v", caps)
	t.Cleanup(func() { clean(t, store, bucket, prefix, caps) })
	for _, group := range []struct {
		name  string
		cases []testCase
	}{
		{"Object", objectCases},
		{"Properties", propertyCases},
		{"Read", readCases},
		{"Condition", conditionCases},
		{"Race", raceCases},
		{"List", listCases},
		{"Name", nameCases},
		{"Copy", copyCases},
		{"Delete", deleteCases},
		{"Multipart", multipartCases},
		{"CopyPart", copyPartCases},
		{"Version", versionCases},
		{"Versions", versionListCases},
		{"Tags", tagCases},
		{"Lock", lockCases},
		{"Describe", describeCases},
		{"Bucket", bucketCases},
		{"Cancel", cancelCases},
		{"Capabilities", capabilityCases},
	} {
		t.Run(group.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range group.cases {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					ctx, cancel := context.WithTimeout(context.Background(), patience)
					defer cancel()
					e := &env{T: t, ctx: ctx, store: store, bucket: bucket, caps: caps, prefix: prefix + group.name + c.name + "/"}
					if c.needs == "ObjectLock" && !caps.ObjectLock && opt.lockBucket != nil {
						e.own(opt.lockBucket)
					}
					if c.needs != "" && !reflect.ValueOf(e.caps).FieldByName(c.needs).Bool() {
						t.Skipf("the store does not claim %s", c.needs)
					}
					if c.thousand && opt.again {
						t.Skip("a thousand objects: the run without Again has it, and OBJMOUNT_SOAK")
					}
					c.run(e)
				})
			}
		})
	}
}

// testCase is one subtest.
type testCase struct {
	name  string
	needs string // the field of backend.Capabilities without which it is skipped; "": none
	run   func(*env)
	// thousand: it makes so many objects, to see what a whole page is.
	thousand bool
}

// env is what a subtest works with.
type env struct {
	*testing.T
	ctx    context.Context
	store  backend.Store
	bucket string
	caps   backend.Capabilities
	prefix string // of all its keys, ending in "/"
}

// random returns 16 hex digits.
func random() string {
	var b [8]byte
	crand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// beside returns a new name that begins so, of a bucket where the tested one is: a store of several stores names them STORE/BUCKET.
func (e *env) beside(begin string) string {
	return strings.TrimSuffix(e.bucket, ownName(e.bucket)) + begin + random()
}

// ownName is what a bucket is called in its own store.
func ownName(bucket string) string { return bucket[strings.LastIndexByte(bucket, '/')+1:] }

// clean removes what the run left behind.
func clean(t *testing.T, store backend.Store, bucket, prefix string, caps backend.Capabilities) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := sweep(ctx, store, bucket, prefix, caps.DeleteMany); err != nil {
		t.Errorf("cleaning up: %v", err)
	}
	if !caps.Versioned {
		return
	}
	if err := purge(ctx, store, bucket, prefix); err != nil {
		t.Logf("old versions stay: %v", err)
	}
}

// sweep deletes all objects below a prefix.
func sweep(ctx context.Context, store backend.Store, bucket, prefix string, many bool) error {
	for range 100 {
		page, err := store.List(ctx, backend.ListInput{Bucket: bucket, Prefix: prefix})
		if err != nil || len(page.Objects) == 0 {
			return err
		}
		var keys []string
		for _, obj := range page.Objects {
			keys = append(keys, obj.Key)
		}
		if err := removeAll(ctx, store, bucket, keys, many); err != nil {
			return err
		}
	}
	return nil
}

func removeAll(ctx context.Context, store backend.Store, bucket string, keys []string, many bool) error {
	if many {
		_, err := store.DeleteMany(ctx, bucket, keys)
		return err
	}
	for _, key := range keys {
		if err := store.Delete(ctx, backend.DeleteInput{Bucket: bucket, Key: key}); err != nil {
			return err
		}
	}
	return nil
}
