package s3

import (
	"encoding/base64"
	"hash"
	"io"

	"github.com/minio/crc64nvme"
)

// NewCRC64NVME returns the checksum that S3 calls CRC64NVME. Its Sum is big-endian, as S3
// encodes it.
func NewCRC64NVME() hash.Hash64 { return crc64nvme.New() }

// Checksum reads r to its end and returns its CRC64NVME in base64, as
// backend.PutInput.CRC64NVME wants it.
func Checksum(r io.Reader) (string, error) {
	h := crc64nvme.New()
	if _, err := io.CopyBuffer(struct{ io.Writer }{h}, r, make([]byte, 256<<10)); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(h.Sum(nil)), nil
}
