package mem

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc64"
)

// polynomial is CRC-64/NVME's, bit-reversed, as hash/crc64 wants it.
const polynomial = 0x9a6c9329ac4bc9b5

var nvme = crc64.MakeTable(polynomial)

// CRC64NVME returns the checksum of p in the form of PutInput.CRC64NVME: base64 of its
// eight bytes, the highest first.
func CRC64NVME(p []byte) string { return encodeCRC(crc64.Checksum(p, nvme)) }

func encodeCRC(sum uint64) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, sum))
}

// combine returns the CRC of A followed by B from a = crc(A), b = crc(B) and the length of B:
// appending a zero bit to A is a linear map over GF(2), applied 8*size times by squaring.
func combine(a, b uint64, size int64) uint64 {
	if size == 0 {
		return a
	}
	var odd, even matrix
	odd[0] = polynomial // one zero bit
	for i := 1; i < len(odd); i++ {
		odd[i] = 1 << (i - 1)
	}
	even.square(&odd) // two
	odd.square(&even) // four
	for {
		even.square(&odd)
		if size&1 != 0 {
			a = even.times(a)
		}
		if size >>= 1; size == 0 {
			break
		}
		odd.square(&even)
		if size&1 != 0 {
			a = odd.times(a)
		}
		if size >>= 1; size == 0 {
			break
		}
	}
	return a ^ b
}

// matrix is a linear map over GF(2) of 64-bit vectors, by columns.
type matrix [64]uint64

func (m *matrix) times(v uint64) uint64 {
	var sum uint64
	for i := 0; v != 0; i, v = i+1, v>>1 {
		if v&1 != 0 {
			sum ^= m[i]
		}
	}
	return sum
}

func (m *matrix) square(of *matrix) {
	for i := range m {
		m[i] = of.times(of[i])
	}
}
