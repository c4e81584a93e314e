package mem

import (
	"bytes"
	"context"
	"testing"

	"github.com/objmount/objmount/backend"
)

func TestHugeObjectsAreCheap(t *testing.T) {
	t.Parallel()
	s, ctx := configured(func(cfg *Settings) { cfg.OpaqueCopies = true }), context.Background()
	const piece = 5 * backend.GiB
	big, err := s.PutZeros(testBucket, "big", 1000*piece)
	if err != nil || big.Size != 1000*piece || big.CRC64NVME != "" {
		t.Fatalf("%+v, %v", big, err)
	}
	id, err := s.CreateUpload(ctx, backend.CreateUploadInput{Bucket: testBucket, Key: "copy"})
	if err != nil {
		t.Fatal(err)
	}
	var parts []backend.Part
	etags := map[string]bool{}
	for i := range int64(1000) {
		p, err := s.CopyPart(ctx, backend.CopyPartInput{
			Bucket: testBucket, Key: "copy", UploadID: id, Number: int32(i + 1),
			Source: backend.Source{Bucket: testBucket, Key: "big", ETag: big.ETag}, Range: backend.Range{Off: i * piece, Len: piece},
		})
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, p)
		etags[p.ETag] = true
	}
	if len(etags) != 1000 {
		t.Errorf("%d ETags of 1000 parts", len(etags))
	}
	obj, err := s.CompleteUpload(ctx, backend.CompleteInput{Bucket: testBucket, Key: "copy", UploadID: id, Parts: parts})
	if err != nil || obj.Size != 1000*piece || obj.CRC64NVME != "" {
		t.Fatalf("%+v, %v", obj, err)
	}
	if data, _ := get(t, s, "copy", backend.GetOptions{Range: &backend.Range{Off: 999*piece - 2, Len: 4}}); !bytes.Equal(data, make([]byte, 4)) {
		t.Errorf("read %x", data)
	}
	small, err := s.PutZeros(testBucket, "big", 100)
	if err != nil || small.ETag == big.ETag {
		t.Errorf("%+v, %v", small, err)
	}
}
