package staging

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// A segment is a header of headerSize bytes and frames, one per record. All integers are little
// endian. A frame is frameSize bytes and the payload:
//
//	 0  magic, to find the next record after damage
//	 4  length of the payload
//	 8  sequence: ascending through the segment
//	16  durable: every byte of the segment before this offset was synced when the record was written
//	24  file: number of the staged file, or id of the intent
//	32  type
//	36  CRC32C of the payload
//	40  CRC32C of the 40 bytes before
const (
	headerSize  = 64
	frameSize   = 44
	frameMagic  = 0x314a4d4f // "OMJ1"
	maxPayload  = 1 << 30
	headerText  = "objmount staging journal "
	thisVersion = "1"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// recordType says what a record means for its file. Types are never reused.
type recordType uint8

const (
	recordSession    recordType = 1  // payload: the boot id; first record of a segment
	recordBegin      recordType = 2  // content, before the first local byte
	recordCheckpoint recordType = 3  // content of a file that is being written
	recordSeal       recordType = 4  // content that must be uploaded
	recordSpec       recordType = 5  // spec: another target or condition
	recordState      recordType = 6  // state, reason
	recordCommit     recordType = 7  // content that was changed since the snapshot that is stored now
	recordRebase     recordType = 8  // old and new remote
	recordRemove     recordType = 9  // the data file may go; also after a commit of everything
	recordUpload     recordType = 10 // multipart upload without parts
	recordPart       recordType = 11 // one part of it
	recordNoUpload   recordType = 12 // the upload is over
	recordSynced     recordType = 13 // pairs of file and sequence of a seal whose data is durable
	recordNoOpen     recordType = 14 // the checkpoint after the seal was moved to a file of its own
	recordIntent     recordType = 15 // kind, payload
	recordNoIntent   recordType = 16
	recordClosed     recordType = 17 // everything before is durable, data too: an orderly end
	recordEnd        recordType = 18 // first value that means nothing
)

// record is one record as it is appended.
type record struct {
	kind    recordType
	file    uint64
	payload []byte
}

// frame is one record as it was found in a segment.
type frame struct {
	record
	seq     uint64
	durable int64
	off     int64 // of the frame in the segment
}

func (f frame) size() int64 { return frameSize + int64(len(f.payload)) }

// appendFrame encodes a record.
func appendFrame(b []byte, r record, seq uint64, durable int64) []byte {
	le := binary.LittleEndian
	start := len(b)
	b = le.AppendUint32(b, frameMagic)
	b = le.AppendUint32(b, uint32(len(r.payload)))
	b = le.AppendUint64(b, seq)
	b = le.AppendUint64(b, uint64(durable))
	b = le.AppendUint64(b, r.file)
	b = append(b, byte(r.kind), 0, 0, 0)
	b = le.AppendUint32(b, crc32.Checksum(r.payload, castagnoli))
	b = le.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
	return append(b, r.payload...)
}

// frameState is what parseFrame found.
type frameState uint8

const (
	frameGood       frameState = iota
	frameBadPayload            // the header is intact: file and length are known
	frameBad                   // no frame begins here
)

// parseFrame reads the frame at off of a segment.
func parseFrame(segment []byte, off int64) (frame, frameState) {
	b := segment[off:]
	le := binary.LittleEndian
	if len(b) < frameSize || le.Uint32(b) != frameMagic || le.Uint32(b[40:]) != crc32.Checksum(b[:40], castagnoli) {
		return frame{}, frameBad
	}
	n := le.Uint32(b[4:])
	f := frame{off: off, seq: le.Uint64(b[8:]), durable: int64(le.Uint64(b[16:]))}
	f.kind, f.file = recordType(b[32]), le.Uint64(b[24:])
	if n > maxPayload || frameSize+int64(n) > int64(len(b)) {
		return frame{}, frameBad
	}
	f.payload = b[frameSize : frameSize+n : frameSize+n]
	if le.Uint32(b[36:]) != crc32.Checksum(f.payload, castagnoli) {
		return f, frameBadPayload
	}
	return f, frameGood
}

// nextFrame finds the next place after off where an intact frame header begins, or -1.
func nextFrame(segment []byte, off int64) int64 {
	magic := binary.LittleEndian.AppendUint32(nil, frameMagic)
	for off++; off < int64(len(segment)); off++ {
		i := bytes.Index(segment[off:], magic)
		if i < 0 {
			return -1
		}
		off += int64(i)
		if _, state := parseFrame(segment, off); state != frameBad {
			return off
		}
	}
	return -1
}

// segmentHeader is the first headerSize bytes of a segment.
func segmentHeader() []byte {
	b := make([]byte, headerSize)
	copy(b, headerText+thisVersion+"\n")
	return b
}
