package s3

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/backendtest"
)

// enableVersions switches versions on.
func enableVersions(t *testing.T, store *Store, bucket string) {
	t.Helper()
	if _, err := store.client.PutBucketVersioning(t.Context(), &awss3.PutBucketVersioningInput{
		Bucket: &bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	}); err != nil {
		t.Fatal(err)
	}
}

// TestVersionedConformance is TestConformance in a bucket that keeps versions.
func TestVersionedConformance(t *testing.T) {
	eachServer(t, func(t *testing.T, _ server, store *Store, bucket string) {
		enableVersions(t, store, bucket)
		backendtest.Run(t, func(*testing.T) (backend.Store, string) { return store, bucket }, backendtest.Again())
	})
}

// TestErrorsOnServers: the kinds that real servers' refusals come out as.
func TestErrorsOnServers(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server, store *Store, bucket string) {
		ctx := t.Context()
		wrongSecret, wrongKey := srv, srv
		wrongSecret.secret, wrongKey.key = "wrong secret", "wrongkey"
		for name, wrong := range map[string]server{"wrong secret": wrongSecret, "wrong key": wrongKey} {
			other := openStore(t, wrong, Config{})
			for what, err := range map[string]error{
				"HeadBucket":  other.HeadBucket(ctx, bucket),
				"List":        errOf(other.List(ctx, backend.ListInput{Bucket: bucket})),
				"Put":         errOf(other.Put(ctx, backend.PutInput{Bucket: bucket, Key: "x", Body: strings.NewReader("x"), Size: 1})),
				"ListBuckets": errOf(other.ListBuckets(ctx, "")),
			} {
				if !backend.IsKind(err, backend.KindCredentials) {
					t.Errorf("%s, %s: %v", name, what, err)
				}
			}
		}
		anonymous := openStore(t, srv, Config{Anonymous: true})
		if err := anonymous.HeadBucket(ctx, bucket); !backend.IsKind(err, backend.KindPermission) && !backend.IsKind(err, backend.KindCredentials) {
			t.Errorf("anonymous: %v", err)
		}
		if err := store.CreateBucket(ctx, "Not_A_Bucket"); !backend.IsKind(err, backend.KindInvalid) {
			t.Errorf("bad bucket name: %v", err)
		}
		big := backend.PutInput{Bucket: bucket, Key: "meta", Body: strings.NewReader(""), Properties: backend.Properties{
			Metadata: map[string]string{"big": strings.Repeat("x", 9000)}}}
		_, err := store.Put(ctx, big)
		if obj, _ := store.Head(ctx, backend.ObjectID{Bucket: bucket, Key: "meta"}, backend.GetOptions{}); err == nil && len(obj.Metadata["big"]) != 9000 ||
			err != nil && !backend.IsKind(err, backend.KindTooLarge) {
			t.Errorf("9000 bytes of metadata: %v, %d bytes are kept", err, len(obj.Metadata["big"]))
		}
	})
}

func errOf[T any](_ T, err error) error { return err }

