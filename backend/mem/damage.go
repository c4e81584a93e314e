package mem

import (
	"context"
	"io"
	"sync"
)

// damage is a body that goes wrong at chosen offsets.
type damage struct {
	ctx        context.Context
	call       Call
	reader     io.Reader
	pos        int64   // of the next byte; read by one goroutine at a time
	cut, stall int64   // offsets; -1: never
	flips      []int64 // offsets
	broken     error   // what a cut gives
	closed     chan struct{}

	mu  sync.Mutex
	why error // the failure that a reader has seen
}

// failure returns the error with which the body ended, nil when it did not break.
func (d *damage) failure() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.why
}

func (d *damage) fail(err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.why = err
	return err
}

// Read reads up to the next place where something happens.
func (d *damage) Read(p []byte) (int, error) {
	limit := int64(len(p))
	for _, stop := range []int64{d.cut, d.stall} {
		if stop < 0 {
			continue
		}
		if limit = min(limit, stop-d.pos); limit <= 0 && len(p) > 0 {
			return 0, d.stop(stop)
		}
	}
	n, err := d.reader.Read(p[:limit])
	for _, off := range d.flips {
		if off >= d.pos && off < d.pos+int64(n) {
			p[off-d.pos] ^= 1
		}
	}
	d.pos += int64(n)
	return n, err
}

// stop is reached at the offset of a cut or a stall, if the body is longer than that.
func (d *damage) stop(at int64) error {
	if at == d.cut {
		var one [1]byte
		if n, err := io.ReadFull(d.reader, one[:]); n == 0 {
			return err
		}
		return d.fail(d.broken)
	}
	select {
	case <-d.ctx.Done():
		return d.fail(d.call.name().cancel(context.Cause(d.ctx)))
	case <-d.closed:
		return d.fail(io.ErrClosedPipe)
	}
}

// damagedUpload is the body of a write.
type damagedUpload struct {
	*damage
	seeker io.Seeker
}

func (u *damagedUpload) Seek(offset int64, whence int) (int64, error) {
	pos, err := u.seeker.Seek(offset, whence)
	if err == nil {
		u.pos = pos
	}
	return pos, err
}

// damagedDownload is the body of a GET.
type damagedDownload struct {
	*damage
	closer io.Closer
	once   sync.Once
}

func (d *damagedDownload) Close() error {
	d.once.Do(func() { close(d.closed) })
	return d.closer.Close()
}
