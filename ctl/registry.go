package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Info says which mount a socket belongs to.
type Info struct {
	PID        int       `json:"pid"`
	StartTime  uint64    `json:"start_time"` // of the process, in clock ticks since boot
	UID        uint32    `json:"uid"`        // who mounted
	Source     string    `json:"source"`     // "s3://bucket/prefix"
	Mountpoint string    `json:"mountpoint"` // absolute, no symlinks
	Endpoint   string    `json:"endpoint"`   // empty: Amazon's own
	Started    time.Time `json:"started,omitzero"`
	At         time.Time `json:"at,omitzero"` // the time that is shown; zero: now
	Version    string    `json:"version"`
	Socket     string    `json:"socket"`
}

const (
	infoSuffix   = ".json"
	socketSuffix = ".sock"
	maxInfo      = 64 << 10
	dialTimeout  = 2 * time.Second
)

// ProcessStart returns the start time of a process in clock ticks since boot, which together
// with the pid names it for ever. fs.ErrNotExist: there is no such process, or one that has
// ended and only waits for its parent to notice.
func ProcessStart(pid int) (uint64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		if errors.Is(err, syscall.ESRCH) {
			err = fs.ErrNotExist
		}
		return 0, err
	}
	// The second field, the program's name, is in parentheses and may hold anything.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	const startTime = 22 - 3 // the 22nd field; the first of fields is the third
	if len(fields) <= startTime {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	if state := fields[0]; state == "Z" || state == "X" {
		return 0, fs.ErrNotExist
	}
	return strconv.ParseUint(fields[startTime], 10, 64)
}

// running reports whether the process that wrote the entry is still there.
func (i Info) running() bool {
	start, err := ProcessStart(i.PID)
	return err == nil && start == i.StartTime
}

// register writes the entry of a mount. The socket listens already.
func register(i Info) error {
	text, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return err
	}
	name := strings.TrimSuffix(i.Socket, socketSuffix) + infoSuffix
	if err := os.WriteFile(name+".new", append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// unregister removes entry and socket, and their directory when that was the last.
func unregister(socket string) {
	os.Remove(strings.TrimSuffix(socket, socketSuffix) + infoSuffix)
	os.Remove(socket)
	os.Remove(filepath.Dir(socket)) // fails while others are there
}

// List returns the mounts in the runtime directories, those that were mounted first at the
// front. A directory that is missing or may not be read counts as empty. What dead processes
// left is removed.
func List(ctx context.Context, dirs ...string) []Info {
	var found []Info
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if !strings.HasSuffix(e.Name(), infoSuffix) {
				continue
			}
			i, err := readInfo(filepath.Join(dir, e.Name()))
			if err != nil {
				continue
			}
			if stale(ctx, i) {
				unregister(i.Socket)
				continue
			}
			found = append(found, i)
		}
	}
	slices.SortStableFunc(found, func(a, b Info) int { return a.Started.Compare(b.Started) })
	return found
}

// readInfo reads an entry. The socket is the one beside it, whatever the entry says.
func readInfo(name string) (Info, error) {
	st, err := os.Lstat(name)
	if err != nil {
		return Info{}, err
	}
	if !st.Mode().IsRegular() || st.Size() > maxInfo {
		return Info{}, fmt.Errorf("%s is no entry of a mount", name)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return Info{}, err
	}
	var i Info
	if err := json.Unmarshal(text, &i); err != nil {
		return Info{}, fmt.Errorf("%s: %w", name, err)
	}
	i.Socket = strings.TrimSuffix(name, infoSuffix) + socketSuffix
	return i, nil
}

// stale reports whether nobody is behind an entry. A socket that takes connections is alive,
// also when its process cannot be seen from here (another pid namespace).
func stale(ctx context.Context, i Info) bool {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := dial(ctx, i.Socket)
	if err == nil {
		c.Close()
		return false
	}
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
		return true
	}
	return errors.Is(err, fs.ErrPermission) && !i.running()
}

// Ended waits until the process of a mount is gone, or ctx ends.
func (i Info) Ended(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for i.running() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}
