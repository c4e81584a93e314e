package ctl

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/contenttype"
)

// run stores what comes, in one request or in parts.
func (u *putting) run(ctx context.Context) (backend.Object, error) {
	u.mark = rand.Text()
	if u.props.Metadata == nil {
		u.props.Metadata = map[string]string{}
	}
	u.props.Metadata[backend.MetaGeneration] = u.mark
	u.in = &source{putting: u, from: u.body}
	defer u.interrupted(ctx)()
	u.idle.Store(true) // the store has nothing to answer
	defer u.idle.Store(false)
	most := u.mostWhole()
	first, err := u.next(most)
	if err != nil {
		return backend.Object{}, err
	}
	defer first.release()
	if err := u.look(first); err != nil {
		return backend.Object{}, err
	}
	if !u.in.ended { // the end may come with the next byte only
		if err := u.peek(); err != nil {
			return backend.Object{}, err
		}
	}
	u.idle.Store(false)
	switch {
	case !u.in.ended && !u.completes(), u.in.ended && !u.puts() && first.size == 0:
		return backend.Object{}, u.unconditional()
	case !u.in.ended || !u.puts():
		return u.inPieces(ctx, first)
	}
	if err := u.unwritten(); err != nil {
		return backend.Object{}, err
	}
	obj, err := u.Store.Put(ctx, backend.PutInput{
		Bucket: u.place.Bucket, Key: u.place.Key, Body: first.body(), Size: first.size, CRC64NVME: u.checksum(first), Properties: u.props, Condition: u.cond,
	})
	return u.known(ctx, obj, err)
}

// look gives the object the content type that a file of its name and content gets, if none was given, and refuses what the bucket
// does not take.
func (u *putting) look(first *chunk) error {
	head, err := first.first()
	if err != nil {
		return err
	}
	if u.taken.looks() {
		if err := u.taken.head(head); err != nil {
			return err
		}
	}
	if of := &u.props.Headers.ContentType; *of == "" {
		if *of = contenttype.ByName(u.place.Key); *of == "" {
			*of = contenttype.ByContent(head)
		}
	}
	return nil
}

// known tells whether a write whose answer was lost has been done.
func (u *putting) known(ctx context.Context, made backend.Object, err error) (backend.Object, error) {
	if !backend.IsKind(err, backend.KindUnknown) {
		return made, err
	}
	now, failed := u.Store.Head(ctx, u.place.id(), backend.GetOptions{})
	if failed == nil && now.Metadata[backend.MetaGeneration] == u.mark {
		return now, nil
	}
	return made, err
}

// chunk is a part of what comes, in memory or in a file without a name.
type chunk struct {
	data []byte
	file *os.File
	size int64
	sum  []byte
}

func (k *chunk) body() io.ReadSeeker {
	if k.file != nil {
		return io.NewSectionReader(k.file, 0, k.size)
	}
	return bytes.NewReader(k.data)
}

func (k *chunk) release() {
	if k != nil && k.file != nil {
		_ = k.file.Close() // it has no name any more
	}
}

func (u *putting) checksum(k *chunk) string {
	if !u.caps.ChecksumCRC64 || k.size == 0 {
		return ""
	}
	return base64.StdEncoding.EncodeToString(k.sum)
}

// next reads up to n bytes; fewer are the last.
func (u *putting) next(n int64) (*chunk, error) {
	k, sum := &chunk{}, crc64.New(nvme)
	var err error
	if n > u.sizes.inMemory {
		err = k.spool(io.TeeReader(u.in, sum), n)
	} else if k.data, err = readUpTo(u.in, n, u.size-u.in.count); err == nil {
		k.size = int64(len(k.data))
		_, _ = sum.Write(k.data) // a hash takes everything
	}
	if err != nil {
		k.release()
		return nil, err
	}
	k.sum = sum.Sum(nil)
	return k, nil
}

// spool reads up to n bytes into a file of the directory for such files ($TMPDIR), which has no name.
func (k *chunk) spool(from io.Reader, n int64) error {
	f, err := os.CreateTemp("", "objmount-put-")
	if err != nil {
		return err
	}
	k.file = f
	if err := os.Remove(f.Name()); err != nil {
		return err
	}
	k.size, err = io.CopyN(f, from, n)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return err
}

