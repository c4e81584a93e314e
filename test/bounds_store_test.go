package test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A vastStore is an S3 server of more objects and bytes than any disk here has: what it has follows from key and
// offset, what it is sent it counts and forgets. It has
//
//	big                       one object of bigSize
//	flat/NNNNNNN              entries objects in one directory
//	tree/DDDD/NNNN            entries objects in directories of a thousand
//	and what was written
type vastStore struct {
	endpoint string
	entries  int
	bigSize  int64

	mu      sync.Mutex
	written []string               // keys, in order
	sizes   map[string]int64       // of written
	meta    map[string]http.Header // user metadata of written, and of uploads by their id
	uploads map[string]int64       // bytes sent, by upload id
	last    int                    // upload id
	hold    chan struct{}          // GETs of bodies wait until it is closed; nil: they do not
	busy    int                    // requests at the moment
	most    int                    // requests at one time, at most
}

const (
	vastFile = 100 // bytes of each object of the directories
	perDir   = 1000
)

var vastModified = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newVastStore(t testing.TB, entries int, bigSize int64) *vastStore {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: no mounts")
	}
	v := &vastStore{entries: entries, bigSize: bigSize, sizes: map[string]int64{}, meta: map[string]http.Header{}, uploads: map[string]int64{}}
	server := httptest.NewServer(http.HandlerFunc(v.serve))
	v.endpoint = server.URL
	t.Cleanup(func() {
		v.release()
		server.CloseClientConnections()
		server.Close()
	})
	return v
}

// holdReads lets GETs wait until release.
func (v *vastStore) holdReads() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.hold = make(chan struct{})
}

func (v *vastStore) release() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.hold != nil {
		close(v.hold)
		v.hold = nil
	}
}

// peak returns the most requests at one time since the last call.
func (v *vastStore) peak() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	most := v.most
	v.most = v.busy
	return most
}

// count is how many keys there are.
func (v *vastStore) countLocked() int { return 1 + 2*v.entries + len(v.written) }

// at returns the key with this index in the order of keys.
func (v *vastStore) atLocked(i int) string {
	switch {
	case i == 0:
		return "big"
	case i <= v.entries:
		return fmt.Sprintf("flat/%07d", i-1)
	case i <= 2*v.entries:
		n := i - 1 - v.entries
		return fmt.Sprintf("tree/%04d/%04d", n/perDir, n%perDir)
	}
	return v.written[i-1-2*v.entries]
}

// size returns the size of an object, false where there is none.
func (v *vastStore) size(key string) (int64, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	i := sort.Search(v.countLocked(), func(i int) bool { return v.atLocked(i) >= key })
	switch {
	case i == v.countLocked() || v.atLocked(i) != key:
		return 0, false
	case i == 0:
		return v.bigSize, true
	case i <= 2*v.entries:
		return vastFile, true
	}
	return v.sizes[key], true
}

func vastETag(key string, size int64) string {
	return fmt.Sprintf(`"%016x%016x-1"`, len(key)*7919+int(key[len(key)-1]), size) // as of one part: no MD5
}

// vastBytes fills p with the content of every object from an offset on.
func vastBytes(p []byte, at int64) {
	var word [8]byte
	for i := 0; i < len(p); {
		binary.LittleEndian.PutUint64(word[:], uint64((at+int64(i))/8)*0x9E3779B97F4A7C15)
		i += copy(p[i:], word[(at+int64(i))%8:])
	}
}

func (v *vastStore) serve(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	v.busy++
	v.most = max(v.most, v.busy)
	v.mu.Unlock()
	defer func() {
		v.mu.Lock()
		v.busy--
		v.mu.Unlock()
	}()
	switch operation := operationOf(r); operation {
	case "ListObjectsV2":
		v.list(w, r)
	case "HeadObject", "GetObject":
		v.read(w, r)
	case "PutObject", "UploadPart", "CreateMultipartUpload", "CompleteMultipartUpload", "DeleteObject", "AbortMultipartUpload":
		v.write(w, r, operation)
	case "HeadBucket":
	case "ListMultipartUploads":
		fmt.Fprint(w, "<ListMultipartUploadsResult/>")
	case "GETBucket?versioning":
		fmt.Fprint(w, "<VersioningConfiguration/>")
	case "GETBucket?object-lock":
		vastError(w, http.StatusNotFound, "ObjectLockConfigurationNotFoundError")
	case "GETBucket?tagging":
		vastError(w, http.StatusNotFound, "NoSuchTagSet")
	default:
		_, _ = io.Copy(io.Discard, r.Body)
		vastError(w, http.StatusNotImplemented, "NotImplemented")
	}
}

func vastError(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>by the test</Message></Error>", code)
}

