package mem_test

import (
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
		"other answers": func(cfg *mem.Settings) { cfg.ListMetadata, cfg.EmptyLastPage, cfg.EmptyCompleteETag = true, true, true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backendtest.Run(t, func(*testing.T) (backend.Store, string) {
				store := mem.New("bucket")
				if name != "all" { // one pass with bodies as large as S3 wants them is enough
					store.Configure(func(cfg *mem.Settings) {
						cfg.Capabilities.Limits.MinPart, cfg.Capabilities.Limits.MaxPut = backend.KiB, 2*backend.MiB
					})
				}
				store.Configure(change)
				return store, "bucket"
			})
		})
	}
	t.Run("wrapped", func(t *testing.T) {
		t.Parallel()
		backendtest.Run(t, func(t *testing.T) (backend.Store, string) {
			idle := mem.Rule{Op: "none"}
			counter := mem.Counting(mem.Faulty(mem.New("bucket"), idle, mem.Rule{Do: []mem.Action{mem.Cut(1 << 40)}}))
			t.Cleanup(func() {
				if n := counter.Flying(); n != 0 {
					t.Errorf("%d requests never ended", n)
				}
				if counter.Total() == 0 {
					t.Error("nothing was counted")
				}
			})
			return counter, "bucket"
		})
	})
}
