package test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
)

// A cargo is content of which every byte is known, and which says at many places what it is: bulk, and seals with a
// number in it that is used once. Bytes of two versions in one file show.
type cargo struct {
	token uint64
	bulk  int // index of bulkSizes
}

// bulkSizes: the first are small files (and one that is just too large to be fetched by one GET), the others are uploaded in parts, or could be.
var bulkSizes = []int{64, 300, 300, 70_000, mib + 33, 6 * mib, 6 * mib, 11*mib + 12_345, 17 * mib}

const (
	firstLarge = 5
	sealSize   = 32
	sealStart  = "<token "
)

var bulks = sync.OnceValue(func() [][]byte {
	all := make([][]byte, len(bulkSizes))
	for i, n := range bulkSizes {
		all[i] = bytesOf(uint64(1000+i), n)
	}
	return all
})

var lastToken atomic.Uint64

// newCargo is one that nobody has had. large: more than a part.
func newCargo(rng *rand.Rand, large bool) cargo {
	c := cargo{token: lastToken.Add(1), bulk: rng.IntN(firstLarge)}
	if large {
		c.bulk = firstLarge + rng.IntN(len(bulkSizes)-firstLarge)
	}
	return c
}

func (c cargo) seal() []byte { return fmt.Appendf(nil, sealStart+"%016x %02d....>\n", c.token, c.bulk) }

// sealsOf are the places of the seals in a file of this size: at both ends, and over the boundaries of a block and of a part.
func sealsOf(size int) []int {
	places := []int{0}
	for _, b := range []int{mib, 8 * mib} {
		if b+sealSize < size-sealSize {
			places = append(places, b-sealSize/2)
		}
	}
	return append(places, size-sealSize)
}

func (c cargo) size() int { return bulkSizes[c.bulk] }

func (c cargo) bytes() []byte {
	out := bytes.Clone(bulks()[c.bulk])
	for _, at := range sealsOf(len(out)) {
		copy(out[at:], c.seal())
	}
	return out
}

// cargoOf reads what a seal says.
func cargoOf(seal []byte) (c cargo, err error) {
	if _, err = fmt.Sscanf(string(seal[:min(len(seal), sealSize)]), sealStart+"%016x %02d....>", &c.token, &c.bulk); err != nil || c.bulk >= len(bulkSizes) {
		return c, fmt.Errorf("no seal: %q, %w", seal[:min(len(seal), sealSize)], err)
	}
	return c, nil
}

// unpack tells which cargo data is; an error: no single one.
func unpack(data []byte) (cargo, error) {
	c, err := cargoOf(data)
	if err != nil {
		return c, err
	}
	return c, c.holds(data, 0)
}

// holds compares data with what a cargo has at an offset, up to the end of data; data that reaches to or over the cargo's end has to end there.
func (c cargo) holds(data []byte, off int) error {
	if off+len(data) > c.size() {
		return fmt.Errorf("token %x has %d bytes, and here are %d from %d on", c.token, c.size(), len(data), off)
	}
	want := bulks()[c.bulk][off : off+len(data)]
	if !bytes.Equal(data, want) { // it has seals
		want = bytes.Clone(want)
		for _, at := range sealsOf(c.size()) {
			if at+sealSize > off && at < off+len(data) {
				copy(want[max(at-off, 0):], c.seal()[max(off-at, 0):])
			}
		}
	}
	if !bytes.Equal(data, want) {
		return fmt.Errorf("token %x at %d: %s", c.token, off, firstDifference(data, want))
	}
	return nil
}

// tokensIn finds the numbers of all seals in data, whatever else is in it.
func tokensIn(data []byte) map[uint64]bool {
	found := map[uint64]bool{}
	for {
		i := bytes.Index(data, []byte(sealStart))
		if i < 0 {
			return found
		}
		data = data[i:]
		if c, err := cargoOf(data); err == nil {
			found[c.token] = true
		}
		data = data[len(sealStart):]
	}
}

// readCargo reads an open file in pieces, in any order, and tells what it holds. A read error is returned as it is; bytes of two versions are a mixture.
func readCargo(f *os.File, rng *rand.Rand, between func()) (cargo, error) {
	head := make([]byte, sealSize)
	if _, err := f.ReadAt(head, 0); err != nil {
		return cargo{}, err
	}
	c, err := cargoOf(head)
	if err != nil {
		return c, mixture{err}
	}
	info, err := f.Stat()
	if err != nil {
		return c, err
	}
	if info.Size() != int64(c.size()) {
		return c, mixture{fmt.Errorf("token %x has %d bytes, and fstat says %d", c.token, c.size(), info.Size())}
	}
	piece := max(c.size()/(1+rng.IntN(6)), 1)
	pieces := (c.size() + piece - 1) / piece
	for _, i := range rng.Perm(pieces) {
		between()
		part := make([]byte, min(piece, c.size()-i*piece))
		n, err := f.ReadAt(part, int64(i*piece))
		if err != nil && err != io.EOF {
			return c, err
		}
		if n < len(part) {
			return c, mixture{fmt.Errorf("token %x: %d bytes of %d at %d", c.token, n, len(part), i*piece)}
		}
		if err := c.holds(part, i*piece); err != nil {
			return c, mixture{err}
		}
	}
	return c, nil
}

// A mixture is what no reader may see.
type mixture struct{ error }
