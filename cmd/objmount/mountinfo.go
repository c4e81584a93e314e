package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// fsType is the type of our mounts in /proc.
const fsType = "fuse.objmount"

// mountEntry is one line of /proc/self/mountinfo.
type mountEntry struct {
	dir    string
	fsType string
	source string
	uid    uint32 // who mounted it, where the filesystem says so (FUSE does)
}

// readMounts lists the mounts that this process sees, in the order of mounting: of several at
// one place the last is on top.
func readMounts() ([]mountEntry, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	return parseMounts(text), nil
}

// parseMounts reads lines such as
//
//	36 35 0:41 / /mnt rw,nosuid - fuse.objmount s3://b rw,user_id=0
func parseMounts(text []byte) []mountEntry {
	var out []mountEntry
	for line := range bytes.Lines(text) {
		before, after, ok := strings.Cut(string(line), " - ")
		left, right := strings.Fields(before), strings.Split(after, " ")
		const dir = 4
		if !ok || len(left) <= dir || len(right) < 2 {
			continue
		}
		m := mountEntry{dir: unescape(left[dir]), fsType: unescape(right[0]), source: unescape(right[1])}
		for _, option := range strings.Split(strings.TrimSpace(right[len(right)-1]), ",") {
			if id, ok := strings.CutPrefix(option, "user_id="); ok {
				if n, err := strconv.ParseUint(id, 10, 32); err == nil {
					m.uid = uint32(n)
				}
			}
		}
		out = append(out, m)
	}
	return out
}

// unescape turns \040 and the like into the bytes that the kernel escaped.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		const digits = 3
		if s[i] == '\\' && i+digits < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+1+digits], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += digits
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// topAt returns what is mounted exactly at dir.
func topAt(mounts []mountEntry, dir string) (mountEntry, bool) {
	for i := len(mounts) - 1; i >= 0; i-- {
		if mounts[i].dir == dir {
			return mounts[i], true
		}
	}
	return mountEntry{}, false
}

// holding returns the mount that path lies in.
func holding(mounts []mountEntry, path string) mountEntry {
	var best mountEntry
	for _, m := range mounts {
		if (path == m.dir || m.dir == "/" || strings.HasPrefix(path, m.dir+"/")) && len(m.dir) >= len(best.dir) {
			best = m
		}
	}
	return best
}

// findMountpoint turns what a user typed (relative, through symlinks, with slashes at the end)
// into the name under which the kernel knows a mountpoint. It asks as little as possible of the
// mount itself, which may be dead. ok is false when nothing is mounted exactly there.
func findMountpoint(mounts []mountEntry, path string) (abs string, m mountEntry, ok bool, err error) {
	if abs, err = absolute(path); err != nil {
		return "", m, false, err
	}
	if m, ok = topAt(mounts, abs); ok {
		return abs, m, true, nil
	}
	if parent, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil {
		through := filepath.Join(parent, filepath.Base(abs))
		if m, ok = topAt(mounts, through); ok {
			return through, m, true, nil
		}
		abs = through
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		abs = real
		m, ok = topAt(mounts, abs)
	}
	return abs, m, ok, nil
}
