//go:build crashpoints

package staging

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// machineDisk is the machine's disk with a point at which this process kills itself, for tests of crashes. OBJMOUNT_TEST_CRASH_AT names a
// file; when it appears, it says where: journal-before:N, journal-torn:N or journal-after:N, the N-th write to a journal from then on, from 1.
func machineDisk() Disk {
	trigger := os.Getenv("OBJMOUNT_TEST_CRASH_AT")
	if trigger == "" {
		return newOSDisk()
	}
	return &crashingDisk{osDisk: newOSDisk(), trigger: trigger}
}

type crashingDisk struct {
	osDisk
	trigger string

	mu    sync.Mutex
	where string // empty: the file has not appeared
	left  int64  // writes to journals until the point
}

// point counts a write to a journal and returns where in it to crash; empty: not in this one.
func (d *crashingDisk) point() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.where == "" {
		text, err := os.ReadFile(d.trigger)
		if err != nil {
			return ""
		}
		where, count, _ := strings.Cut(string(text), ":")
		n, err := strconv.ParseInt(count, 10, 64)
		if err != nil {
			panic(fmt.Sprintf("%s: %v", d.trigger, err))
		}
		d.where, d.left = where, n
	}
	if d.left--; d.left != 0 {
		return ""
	}
	return d.where
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
	switch f.disk.point() {
	case "":
		return f.DiskFile.WriteAt(p, off)
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