// list answers a page. A token is the key that the page before ended with.
func (v *vastStore) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	prefix, delimiter, after := q.Get("prefix"), q.Get("delimiter"), max(q.Get("start-after"), q.Get("continuation-token"))
	most := 1000
	if n, err := strconv.Atoi(q.Get("max-keys")); err == nil {
		most = min(most, n)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	total := v.countLocked()
	from := func(key string) int { return sort.Search(total, func(i int) bool { return v.atLocked(i) >= key }) }
	i := max(from(prefix), from(after+"\x00"))
	var b bytes.Buffer
	last, n := "", 0
	for n < most && i < total {
		key := v.atLocked(i)
		rest, inside := strings.CutPrefix(key, prefix)
		if !inside {
			i = total
			break
		}
		n++
		if dir, _, nested := strings.Cut(rest, "/"); delimiter != "" && nested {
			fmt.Fprintf(&b, "<CommonPrefixes><Prefix>%s%s/</Prefix></CommonPrefixes>", prefix, dir)
			last = prefix + dir + "/\U0010FFFF"
			i = from(last)
			continue
		}
		size := v.sizes[key]
		if i == 0 {
			size = v.bigSize
		} else if i <= 2*v.entries {
			size = vastFile
		}
		fmt.Fprintf(&b, "<Contents><Key>%s</Key><LastModified>%s</LastModified><ETag>%s</ETag><Size>%d</Size><StorageClass>STANDARD</StorageClass></Contents>",
			key, vastModified.Format("2006-01-02T15:04:05.000Z"), vastETag(key, size), size)
		last = key
		i++
	}
	if i < total && strings.HasPrefix(v.atLocked(i), prefix) {
		fmt.Fprintf(&b, "<IsTruncated>true</IsTruncated><NextContinuationToken>%s</NextContinuationToken>", last)
	}
	fmt.Fprintf(w, "<ListBucketResult><KeyCount>%d</KeyCount>%s</ListBucketResult>", n, &b)
}

func vastKey(r *http.Request) string {
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	return key
}

func (v *vastStore) read(w http.ResponseWriter, r *http.Request) {
	key := vastKey(r)
	size, there := v.size(key)
	etag := vastETag(key+"?", size)
	if there {
		etag = vastETag(key, size)
	}
	switch {
	case !there:
		vastError(w, http.StatusNotFound, "NoSuchKey")
		return
	case r.Header.Get("If-Match") != "" && strings.Trim(r.Header.Get("If-Match"), `"`) != strings.Trim(etag, `"`):
		vastError(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return
	case strings.Trim(r.Header.Get("If-None-Match"), `"`) == strings.Trim(etag, `"`):
		w.WriteHeader(http.StatusNotModified)
		return
	}
	first, end := int64(0), size
	status := http.StatusOK
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &end); err == nil {
		end = min(end+1, size)
		status = http.StatusPartialContent
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, end-1, size))
	}
	w.Header().Set("ETag", etag)
	w.Header().Set("Last-Modified", vastModified.Format(http.TimeFormat))
	w.Header().Set("Content-Length", strconv.FormatInt(end-first, 10))
	v.mu.Lock()
	hold := v.hold
	maps.Copy(w.Header(), v.meta[key])
	v.mu.Unlock()
	if hold != nil && r.Method == http.MethodGet {
		select {
		case <-hold:
		case <-r.Context().Done():
			return
		}
	}
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	piece := make([]byte, 256<<10)
	for at := first; at < end; at += int64(len(piece)) {
		piece = piece[:min(int64(len(piece)), end-at)]
		vastBytes(piece, at)
		if _, err := w.Write(piece); err != nil {
			return
		}
	}
}

// metadataOf is what a request says of a new object.
func metadataOf(r *http.Request) http.Header {
	meta := http.Header{}
	for name, values := range r.Header {
		if strings.HasPrefix(name, "X-Amz-Meta-") {
			meta[name] = values
		}
	}
	return meta
}

// write counts what comes. Of the conditions it knows If-None-Match: *.
func (v *vastStore) write(w http.ResponseWriter, r *http.Request, operation string) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		return // a body that broke off makes no object
	}
	key, upload := vastKey(r), r.URL.Query().Get("uploadId")
	v.mu.Lock()
	defer v.mu.Unlock()
	i, there := slices.BinarySearch(v.written, key)
	switch operation {
	case "CreateMultipartUpload":
		v.last++
		v.meta[strconv.Itoa(v.last)] = metadataOf(r)
		fmt.Fprintf(w, "<InitiateMultipartUploadResult><UploadId>%d</UploadId></InitiateMultipartUploadResult>", v.last)
		return
	case "UploadPart":
		v.uploads[upload] += n
		w.Header().Set("ETag", fmt.Sprintf(`"%032x"`, n))
		return
	case "AbortMultipartUpload", "DeleteObject":
		delete(v.uploads, upload)
		delete(v.meta, upload)
		if there && upload == "" {
			v.written = slices.Delete(v.written, i, i+1)
		}
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if there && r.Header.Get("If-None-Match") == "*" {
		vastError(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return
	}
	if operation == "CompleteMultipartUpload" {
		n, v.meta[key] = v.uploads[upload], v.meta[upload]
		delete(v.uploads, upload)
		delete(v.meta, upload)
	} else {
		v.meta[key] = metadataOf(r)
	}
	v.sizes[key] = n
	if !there {
		v.written = slices.Insert(v.written, i, key)
	}
	etag := vastETag(key, n)
	w.Header().Set("ETag", etag)
	if operation == "CompleteMultipartUpload" {
		fmt.Fprintf(w, "<CompleteMultipartUploadResult><Key>%s</Key><ETag>%s</ETag></CompleteMultipartUploadResult>", key, etag)
	}
}
