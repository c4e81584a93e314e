package s3

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/objmount/objmount/backend"
)

// client is what a benchmark needs of a store.
type client interface {
	get(ctx context.Context, key string, off, n int64, buf []byte) error
	put(ctx context.Context, key string, data []byte) error
}

// ours is a Store as a client.
type ours struct {
	store  *Store
	bucket string
}

func (o ours) get(ctx context.Context, key string, off, n int64, buf []byte) error {
	body, err := o.store.Get(ctx, backend.ObjectID{Bucket: o.bucket, Key: key}, backend.GetOptions{Range: &backend.Range{Off: off, Len: n}})
	if err != nil {
		return err
	}
	defer body.Close()
	return drain(body, n, buf)
}

func (o ours) put(ctx context.Context, key string, data []byte) error {
	_, err := o.store.Put(ctx, backend.PutInput{Bucket: o.bucket, Key: key, Body: bytes.NewReader(data), Size: int64(len(data)),
		Condition: backend.Condition{IfNoneMatch: true}})
	return err
}

// bare is net/http with a signature: what a request costs at least.
type bare struct {
	url    string // of the bucket
	signer *v4.Signer
	creds  aws.Credentials
	http   *http.Transport
}

func (b bare) do(ctx context.Context, method, key string, body []byte, header func(http.Header)) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, b.url+"/"+key, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	header(req.Header)
	req.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	if err := b.signer.SignHTTP(ctx, b.creds, req, "UNSIGNED-PAYLOAD", "s3", "us-east-1", time.Now()); err != nil {
		return nil, err
	}
	resp, err := b.http.RoundTrip(req)
	if err == nil && resp.StatusCode >= 300 {
		resp.Body.Close()
		err = fmt.Errorf("%s of %s: %s", method, key, resp.Status)
	}
	return resp, err
}

func (b bare) get(ctx context.Context, key string, off, n int64, buf []byte) error {
	resp, err := b.do(ctx, http.MethodGet, key, nil, func(h http.Header) { h.Set("Range", rangeHeader(backend.Range{Off: off, Len: n})) })
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return drain(resp.Body, n, buf)
}

func (b bare) put(ctx context.Context, key string, data []byte) error {
	resp, err := b.do(ctx, http.MethodPut, key, data, func(h http.Header) { h.Set("If-None-Match", "*") })
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// drain reads n bytes in pieces of buf, and the end.
func drain(r io.Reader, n int64, buf []byte) error {
	for {
		k, err := r.Read(buf)
		if n -= int64(k); err == io.EOF && n == 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// benchmarkClients runs a benchmark with both clients on each server. The figure to compare is
// cpu-us/op: what the client costs the machine, in user and kernel.
func benchmarkClients(b *testing.B, run func(b *testing.B, c client)) {
	for _, start := range []func(testing.TB) server{startVersityGW, startMinIO} {
		srv := start(b)
		store := openStore(b, srv, Config{})
		bucket := "objmount-bench-" + randomHex()
		if err := store.CreateBucket(b.Context(), bucket); err != nil {
			b.Fatal(err)
		}
		if err := (ours{store, bucket}).put(b.Context(), "big", make([]byte, 64<<20)); err != nil {
			b.Fatal(err)
		}
		time.Sleep(3 * time.Second) // what is younger is looked at twice (getUnmixed)
		transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
		b.Cleanup(transport.CloseIdleConnections)
		for _, c := range []struct {
			name string
			client
		}{
			{"bare", bare{srv.endpoint + "/" + bucket, v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }),
				aws.Credentials{AccessKeyID: srv.key, SecretAccessKey: srv.secret}, transport}},
			{"ours", ours{store, bucket}},
		} {
			b.Run(srv.name+"/"+c.name, func(b *testing.B) {
				b.ReportAllocs()
				before := cpu()
				run(b, c.client)
				b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-us/op")
			})
		}
	}
}

// cpu is what this process has used so far.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// inParallel runs b.N operations, several at once.
func inParallel(b *testing.B, streams int, op func(i int64, buf []byte) error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range streams {
		wg.Go(func() {
			buf := make([]byte, 128<<10)
			for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
				if err := op(i, buf); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkRangesOfServers reads a large object in ranges of 8 MiB, eight at once.
func BenchmarkRangesOfServers(b *testing.B) {
	const part = 8 << 20
	benchmarkClients(b, func(b *testing.B, c client) {
		b.SetBytes(part)
		inParallel(b, 8, func(i int64, buf []byte) error { return c.get(b.Context(), "big", i%8*part, part, buf) })
	})
}

// BenchmarkPutsOfServers writes objects of 4 KiB, eight at once.
func BenchmarkPutsOfServers(b *testing.B) {
	data := []byte(strings.Repeat("0123456789abcdef", 256))
	benchmarkClients(b, func(b *testing.B, c client) {
		run := randomHex()
		inParallel(b, 8, func(i int64, _ []byte) error { return c.put(b.Context(), fmt.Sprint("small-", run, "-", i), data) })
	})
}

// BenchmarkGetsOfServers reads 4 KiB at a time, eight at once.
func BenchmarkGetsOfServers(b *testing.B) {
	benchmarkClients(b, func(b *testing.B, c client) {
		inParallel(b, 8, func(i int64, buf []byte) error { return c.get(b.Context(), "big", i%1000*4096, 4096, buf) })
	})
}
