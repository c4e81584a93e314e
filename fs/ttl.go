package fs

import "time"

// SetTTL changes Config.TTL and Config.NegativeTTL, and those of Config.Metadata. What the kernel was told before, it believes for
// as long as it was told. It is safe for concurrent use.
func (f *FS) SetTTL(ttl, negative time.Duration) {
	f.cfg.Metadata.SetTTL(ttl, negative)
	f.believed.Store(int64(ttl))
	f.missed.Store(int64(negative))
}

func (f *FS) ttl() time.Duration { return time.Duration(f.believed.Load()) }

func (f *FS) negativeTTL() time.Duration { return time.Duration(f.missed.Load()) }
