package metadata

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// state is a small file beside the attribute file, locked while that is in use. It says
// whether the attribute file can be trusted: bbolt ends the process when it meets damage,
// so damage must be seen before it is opened. A file closed in good order has the checksum
// that is written here; one that was not is good while the machine has not been restarted,
// because what a dead process wrote is in the kernel's page cache in order.
type state struct {
	path string // of the attribute file
	file *os.File
}

// stateRecord is what the state file holds.
type stateRecord struct {
	Version int    `json:"version"`
	Boot    string `json:"boot"`           // of the kernel, while the file is in use
	Closed  bool   `json:"closed"`         // Size and Sum are those of the file
	Size    int64  `json:"size,omitempty"` // bytes
	Sum     uint32 `json:"crc32c,omitempty"`
}

const (
	stateVersion = 1
	stateSuffix  = ".state"
	asideSuffix  = ".damaged"
)

// openState locks the file for this process, and puts it aside when it cannot be trusted.
func openState(path string, log *slog.Logger) (*state, error) {
	f, err := os.OpenFile(path+stateSuffix, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	s := &state{path: path, file: f}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.New("in use by another process")
		}
		return nil, err
	}
	if err := s.check(); err != nil {
		log.Warn("the attribute cache begins empty", "file", path, "error", err)
		if err := os.Rename(path, path+asideSuffix); err != nil {
			s.release()
			return nil, err
		}
	}
	if err := s.save(stateRecord{Version: stateVersion, Boot: bootID()}); err != nil {
		s.release()
		return nil, err
	}
	return s, nil
}

// check returns why the attribute file cannot be trusted.
func (s *state) check() error {
	info, err := os.Lstat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("it is no regular file (%v)", info.Mode())
	}
	if info.Size() == 0 {
		return nil
	}
	var r stateRecord
	data, err := io.ReadAll(io.NewSectionReader(s.file, 0, 4096))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &r); err != nil || r.Version != stateVersion {
		return errors.New("nothing says that it is whole")
	}
	if !r.Closed {
		if boot := bootID(); boot == "" || boot != r.Boot {
			return errors.New("the machine stopped while it was in use")
		}
		return nil
	}
	size, sum, err := checksum(s.path)
	if err != nil {
		return err
	}
	if size != r.Size || sum != r.Sum {
		return errors.New("its checksum is wrong")
	}
	return nil
}

// seal notes that the attribute file was closed in good order.
func (s *state) seal() error {
	size, sum, err := checksum(s.path)
	if err != nil {
		return err
	}
	return s.save(stateRecord{Version: stateVersion, Closed: true, Size: size, Sum: sum})
}

func (s *state) save(r stateRecord) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := s.file.Truncate(0); err != nil {
		return err
	}
	_, err = s.file.WriteAt(data, 0)
	return err
}

// release unlocks the file.
func (s *state) release() { s.file.Close() }

func checksum(path string) (size int64, sum uint32, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	h := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	size, err = io.CopyBuffer(h, io.Reader(struct{ io.Reader }{f}), make([]byte, 1<<20))
	return size, h.Sum32(), err
}

// bootID names this run of the kernel; empty: unknown.
func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}
