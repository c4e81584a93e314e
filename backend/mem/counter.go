package mem

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/objmount/objmount/backend"
)

// Counter is a backend.Store that counts what passes through it.
type Counter struct {
	wrapper
	mu             sync.Mutex
	requests       map[string]int
	sent, received int64
	flying, peak   int
}

var _ backend.Store = (*Counter)(nil)

// Counting returns a Counter around store.
func Counting(store backend.Store) *Counter {
	c := &Counter{requests: map[string]int{}}
	c.wrapper = wrapper{store: store, hook: c.begin}
	return c
}

// Requests returns how often each S3 operation was called since the last Reset, failed
// calls included. Operations that were not called are absent. The map is the caller's.
func (c *Counter) Requests() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.requests)
}

// Total returns the number of all requests since the last Reset.
func (c *Counter) Total() int {
	total := 0
	for _, n := range c.Requests() {
		total += n
	}
	return total
}

// BytesSent returns the bytes of PutObject and UploadPart bodies that the store has read.
func (c *Counter) BytesSent() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent
}

// BytesReceived returns the bytes of GetObject bodies that were read.
func (c *Counter) BytesReceived() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.received
}

// Peak returns the largest number of requests that were under way at once since the last
// Reset. A GET ends when its body is closed.
func (c *Counter) Peak() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.peak
}

// Flying returns the number of requests that are under way now.
func (c *Counter) Flying() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flying
}

// Reset sets every count to zero and the peak to the requests under way.
func (c *Counter) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.requests)
	c.sent, c.received, c.peak = 0, 0, c.flying
}

// String returns the requests in one line, in order of names, for messages of tests.
func (c *Counter) String() string {
	requests := c.Requests()
	var words []string
	for _, op := range slices.Sorted(maps.Keys(requests)) {
		words = append(words, fmt.Sprintf("%s:%d", op, requests[op]))
	}
	return fmt.Sprintf("[%s] sent %d received %d", strings.Join(words, " "), c.BytesSent(), c.BytesReceived())
}

func (c *Counter) begin(_ context.Context, call Call) (interception, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests[call.Op]++
	c.flying++
	c.peak = max(c.peak, c.flying)
	return &counted{counter: c}, nil
}

func (c *Counter) add(sent, received int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent += int64(sent)
	c.received += int64(received)
}

func (c *Counter) land() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flying--
}

// counted is one call of a Counter.
type counted struct {
	counter *Counter
	body    bool // a GET that goes on until its body is closed
}

func (i *counted) upload(r io.ReadSeeker) io.ReadSeeker {
	return &countedUpload{ReadSeeker: r, counter: i.counter}
}

func (i *counted) download(b *backend.Body) *backend.Body {
	i.body = true
	b.ReadCloser = &countedDownload{ReadCloser: b.ReadCloser, counter: i.counter}
	return b
}

func (i *counted) end(err error) error {
	if !i.body {
		i.counter.land()
	}
	return err
}

type countedUpload struct {
	io.ReadSeeker
	counter *Counter
}

func (u *countedUpload) Read(p []byte) (int, error) {
	n, err := u.ReadSeeker.Read(p)
	u.counter.add(n, 0)
	return n, err
}

type countedDownload struct {
	io.ReadCloser
	counter *Counter
	once    sync.Once
}

func (d *countedDownload) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	d.counter.add(0, n)
	return n, err
}

func (d *countedDownload) Close() error {
	d.once.Do(d.counter.land)
	return d.ReadCloser.Close()
}
