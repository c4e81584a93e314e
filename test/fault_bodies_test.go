package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// corrupt is how many checksums did not match, as status tells.
func (f *faulty) corrupt() int {
	f.Helper()
	out, err := f.m.command("status", "--json", f.m.dir)
	var status struct {
		Cache struct {
			Corrupt int `json:"corrupt"`
		} `json:"cache"`
	}
	if err == nil {
		err = json.Unmarshal([]byte(out), &status)
	}
	if err != nil {
		f.Fatal(err)
	}
	return status.Cache.Corrupt
}

func (f *faulty) stores(name string, data []byte) {
	f.Helper()
	if err := os.WriteFile(f.m.in(name), data, 0o644); err != nil {
		f.Errorf("writing %s: %v", name, err)
	}
	if got := f.store.get(f.T, f.bucket, name); !bytes.Equal(got, data) {
		f.Errorf("%s in the store: %s", name, firstDifference(got, data))
	}
}

// TestForgottenParts: a store that does not know the upload any more, or a part that it has confirmed, gets all of it again.
func TestForgottenParts(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		f := newFaulty(t, s.name, `.`)
		f.proxy.on(&rule{match: operations("UploadPart"), status: http.StatusNotFound, code: "NoSuchUpload", times: 1, from: 2})
		f.proxy.on(&rule{match: operations("CompleteMultipartUpload"), status: http.StatusBadRequest, code: "InvalidPart", times: 1})
		f.stores("one", outageBig)
		f.proxy.clear()
		f.proxy.on(&rule{match: operations("CompleteMultipartUpload"), status: http.StatusNotFound, code: "NoSuchUpload", times: 1})
		f.stores("two", outageBig)
		f.m.unmount()
	})
}

// TestSpoiledUploads: a bit that changes on its way to the store never becomes an object.
func TestSpoiledUploads(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		f := newFaulty(t, s.name, `.`)
		f.proxy.on(&rule{match: operations("PutObject"), spoil: true, times: 2})
		f.proxy.on(&rule{match: operations("UploadPart"), spoil: true, times: 2})
		f.stores("small", outageSmall)
		f.stores("big", outageBig)
		f.m.unmount()
	})
}

// TestSpoiledDownloads: a bit that changes on its way from the store is counted, and no data: of a file that is fetched whole, nothing is
// returned; of a larger one that is read from start to end, the end is EIO, and the next open reads it anew.
func TestSpoiledDownloads(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		f := newFaulty(t, s.name, `.`)
		large := bytesOf(3, 10*mib) // one PUT, with a checksum of all of it
		f.stores("small", outageSmall)
		f.stores("large", large)
		f.m.unmount()
		f.m = f.m.again(func(o *mountOptions) { o.state = newState(t) })
		for i, name := range []string{"small", "large"} {
			f.proxy.on(&rule{match: operations("GetObject"), flip: true, times: 1 + 9*(1-i)})
			got, err := os.ReadFile(f.m.in(name))
			if !errors.Is(err, syscall.EIO) || name == "small" && len(got) > 0 {
				t.Errorf("%s with a bit changed: %d bytes, %v", name, len(got), err)
			}
			if f.corrupt() <= i {
				t.Errorf("%s: status counts %d", name, f.corrupt())
			}
			f.proxy.clear()
		}
		for name, want := range map[string][]byte{"small": outageSmall, "large": large} {
			if got, err := os.ReadFile(f.m.in(name)); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s afterwards: %v, %s", name, err, firstDifference(got, want))
			}
		}
		f.m.unmount()
	})
}

// TestBrokenListing: a page that breaks off, or lacks its end, is no listing: readdir and what walks through it see every name, or an error.
func TestBrokenListing(t *testing.T) {
	t.Parallel()
	s := openStore(t, "minio") // VersityGW is slow with a thousand files
	bucket := s.newBucket(t)
	const names = 1100 // two pages
	for i := range names {
		key := fmt.Sprintf("d/%04d", i)
		if _, err := s.client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key}); err != nil {
			t.Fatal(err)
		}
	}
	p := newProxy(t, s)
	for what, x := range map[string]rule{
		"500": {status: 500, times: 2}, "cut": {cut: 20_000, times: 2}, "shorter": {short: 100, times: 2}, "500 for good": {status: 500},
	} {
		if what == "500" && !soaking() {
			continue
		}
		m := newMount(t, mountOptions{store: s, endpoint: p.endpoint, source: "s3://" + bucket, noisy: `.`, args: []string{"--retry-timeout=1s"}})
		x.from, x.match = 2, func(operation, _ string) bool { return operation == "ListObjectsV2" }
		if _, err := os.Stat(m.in("d")); err != nil {
			t.Fatal(err)
		}
		p.on(&x)
		entries, err := os.ReadDir(m.in("d"))
		if err == nil && len(entries) != names || err != nil && !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: %d names, %v", what, len(entries), err)
		}
		if (err != nil) != (x.times == 0) {
			t.Errorf("%s: %v", what, err)
		}
		p.clear()
		if entries, err = os.ReadDir(m.in("d")); err != nil || len(entries) != names {
			t.Errorf("%s, afterwards: %d names, %v", what, len(entries), err)
		}
		m.unmount()
	}
}

// TestExpiredCredentials: what is refused meanwhile says so, and is kept and stored when the credentials are good again.
func TestExpiredCredentials(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		f := newFaulty(t, s.name, `.`, "--retry-timeout=1s")
		f.proxy.on(&rule{match: operations("UploadPart"), status: 403, code: "ExpiredToken", from: 2})
		if err := os.WriteFile(f.m.in("big"), outageBig, 0o644); errno(err) != syscall.EACCES {
			t.Errorf("close: %v, want EACCES", err)
		}
		f.proxy.clear()
		w := &workspace{T: t}
		w.eventually("the upload", func() bool { return len(f.store.snapshot(t, f.bucket, "big")) == 1 })
		if got := f.store.get(t, f.bucket, "big"); !bytes.Equal(got, outageBig) {
			t.Errorf("afterwards: %s", firstDifference(got, outageBig))
		}
		f.m.unmount()
	})
}
