package fs

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/objmount/objmount/cache/metadata"
	"github.com/objmount/objmount/fs/names"
)

// Prefixes that the configuration names (Config.Present) are directories as long as it names them, and those above them: they need no
// object, cannot be removed or renamed, and are found without a request.

// presentBelow returns the components of a directory that are present, sorted. What is too long for a name is not shown so.
func (f *FS) presentBelow(at place) []string {
	if f.cfg.Present == nil || at.bucket == "" {
		return nil
	}
	var found []string
	for _, prefix := range f.cfg.Present(at.bucket) {
		rest, below := strings.CutPrefix(prefix, at.key)
		component, _, _ := strings.Cut(rest, "/")
		if _, _, long := names.Split(component); !below || component == "" || long {
			continue
		}
		found = append(found, component)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// present tells whether a component of a directory is present.
func (f *FS) present(at place, component string) bool {
	return slices.Contains(f.presentBelow(at), component)
}

// presentNode finds a directory that is present. Whether there is an object of that prefix does not matter.
func (f *FS) presentNode(ctx context.Context, parent *node, name, component string) (*node, error) {
	n := f.dirNode(parent, name, component+"/")
	if _, err := f.keeping(ctx, n); err != nil {
		return nil, err
	}
	n.lock()
	n.checked = time.Now()
	n.unlock()
	return n, nil
}

// staysPresent tells whether a directory, by its prefix, is present.
func (f *FS) staysPresent(at place) bool {
	if f.cfg.Present == nil || at.bucket == "" || at.key == "" {
		return false
	}
	return slices.ContainsFunc(f.cfg.Present(at.bucket), func(prefix string) bool { return strings.HasPrefix(prefix, at.key) })
}

// isDirLocked tells whether an entry of the listing is present, or is not visible by itself and has staged files below it, and makes it
// a directory then.
func (d *dirHandle) isDirLocked(e *metadata.Entry, visible bool) bool {
	is := d.filled[e.Name] && !visible
	delete(d.filled, e.Name)
	if i := slices.Index(d.present, e.Name); i >= 0 {
		d.present = slices.Delete(d.present, i, i+1)
		is = true
	}
	e.Dir = e.Dir || is
	return is
}

// pushPresentLocked adds the directories that are present, or have staged files below them, and that the listing does not have.
func (f *FS) pushPresentLocked(d *dirHandle) {
	for _, component := range d.present {
		delete(d.filled, component)
	}
	for _, component := range slices.Concat(d.present, slices.Sorted(maps.Keys(d.filled))) {
		e := metadata.Entry{Name: component, Dir: true}
		d.rest = append(d.rest, dirEntry{name: names.Encode(component, names.Natural), kind: names.Natural, entry: e, dir: true})
	}
	d.present, d.filled = nil, nil
}
