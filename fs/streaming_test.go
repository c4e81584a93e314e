package fs

import (
	"os"
	"testing"
	"time"
)

// TestStreamedProperties: a large new file goes up while it is written, with the properties that it has at
// the end, so the object is not made a second time.
func TestStreamedProperties(t *testing.T) {
	t.Parallel()
	m := newTestMount(t, testOptions{})
	data := append([]byte("\x89PNG\x0D\x0A\x1A\x0A"), randomBytes(1, 48<<20)...)
	file, err := os.Create(m.path("picture"))
	check(t, err)
	_, err = file.Write(data)
	check(t, err)
	for deadline := time.Now().Add(20 * time.Second); m.store.Requests()["UploadPart"] < 6; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not sent while it is written: %v", m.store.Requests())
		}
	}
	m.requests(func() { check(t, file.Close()) }, m.atMost(map[string]int{"UploadPart": 1, "CompleteMultipartUpload": 1}))
	got, obj := m.object("picture")
	if len(got) != len(data) || obj.Headers.ContentType != "image/png" {
		t.Errorf("%d bytes, %q", len(got), obj.Headers.ContentType)
	}
}