// TestExclusiveNamesOnServers: where "a" and "a/b" cannot both be, the later is refused as
// a name, not as a failed condition.
func TestExclusiveNamesOnServers(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server, store *Store, bucket string) {
		if srv.name != vendorVersityGW {
			t.Skip("only VersityGW refuses them")
		}
		put := func(key string, cond backend.Condition) error {
			_, err := store.Put(t.Context(), backend.PutInput{Bucket: bucket, Key: key, Body: strings.NewReader("x"), Size: 1, Condition: cond})
			return err
		}
		for _, err := range []error{put("file", backend.Condition{}), put("dir/x", backend.Condition{})} {
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, key := range []string{"file/below", "dir"} {
			for _, cond := range []backend.Condition{{}, {IfNoneMatch: true}} {
				if err := put(key, cond); !backend.IsKind(err, backend.KindInvalid) {
					t.Errorf("Put of %q: %v", key, err)
				}
			}
		}
		for _, key := range []string{"file", "dir/x"} {
			if err := store.Delete(t.Context(), backend.DeleteInput{Bucket: bucket, Key: key}); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestDeletedOnServers: a delete marker is no object, for neither condition.
func TestDeletedOnServers(t *testing.T) {
	eachServer(t, func(t *testing.T, _ server, store *Store, bucket string) {
		enableVersions(t, store, bucket)
		if caps, err := store.Capabilities(t.Context(), bucket, "", true); err != nil || !caps.PutIfMatch || !caps.PutIfNoneMatch {
			t.Skipf("no conditions in buckets that keep versions: %v", err)
		}
		put := func(content string, cond backend.Condition) (backend.Object, error) {
			return store.Put(t.Context(), backend.PutInput{Bucket: bucket, Key: "a", Body: strings.NewReader(content), Size: int64(len(content)), Condition: cond})
		}
		none := backend.Condition{IfNoneMatch: true}
		var all []string
		for round := range 3 {
			obj, err := put("same content", none)
			if err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			all = append(all, obj.VersionID)
			if _, err := put("another", none); !backend.IsKind(err, backend.KindExist) {
				t.Fatalf("round %d: %v", round, err)
			}
			marker, err := store.remove(t.Context(), backend.DeleteInput{Bucket: bucket, Key: "a"})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, marker)
			if _, err := put("late", backend.Condition{IfMatch: obj.ETag}); !backend.IsKind(err, backend.KindChanged) {
				t.Fatalf("round %d, If-Match with the ETag of what was deleted: %v", round, err)
			}
		}
		for _, id := range slices.Backward(all) {
			if err := store.Delete(t.Context(), backend.DeleteInput{Bucket: bucket, Key: "a", VersionID: id}); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestTagsOnServers: tags of a PUT come back, and a copy that replaces has its own.
func TestTagsOnServers(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server, store *Store, bucket string) {
		if !vendors[srv.name].caps.Tagging {
			if _, err := store.Tags(t.Context(), backend.ObjectID{Bucket: bucket, Key: "none"}, ""); !backend.IsKind(err, backend.KindUnsupported) {
				t.Errorf("a store without tags: %v", err)
			}
			return
		}
		want := map[string]string{"key one": "a value + = - _ : / @", "two": ""}
		in := backend.PutInput{Bucket: bucket, Key: "tagged", Body: strings.NewReader("x"), Size: 1}
		in.Properties.Tags = want
		if _, err := store.Put(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		id := backend.ObjectID{Bucket: bucket, Key: "tagged"}
		tags, err := store.Tags(t.Context(), id, "")
		if err != nil || len(tags) != len(want) || tags["key one"] != want["key one"] {
			t.Errorf("%q, %v", tags, err)
		}
		if obj, err := store.Head(t.Context(), id, backend.GetOptions{}); err != nil || obj.TagCount != len(want) {
			t.Errorf("%d tags are counted, %v", obj.TagCount, err)
		}
		if _, err := store.Copy(t.Context(), backend.CopyInput{Bucket: bucket, Key: "tagged", Source: backend.Source{Bucket: bucket, Key: "tagged"},
			Replace: &backend.Properties{Metadata: map[string]string{"m": "1"}}}); err != nil {
			t.Fatal(err)
		}
		if tags, err := store.Tags(t.Context(), id, ""); err != nil || len(tags) != 0 {
			t.Errorf("after a copy that names none: %q, %v", tags, err)
		}
		if _, err := store.Tags(t.Context(), backend.ObjectID{Bucket: bucket, Key: "none"}, ""); !backend.IsKind(err, backend.KindNotExist) {
			t.Errorf("tags of nothing: %v", err)
		}
		if err := store.Delete(t.Context(), backend.DeleteInput{Bucket: bucket, Key: "tagged"}); err != nil {
			t.Error(err)
		}
	})
}

// TestBrokenOffPutOnServers: a PUT whose body breaks off stores nothing. VersityGW keeps what came,
// unless the request had a checksum.
func TestBrokenOffPutOnServers(t *testing.T) {
	eachServer(t, func(t *testing.T, _ server, store *Store, bucket string) {
		data := bytes.Repeat([]byte("0123456789abcdef"), 256<<10)
		for range 5 {
			ctx, cancel := context.WithCancel(t.Context())
			body := &endingReader{Reader: bytes.NewReader(data), after: int64(len(data) * 3 / 2), end: cancel}
			_, err := store.Put(ctx, backend.PutInput{Bucket: bucket, Key: "half", Body: body, Size: int64(len(data))})
			cancel()
			if err == nil {
				continue // the store was faster
			}
			stored, err := store.Head(t.Context(), backend.ObjectID{Bucket: bucket, Key: "half"}, backend.GetOptions{})
			if err == nil && stored.Size != int64(len(data)) || err != nil && !backend.IsKind(err, backend.KindNotExist) {
				t.Fatalf("%d bytes were stored, %v", stored.Size, err)
			}
		}
		store.Delete(t.Context(), backend.DeleteInput{Bucket: bucket, Key: "half"})
	})
}

// endingReader calls end when more than after bytes were read, in all passes together, or
// (for one that reads once) when half was.
type endingReader struct {
	*bytes.Reader
	after, read int64
	passes      int
	end         func()
}

func (r *endingReader) Seek(off int64, whence int) (int64, error) {
	r.passes++
	return r.Reader.Seek(off, whence)
}

func (r *endingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p[:min(len(p), 64<<10)])
	r.read += int64(n)
	if r.read > r.after || r.passes < 2 && r.read > r.Size()/2 && r.read > r.after/2 {
		r.end()
	}
	return n, err
}

// TestHiddenOnServers: a server behind a proxy that hides its name comes out with the
// same abilities, but for those that must not be tried.
func TestHiddenOnServers(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server, store *Store, bucket string) {
		target, err := url.Parse(srv.endpoint)
		if err != nil {
			t.Fatal(err)
		}
		var count atomic.Int64
		proxy := httptest.NewServer(&httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) {
				count.Add(1)
				r.SetURL(target)
				r.Out.Host = r.In.Host // it is signed
			},
			ModifyResponse: func(r *http.Response) error {
				for name := range r.Header {
					if name == "Server" || name == "X-Amz-Request-Id" || strings.HasPrefix(name, "X-Minio") || strings.HasPrefix(name, "X-Openstack") {
						r.Header.Del(name)
					}
				}
				return nil
			},
		})
		defer proxy.Close()
		known, err := store.Capabilities(t.Context(), bucket, "p/", true)
		if err != nil {
			t.Fatal(err)
		}
		hidden := openStore(t, server{"", proxy.URL, srv.key, srv.secret}, Config{})
		found, err := hidden.Capabilities(t.Context(), bucket, "p/", true)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d requests found %v", count.Load(), on(found))
		if count.Load() > 80 {
			t.Errorf("%d requests", count.Load())
		}
		untried := []string{"Tagging", "Classes", "Versioned", "ObjectLock"}
		if srv.name == vendorSwift {
			untried = append(untried, "CopyPartIfMatch") // takes a detour that only a known vendor gets
		}
		want := slices.DeleteFunc(on(known), func(name string) bool { return slices.Contains(untried, name) })
		if !slices.Equal(on(found), want) {
			t.Errorf("found %v, want %v", on(found), want)
		}
		if page, err := store.List(t.Context(), backend.ListInput{Bucket: bucket}); err != nil || len(page.Objects) > 0 {
			t.Errorf("left behind: %+v, %v", page.Objects, err)
		}
	})
}