// readUpTo reads up to n bytes, and no more memory is taken than they need; expected is how many there may be, less than 0: not known.
func readUpTo(from io.Reader, n, expected int64) ([]byte, error) {
	const least = 64 << 10
	if expected < 0 {
		expected = least
	}
	data := make([]byte, 0, min(n, expected+1))
	for {
		if len(data) == cap(data) {
			if int64(len(data)) == n {
				return data, nil
			}
			data = append(make([]byte, 0, min(n, 4*int64(cap(data)))), data...)
		}
		k, err := from.Read(data[len(data):cap(data)])
		data = data[:len(data)+k]
		if errors.Is(err, io.EOF) {
			return data, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// peek waits for one more byte, or the end.
func (u *putting) peek() error {
	one, err := readUpTo(u.in, 1, 0)
	if len(one) > 0 {
		from := u.in.from
		u.in.from, u.in.count = io.MultiReader(bytes.NewReader(one), from), u.in.count-1
	}
	return err
}

// inPieces uploads in parts, the first of which is there. Nothing is left of one that fails.
func (u *putting) inPieces(ctx context.Context, first *chunk) (backend.Object, error) {
	up := backend.Upload{Bucket: u.place.Bucket, Key: u.place.Key}
	var err error
	if up.UploadID, err = u.Store.CreateUpload(ctx, backend.CreateUploadInput{Bucket: up.Bucket, Key: up.Key, Properties: u.props}); err != nil {
		return backend.Object{}, err
	}
	parts, err := u.pieces(ctx, up, first)
	if err == nil {
		err = u.unwritten()
	}
	return u.ended(ctx, up, parts, u.in.count, u.cond, err, u.known)
}

// pieces reads part after part, and sends several at once.
func (u *putting) pieces(ctx context.Context, up backend.Upload, first *chunk) ([]backend.Part, error) {
	var parts []backend.Part
	var mu sync.Mutex // of parts and flying
	flying := 0
	room := semaphore.NewWeighted(u.sizes.ahead)
	g, gctx := errgroup.WithContext(ctx)
	defer u.idle.Store(false)
	stop := u.interrupted(gctx)
	send := func(i int, k *chunk) error {
		if i >= int(u.limits.MaxParts) {
			return &Error{Kind: KindInvalid, Message: fmt.Sprintf("that is more than the %d parts that the store takes; say the size beforehand (--size)", u.limits.MaxParts)}
		}
		takes := min(k.size, u.sizes.ahead)
		if err := room.Acquire(gctx, takes); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		parts = append(parts, backend.Part{})
		flying++
		u.idle.Store(false)
		g.Go(func() error {
			defer room.Release(takes)
			defer k.release()
			part, err := u.Store.UploadPart(gctx, backend.PartInput{
				Bucket: up.Bucket, Key: up.Key, UploadID: up.UploadID, Number: int32(i + 1), Body: k.body(), Size: k.size, CRC64NVME: u.checksum(k),
			})
			mu.Lock()
			defer mu.Unlock()
			parts[i] = part
			flying--
			u.idle.Store(flying == 0)
			return err
		})
		return nil
	}
	err := send(0, first)
	for i := 1; err == nil && !u.in.ended; i++ {
		var k *chunk
		if k, err = u.next(u.partSize(i)); err == nil && k.size > 0 { // 0: the end came with the part before
			if err = send(i, k); err != nil {
				k.release()
			}
		}
	}
	stop()                                 // Wait ends gctx
	if failed := g.Wait(); failed != nil { // reading may have ended by it
		err = failed
	}
	return parts, err
}

// interrupted makes that what is waited for from the body ends with ctx. The function returned ends that.
func (u *putting) interrupted(ctx context.Context) (stop func()) {
	body, ok := u.body.(interface{ Interrupt() })
	if !ok {
		return func() {}
	}
	end := context.AfterFunc(ctx, body.Interrupt)
	return func() { end() }
}

// abortPatience is how long it is tried to end an upload that came to nothing: nobody else removes its parts.
const abortPatience = 10 * time.Second

// ended completes an upload, or ends it if err says so, or completing fails for certain. look may find out what was done when
// the answer is lost; nil: that stays unknown.
func (c *call) ended(ctx context.Context, up backend.Upload, parts []backend.Part, size int64, cond backend.Condition, err error,
	look func(context.Context, backend.Object, error) (backend.Object, error)) (backend.Object, error) {
	var obj backend.Object
	if err == nil {
		obj, err = c.Store.CompleteUpload(ctx, backend.CompleteInput{Bucket: up.Bucket, Key: up.Key, UploadID: up.UploadID, Parts: parts, Size: size, Condition: cond})
		if look != nil {
			obj, err = look(ctx, obj, err)
		}
	}
	if err != nil && !backend.IsKind(err, backend.KindUnknown) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortPatience)
		defer cancel()
		_ = c.Store.AbortUpload(ctx, up) // the first error counts
	}
	return obj, err
}
