package test

import (
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestCrashResumesParts kills objmount in the middle of a large upload: the next mount sends no part again that was stored, under the same
// upload id. That is counted in parts and bytes at the store's door.
func TestCrashResumesParts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ store, commit string }{{"versitygw", "background"}, {"minio", "close"}} {
		t.Run(c.store+","+c.commit, func(t *testing.T) {
			t.Parallel()
			resumesParts(t, c.store, c.commit)
		})
	}
}

func resumesParts(t *testing.T, storeName, commit string) {
	const part, parts, free = 5 << 20, 8, 4
	s := openStore(t, storeName)
	bucket := s.newBucket(t)
	p := newProxy(t, s)
	// Parts from the fifth on do not arrive at the store before the crash.
	held := &rule{match: operations("UploadPart"), from: free + 1, hold: make(chan struct{})}
	m := newMount(t, mountOptions{store: s, endpoint: p.endpoint, source: "s3://" + bucket, args: []string{"--commit=" + commit, "--part-size=5MiB"}})
	p.on(held)
	data := bytesOf(1, part*parts)
	f, err := os.Create(m.in("big"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() { closed <- f.Close() }() // in close mode it waits
	if commit == "background" {
		if err := <-closed; err != nil {
			t.Fatal(err)
		}
	}
	upload, stored := "", map[int]bool{}
	for deadline := time.Now().Add(time.Minute); len(stored) < free || !m.pendingSealed("big"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d parts are stored, want %d", len(stored), free)
		}
		upload, stored = s.partsUnder(t, bucket, "big")
	}
	time.Sleep(500 * time.Millisecond) // the answers are in the journal
	m.kill()
	if commit == "close" {
		<-closed
	}
	p.clear()
	p.drain() // of the parts that were held
	m = m.again(func(o *mountOptions) { o.noisy = "interrupted|recover" })
	m.mustCtl("flush", ".")
	after := p.take()
	m.unmount()
	if after.sent > part*(parts-free) {
		t.Errorf("%d bytes were sent after the crash, %d were missing\n%v", after.sent, part*(parts-free), after)
	}
	for _, request := range after.requests {
		operation, target, _ := strings.Cut(request, " ")
		if operation != "UploadPart" {
			continue
		}
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Fatal(request, err)
		}
		number, _ := strconv.Atoi(u.Query().Get("partNumber"))
		if stored[number] || u.Query().Get("uploadId") != upload {
			t.Errorf("part %d was stored already, or goes to another upload: %s", number, request)
		}
	}
	if n := after.counts["CreateMultipartUpload"]; n != 0 {
		t.Errorf("%d uploads were begun anew", n)
	}
	if got := s.snapshot(t, bucket, "")["big"]; got.SHA256 != digest(data) {
		t.Errorf("the store has %d other bytes", got.Size)
	}
	if id, _ := s.partsUnder(t, bucket, "big"); id != "" {
		t.Errorf("the upload %s is left", id)
	}
	tell(t, 1, parts, 1)
}

// drain waits until nothing of what a dead client has sent goes through any more, and forgets the tally.
func (p *proxy) drain() {
	for last := int64(-1); ; time.Sleep(300 * time.Millisecond) {
		p.mu.Lock()
		now := p.sent
		p.mu.Unlock()
		if now == last {
			break
		}
		last = now
	}
	p.take()
}

// pendingSealed tells whether a file waits for its upload, so that a crash does not interrupt it.
func (m *mount) pendingSealed(key string) bool {
	for _, w := range m.pending(".") {
		if w.Key == key && w.State != "interrupted" && w.State != "open" {
			return true
		}
	}
	return false
}

// partsUnder is the unfinished upload of a key, and the numbers of its parts; empty: there is none.
func (s *store) partsUnder(t testing.TB, bucket, key string) (id string, parts map[int]bool) {
	t.Helper()
	var list struct {
		Uploads []struct {
			Key      string
			UploadID string `json:"UploadId"`
		}
	}
	s.boto(t, "list_multipart_uploads", map[string]any{"Bucket": bucket}, &list)
	parts = map[int]bool{}
	for _, up := range list.Uploads {
		if up.Key != key {
			continue
		}
		id = up.UploadID
		var reply struct{ Parts []struct{ PartNumber int } }
		s.boto(t, "list_parts", map[string]any{"Bucket": bucket, "Key": key, "UploadId": id}, &reply)
		for _, p := range reply.Parts {
			parts[p.PartNumber] = true
		}
	}
	return id, parts
}
