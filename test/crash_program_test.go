package test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// A program is one writer with a directory and names of its own. It knows what every call that returned has left, and the one call
// that a crash may have cut short.
type program struct {
	dir     string
	rng     *rand.Rand
	content map[string][]byte // what the names have by the calls that returned
	names   map[string]bool   // all that were ever used
	last    *unfinished       // the call under way; nil: none
	favours []string          // kinds of calls that are made more often
	large   bool              // files are larger than a part more often
	calls   int
}

// unfinished is a call that has not returned.
type unfinished struct {
	kind     string // "put", "edit", "rename" or "unlink"
	name, to string // to is of a rename
	data     []byte // that a put or an edit leaves
}

func newProgram(dir string, seed uint64) *program {
	return &program{dir: dir, rng: rand.New(rand.NewPCG(seed, 2)), content: map[string][]byte{}, names: map[string]bool{}}
}

func (p *program) newName() string { return fmt.Sprintf("f%d", len(p.names)+1) }

// some is a name that has content, which a call that needs much can be made on if there is one; "": there is none.
func (p *program) some(least int) string {
	names := slices.Sorted(maps.Keys(p.content))
	if large := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return len(p.content[name]) < least }); len(large) > 0 {
		names = large
	}
	if len(names) == 0 {
		return ""
	}
	return names[p.rng.IntN(len(names))]
}

func (p *program) size() int {
	if p.large && p.rng.IntN(2) == 0 {
		return 5<<20 + []int{1, 100_000, 2 << 20, 6 << 20}[p.rng.IntN(4)]
	}
	return []int{0, 10, 5000, 70_000, 1<<20 + 1}[p.rng.IntN(5)]
}

// step makes one change and returns its error.
func (p *program) step() error {
	p.calls++
	kind := []string{"put", "put", "put", "edit", "edit", "rename", "rename", "unlink"}[p.rng.IntN(8)]
	if len(p.favours) > 0 && p.rng.IntN(2) == 0 {
		kind = p.favours[p.rng.IntN(len(p.favours))]
	}
	least := 0
	if p.large {
		least = 5 << 20
	}
	name := p.some(least)
	if name == "" || kind == "put" && p.rng.IntN(3) > 0 {
		kind, name = "put", p.newName()
	}
	u := &unfinished{kind: kind, name: name}
	var call func() error
	switch kind {
	case "put":
		u.data = bytesOf(p.rng.Uint64(), p.size())
		if p.content[name] != nil && len(u.data) == 0 { // what O_TRUNC has emptied is not in the journal at close
			u.data = []byte("not empty")
		}
		call = func() error { return p.write(name, os.O_CREATE|os.O_TRUNC, u.data, 0) }
	case "edit": // in the middle, or beyond the end
		old := p.content[name]
		off, patch := p.rng.IntN(len(old)+1), bytesOf(p.rng.Uint64(), 1+p.rng.IntN(100_000))
		u.data = append(append(slices.Clone(old[:off]), patch...), old[min(off+len(patch), len(old)):]...)
		call = func() error { return p.write(name, 0, patch, int64(off)) }
	case "rename":
		if u.to = p.newName(); p.rng.IntN(3) == 0 {
			u.to = p.some(0)
		}
		call = func() error { return os.Rename(filepath.Join(p.dir, name), filepath.Join(p.dir, u.to)) }
	case "unlink":
		call = func() error { return os.Remove(filepath.Join(p.dir, name)) }
	}
	p.last, p.names[name] = u, true
	if u.to != "" {
		p.names[u.to] = true
	}
	if err := call(); err != nil {
		return fmt.Errorf("%s %s %s: %w", u.kind, u.name, u.to, err)
	}
	p.content, p.last = p.done(), nil
	return nil
}

func (p *program) write(name string, flags int, data []byte, off int64) error {
	f, err := os.OpenFile(filepath.Join(p.dir, name), os.O_WRONLY|flags, 0o644)
	if err != nil {
		return err
	}
	if len(data) > 0 {
		_, err = f.WriteAt(data, off)
	}
	if err == nil && p.rng.IntN(3) == 0 {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// done is what the names have when the call under way is done.
func (p *program) done() map[string][]byte {
	after := maps.Clone(p.content)
	switch u := p.last; {
	case u == nil:
	case u.kind == "unlink":
		delete(after, u.name)
	case u.kind == "rename" && u.to != u.name:
		after[u.to] = after[u.name]
		delete(after, u.name)
	case u.kind != "rename":
		after[u.name] = u.data
	}
	return after
}

// settle compares what the store has with what the calls left: the one that was cut short is done or not done. What it turned out to
// be is what the program goes on with.
func (p *program) settle(prefix string, objects map[string]object) []string {
	not := p.differences(p.content, prefix, objects)
	if len(not) == 0 {
		p.last = nil
		return nil
	}
	if p.last == nil {
		return not
	}
	after := p.done()
	if done := p.differences(after, prefix, objects); len(done) > 0 {
		u := p.last
		return append(append([]string{fmt.Sprintf("%s%s: a %s (to %q) is neither done nor not done; it is not, because of", prefix, u.name, u.kind, u.to)}, not...),
			append([]string{"nor is it done, because of"}, done...)...)
	}
	p.content, p.last = after, nil
	return nil
}

// differences are the names whose object is another one than content says.
func (p *program) differences(content map[string][]byte, prefix string, objects map[string]object) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(p.names)) {
		data, exists := content[name]
		got, stored := objects[prefix+name]
		switch {
		case exists && !stored:
			out = append(out, fmt.Sprintf("%s%s: not in the store, want %d bytes", prefix, name, len(data)))
		case !exists && stored:
			out = append(out, fmt.Sprintf("%s%s: %d bytes are in the store, want none", prefix, name, got.Size))
		case exists && got.SHA256 != digest(data):
			out = append(out, fmt.Sprintf("%s%s: %d bytes are in the store, want %d others", prefix, name, got.Size, len(data)))
		}
	}
	return out
}

// missing are the names whose content is not in the store yet though the close of it returned, but for those that a call under way is
// about, and empty files.
func (p *program) missing(prefix string, objects map[string]object) []string {
	var out []string
	for name, data := range p.content {
		if len(data) == 0 || p.last != nil && (p.last.name == name || p.last.to == name) {
			continue
		}
		if objects[prefix+name].SHA256 != digest(data) {
			out = append(out, fmt.Sprintf("%s%s: its close had returned, the store has %d bytes that are not these", prefix, name, objects[prefix+name].Size))
		}
	}
	return out
}

// shown compares what the mount lists and reads with what the calls left.
func (p *program) shown() []string {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return []string{err.Error()}
	}
	var out []string
	for _, e := range entries {
		if _, ok := p.content[e.Name()]; !ok {
			out = append(out, fmt.Sprintf("%s/%s is shown, and should be gone", p.dir, e.Name()))
		}
	}
	if len(entries) < len(p.content) {
		out = append(out, fmt.Sprintf("%s: %d names are shown, want %d", p.dir, len(entries), len(p.content)))
	}
	if name := p.some(0); name != "" {
		if data, err := os.ReadFile(filepath.Join(p.dir, name)); err != nil || !bytes.Equal(data, p.content[name]) {
			out = append(out, fmt.Sprintf("%s/%s: %d bytes are read (%v), want %d", p.dir, name, len(data), err, len(p.content[name])))
		}
	}
	return out
}
