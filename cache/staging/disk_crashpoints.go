//go:build crashpoints

package staging

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// machineDisk is the machine's disk with a point at which this process kills itself, for tests of crashes: OBJMOUNT_TEST_CRASH_AT is
// journal-before:N, journal-torn:N or journal-after:N, the N-th write to a journal, from 1.
func machineDisk() Disk {
	where, count, ok := strings.Cut(os.Getenv("OBJMOUNT_TEST_CRASH_AT"), ":")
	if !ok {
		return newOSDisk()
	}
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil {
		panic(fmt.Sprintf("OBJMOUNT_TEST_CRASH_AT: %v", err))
	}
	d := &crashingDisk{osDisk: newOSDisk(), where: where}
	d.left.Store(n)
	return d
}

type crashingDisk struct {
	osDisk
	where string
	left  atomic.Int64 // writes to journals until the point
}

func (d *crashingDisk) Open(path string, create bool) (DiskFile, error) {
	f, err := d.osDisk.Open(path, create)
	if err != nil || !strings.HasPrefix(filepath.Base(path), journalName) {
		return f, err
	}
	return crashingFile{f, d}, nil
}

type crashingFile struct {
	DiskFile
	disk *crashingDisk
}

func (f crashingFile) WriteAt(p []byte, off int64) (int, error) {
	if f.disk.left.Add(-1) != 0 {
		return f.DiskFile.WriteAt(p, off)
	}
	switch f.disk.where {
	case "journal-torn":
		p = p[:len(p)/2]
		fallthrough
	case "journal-after":
		if n, err := f.DiskFile.WriteAt(p, off); err != nil {
			return n, err
		}
	}
	_ = unix.Kill(os.Getpid(), unix.SIGKILL)
	select {} // until it arrives
}
