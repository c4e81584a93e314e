package disk

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// leftover is the age from which files without their counterpart are removed: before,
// they may be about to be completed.
const leftover = 10 * time.Minute

// pair is one object version, or a segment of the shelf, found by a scan.
type pair struct {
	name  string
	dir   string
	files []string // names in dir, the meta file first
	meta  bool
	data  int
	bytes int64
	used  time.Time
}

// scan measures the folder, removes leftovers, and evicts the least recently used pairs
// until nine tenths of the limit are used. Only the writer calls it.
func (t *Tier) scan() {
	t.fresh.Store(0)
	t.full.Store(false)
	t.scanned = time.Now()
	var pairs []*pair
	var total int64
	dirs, _ := os.ReadDir(t.dir)
	segments := map[string]bool{}
	for _, d := range dirs {
		if d.IsDir() && len(d.Name()) == 2 {
			found := scanFolder(filepath.Join(t.dir, d.Name()))
			for _, p := range found {
				total += p.bytes
				if d.Name() == shelfFolder && p.meta {
					segments[p.name] = true
				}
			}
			pairs = append(pairs, found...)
		}
	}
	t.shelf.refresh(segments)
	allowed := max(0, min(t.limit, total+t.spare()))
	t.allowed.Store(allowed)
	if allowed < min(t.limit, 4*blockBytes) {
		t.failed(unix.ENOSPC)
	}
	if t.disabled.Load() {
		t.used.Store(total)
		return
	}
	slices.SortFunc(pairs, func(a, b *pair) int { return a.used.Compare(b.used) })
	goal := allowed
	if total > allowed-max(allowed/64, 4*blockBytes) {
		goal = allowed - allowed/10
	}
	old := time.Now().Add(-leftover)
	for _, p := range pairs {
		broken := (!p.meta || p.data != 1) && p.used.Before(old)
		if total <= goal && !broken {
			continue
		}
		t.removePair(p)
		total -= p.bytes
	}
	t.used.Store(total)
}

// spare is what the file system has left for us; negative when it is too full already.
func (t *Tier) spare() int64 {
	var st unix.Statfs_t
	if unix.Statfs(t.dir, &st) != nil {
		return t.limit
	}
	keep := min(minFree, int64(st.Blocks)*int64(st.Bsize)/50)
	return int64(st.Bavail)*int64(st.Bsize) - keep
}

// scanFolder collects the pairs of one folder.
func scanFolder(dir string) []*pair {
	entries, _ := os.ReadDir(dir)
	byName := map[string]*pair{}
	var all []*pair
	for _, e := range entries {
		name, rest, _ := strings.Cut(e.Name(), ".")
		info, err := e.Info()
		if err != nil || len(name) != 32 {
			continue
		}
		p := byName[name]
		if p == nil {
			p = &pair{name: name, dir: dir}
			byName[name] = p
			all = append(all, p)
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			p.bytes += st.Blocks * 512 // sparse
		}
		switch {
		case rest == "meta":
			p.meta = true
			p.files = slices.Insert(p.files, 0, e.Name())
		case strings.HasSuffix(rest, ".data"):
			p.data++
			p.files = append(p.files, e.Name())
		default:
			p.files = append(p.files, e.Name())
		}
		if info.ModTime().After(p.used) {
			p.used = info.ModTime()
		}
	}
	return all
}

// removePair deletes the files of a version, the meta file first, and makes an open File
// of it absent.
func (t *Tier) removePair(p *pair) {
	var open *File
	t.mu.Lock()
	for _, f := range t.files {
		if f.name == p.name {
			open = f
			break
		}
	}
	t.mu.Unlock()
	if open != nil {
		open.io.Lock()
		defer open.io.Unlock()
		open.forgetLocked()
	}
	if filepath.Base(p.dir) == shelfFolder {
		t.shelf.drop(p.name)
	}
	for _, name := range p.files {
		_ = os.Remove(filepath.Join(p.dir, name))
	}
}
