package test

import (
	"bytes"
	"testing"
)

// The foreign client itself, on every store: what the other tests trust.
func TestForeignClient(t *testing.T) {
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
