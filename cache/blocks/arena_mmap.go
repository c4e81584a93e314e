//go:build !race

package blocks

import "golang.org/x/sys/unix"

// arena is one anonymous mapping, cut into slots of blockSize bytes. Pages cost memory
// from their first use on.
type arena struct{ mem []byte }

func newArena(slots int) (arena, error) {
	if slots == 0 {
		return arena{}, nil
	}
	mem, err := unix.Mmap(-1, 0, slots*blockSize, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	return arena{mem}, err
}

func (a *arena) slot(i int32) []byte {
	off := int(i) * blockSize
	return a.mem[off : off+blockSize : off+blockSize]
}

func (a *arena) unmap() {
	if a.mem != nil {
		_ = unix.Munmap(a.mem)
		a.mem = nil
	}
}