// TestProbeOnServers: nothing is left in a bucket that keeps versions, not even markers.
func TestProbeOnServers(t *testing.T) {
	eachServer(t, func(t *testing.T, _ server, store *Store, bucket string) {
		enableVersions(t, store, bucket)
		caps, err := store.Capabilities(t.Context(), bucket, "", true)
		if err != nil || !caps.Versioned {
			t.Fatalf("%+v, %v", caps, err)
		}
		out, err := store.client.ListObjectVersions(t.Context(), &awss3.ListObjectVersionsInput{Bucket: &bucket})
		if err != nil || len(out.Versions)+len(out.DeleteMarkers) > 0 {
			t.Errorf("left behind: %d versions, %d markers, %v", len(out.Versions), len(out.DeleteMarkers), err)
		}
		uploads, err := store.client.ListMultipartUploads(t.Context(), &awss3.ListMultipartUploadsInput{Bucket: &bucket})
		if err != nil || len(uploads.Uploads) > 0 {
			t.Errorf("left behind: %+v, %v", uploads, err)
		}
	})
}

// TestChecksumOnServers: what was sent with a CRC64NVME has it when it is read as a whole.
func TestChecksumOnServers(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server, store *Store, bucket string) {
		if known := vendors[srv.name]; known == nil || !known.checksums {
			t.Skip("the store is not known to keep checksums")
		}
		const content = "some content"
		sum, err := Checksum(strings.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		in := backend.PutInput{Bucket: bucket, Key: "summed", Body: strings.NewReader(content), Size: int64(len(content)), CRC64NVME: sum}
		if obj, err := store.Put(t.Context(), in); err != nil || obj.CRC64NVME != sum {
			t.Errorf("Put: %+v, %v", obj, err)
		}
		id := backend.ObjectID{Bucket: bucket, Key: "summed"}
		if obj, err := store.Head(t.Context(), id, backend.GetOptions{}); err != nil || obj.CRC64NVME != sum {
			t.Errorf("Head: %+v, %v", obj, err)
		}
		body, err := store.Get(t.Context(), id, backend.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := Checksum(body)
		body.Close()
		if err != nil || got != sum || body.Object.CRC64NVME != sum {
			t.Errorf("Get: %s of the bytes, %+v, %v", got, body.Object, err)
		}
		if err := store.Delete(t.Context(), backend.DeleteInput{Bucket: bucket, Key: "summed"}); err != nil {
			t.Error(err)
		}
	})
}
