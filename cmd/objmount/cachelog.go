package main

import (
	"context"
	"log/slog"
	"sync/atomic"
)

// cacheLog is the log of what is cached on the disk. What is there can be fetched again, so one warning is enough, whatever
// is wrong with the directory: it says what to do, and those that follow are of level info.
func (p *parts) cacheLog() *slog.Logger {
	return slog.New(oneWarning{p.log.Handler(), &p.cacheSaid})
}

// oneWarning passes on the first warning that it gets.
type oneWarning struct {
	slog.Handler
	said *atomic.Bool
}

func (h oneWarning) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelWarn {
		return h.Handler.Handle(ctx, r)
	}
	if h.said.Swap(true) {
		r.Level = slog.LevelInfo
		if !h.Handler.Enabled(ctx, r.Level) {
			return nil
		}
	} else {
		r = r.Clone()
		r.AddAttrs(slog.String("then", "the mount works on without it; free or mend the cache directory (a full one is used again when there is room), or mount with another --cache-dir"))
	}
	return h.Handler.Handle(ctx, r)
}

func (h oneWarning) WithAttrs(attrs []slog.Attr) slog.Handler {
	return oneWarning{h.Handler.WithAttrs(attrs), h.said}
}

func (h oneWarning) WithGroup(name string) slog.Handler {
	return oneWarning{h.Handler.WithGroup(name), h.said}
}
