package fs

import (
	"bytes"
	"context"
	"errors"
	"hash"
	"hash/crc64"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
)

// crc64NVME makes the hash that S3 calls CRC64NVME.
func crc64NVME() hash.Hash64 { return crc64.New(crc64.MakeTable(0x9A6C9329AC4BC9B5)) }

// spoiler changes one byte of what is read, while it is on.
type spoiler struct {
	backend.Store
	on atomic.Bool
	at int64
}

func (s *spoiler) Get(ctx context.Context, id backend.ObjectID, opt backend.GetOptions) (*backend.Body, error) {
	body, err := s.Store.Get(ctx, id, opt)
	if err != nil || !s.on.Load() {
		return body, err
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	if i := s.at - body.Range.Off; i >= 0 && i < int64(len(data)) {
		data[i] ^= 1
	}
	return &backend.Body{ReadCloser: io.NopCloser(bytes.NewReader(data)), Object: body.Object, Range: body.Range}, nil
}

// sumless hides the checksums of objects.
type sumless struct{ backend.Store }

func (s *sumless) Head(ctx context.Context, id backend.ObjectID, opt backend.GetOptions) (backend.Object, error) {
	obj, err := s.Store.Head(ctx, id, opt)
	obj.CRC64NVME = ""
	return obj, err
}

// TestChecksumKnownFromOpen: open's HEAD brings the checksum; nothing asks for it again, whether the store has
// one or not.
func TestChecksumKnownFromOpen(t *testing.T) {
	for name, wrap := range map[string]func(backend.Store) backend.Store{
		"sum":    func(s backend.Store) backend.Store { return s },
		"no sum": func(s backend.Store) backend.Store { return &sumless{s} },
	} {
		t.Run(name, func(t *testing.T) {
			m := newTestMount(t, testOptions{checksum: crc64NVME, wrap: wrap})
			data := bytes.Repeat([]byte("0123456789abcdef"), 20<<20/16)
			m.put("big", data)
			_, err := os.Stat(m.path("big"))
			check(t, err)
			m.requests(func() {
				got, err := os.ReadFile(m.path("big"))
				check(t, err)
				if !bytes.Equal(got, data) {
					t.Error("wrong bytes")
				}
			}, m.atMost(map[string]int{"HeadObject": 1, "GetObject": 100}))
		})
	}
}

// TestWrongPages: when a checksum turns out wrong at the end of a file, the kernel has been given wrong bytes of
// its middle already. Who has the file open gets EIO from then on, who opens it again the bytes of the store.
func TestWrongPages(t *testing.T) {
	var bad *spoiler
	m := newTestMount(t, testOptions{checksum: crc64NVME, wrap: func(s backend.Store) backend.Store {
		bad = &spoiler{Store: s, at: 5<<20 + 17}
		return bad
	}})
	data := bytes.Repeat([]byte("0123456789abcdef"), 20<<20/16)
	m.put("big", data)
	bad.on.Store(true)
	file, err := os.Open(m.path("big"))
	check(t, err)
	if _, err := io.Copy(io.Discard, struct{ io.Reader }{file}); !errors.Is(err, syscall.EIO) {
		t.Fatalf("reading wrong bytes to the end: %v", err)
	}
	bad.on.Store(false)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) { // the kernel is told soon
		_, err := file.ReadAt(make([]byte, 10), 5<<20+10)
		if errors.Is(err, syscall.EIO) {
			break
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("reading on: %v", err)
		}
	}
	check(t, file.Close())
	got, err := os.ReadFile(m.path("big"))
	check(t, err)
	if !bytes.Equal(got, data) {
		t.Error("the kernel kept wrong pages")
	}
}
