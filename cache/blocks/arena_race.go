//go:build race

package blocks

// arena, under the race detector, lies on the Go heap: the detector does not see
// accesses to memory that Go did not allocate.
type arena struct{ mem [][]byte }

func newArena(slots int) (arena, error) { return arena{make([][]byte, slots)}, nil }

func (a *arena) slot(i int32) []byte {
	// Each slot is used by one holder at a time; buffers.mu ordered the hand-over.
	if a.mem[i] == nil {
		a.mem[i] = make([]byte, blockSize)
	}
	return a.mem[i]
}

func (a *arena) unmap() {}
