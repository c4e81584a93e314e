package test

import (
	"bytes"
	"testing"
	"time"
)

// The foreign client itself, on every store: what the other tests trust.
func TestForeignClient(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"versitygw", "minio"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openStore(t, name)
			bucket := s.newBucket(t)
			data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
			s.put(t, bucket, "a/file", data)
			s.put(t, bucket, "a/empty", nil)
			s.put(t, bucket, "b", []byte("x"))
			if got := s.get(t, bucket, "a/file"); !bytes.Equal(got, data) {
				t.Errorf("read %d bytes that differ", len(got))
			}
			s.remove(t, bucket, "b")
			objects := s.snapshot(t, bucket, "")
			if len(objects) != 2 || objects["a/file"].SHA256 != digest(data) || objects["a/empty"].Size != 0 {
				t.Errorf("snapshot = %v", objects)
			}
		})
	}
}

// The stores have versions and locks, and bytes and times survive the way to boto3 and back.
func TestForeignCalls(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"versitygw", "minio"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openStore(t, name)
			bucket := s.newLockBucket(t)
			until := time.Now().Add(time.Hour).Truncate(time.Second)
			var stored struct{ VersionID string }
			s.boto(t, "put_object", map[string]any{
				"Bucket": bucket, "Key": "k", "Body": botoBytes([]byte("a\x00\xff")), "Metadata": map[string]string{"one": "1"},
				"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": botoTime(until),
			}, &stored)
			version := map[string]any{"Bucket": bucket, "Key": "k", "VersionId": stored.VersionID}
			var read struct {
				Body struct {
					Bytes []byte `json:"__bytes__"`
				}
			}
			s.boto(t, "get_object", version, &read)
			var lock struct {
				Retention struct{ RetainUntilDate time.Time }
			}
			s.boto(t, "get_object_retention", version, &lock)
			if string(read.Body.Bytes) != "a\x00\xff" || !lock.Retention.RetainUntilDate.Equal(until) {
				t.Errorf("read %+v, locked %+v; stored until %v", read, lock, until)
			}
			if err := s.tryBoto("delete_object", version, nil); err == nil {
				t.Error("a locked version was deleted")
			}
		})
	}
}
