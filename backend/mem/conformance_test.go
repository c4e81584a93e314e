package mem_test

import (
	"context"
	"testing"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/backendtest"
	"github.com/objmount/objmount/backend/mem"
)

// TestConformance runs the suite in the settings in which other tests use the store.
func TestConformance(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*mem.Settings){
		"all": func(*mem.Settings) {},
		"lying": func(cfg *mem.Settings) {
			cfg.Capabilities = backend.Capabilities{Vendor: "mem", FileAndPrefix: true, AnyKey: true, Limits: cfg.Capabilities.Limits}
		},
		"refusing": func(cfg *mem.Settings) {
			cfg.Capabilities = backend.Capabilities{Vendor: "mem", PartCopy: true, DeleteMany: true, Limits: cfg.Capabilities.Limits}
			cfg.RefuseConditions = true
		},
		"strict keys":   func(cfg *mem.Settings) { cfg.Capabilities.FileAndPrefix, cfg.Capabilities.AnyKey = false, false },
		"versions":      func(cfg *mem.Settings) { cfg.Capabilities.Versioned = true },
		"locks":         func(cfg *mem.Settings) { cfg.Capabilities.ObjectLock = true },
		"amazon":        func(cfg *mem.Settings) { cfg.UpdateEncryption, cfg.Annotations, cfg.Archive = true, true, true },
		"other answers": func(cfg *mem.Settings) { cfg.ListMetadata, cfg.EmptyLastPage, cfg.EmptyCompleteETag = true, true, true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := mem.New("bucket")
			backendtest.Run(t, func(*testing.T) (backend.Store, string) {
				if name != "all" { // one pass with bodies as large as S3 wants them is enough
					store.Configure(func(cfg *mem.Settings) {
						cfg.Capabilities.Limits.MinPart, cfg.Capabilities.Limits.MaxPut = backend.KiB, 2*backend.MiB
					})
				}
				store.Configure(change)
				return store, "bucket"
			}, lockBuckets(store))
		})
	}
	t.Run("wrapped", func(t *testing.T) {
		t.Parallel()
		store := mem.New("bucket")
		backendtest.Run(t, func(t *testing.T) (backend.Store, string) {
			counter := mem.Counting(mem.Faulty(store, mem.Rule{Op: "none"}, mem.Rule{Do: []mem.Action{mem.Cut(1 << 40)}}))
			t.Cleanup(func() {
				if n := counter.Flying(); n != 0 {
					t.Errorf("%d requests never ended", n)
				}
				if counter.Total() == 0 {
					t.Error("nothing was counted")
				}
			})
			return counter, "bucket"
		}, lockBuckets(store))
	})
}

// lockBuckets lets the suite make buckets with object lock.
func lockBuckets(store *mem.Store) backendtest.Option {
	return backendtest.LockBuckets(func(_ context.Context, bucket string) error {
		store.ConfigureBucket(bucket, func(b *mem.BucketSettings) { b.Lock.Enabled = true })
		return nil
	})
}
