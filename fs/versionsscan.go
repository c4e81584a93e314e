package fs

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cache/metadata"
	"github.com/objmount/objmount/fs/names"
)

// versionItem is a component of a key that has versions, in a directory of the view.
type versionItem struct {
	component string
	file      bool // the key has versions
	dir       bool // keys below it have
	newest    time.Time
}

// kind is the kind of the name of the key's versions: the natural one is the directory's.
func (i versionItem) kind() names.Kind {
	if i.dir || i.component == "" {
		return names.File
	}
	return names.Natural
}

// versionScan reads what has versions below a prefix while pages arrive, each component once. It is for one
// goroutine.
type versionScan struct {
	f     *FS
	in    backend.ListVersionsInput
	asked time.Time // for the page read last
	ready []versionItem
	held  []versionItem // keys that may be a directory as well: that comes later in a listing
	last  string        // what was read last, without the prefix
	bytes bool          // the directory's own marker has been shown
	ended bool

	// A page of nothing but versions of one key is not read on: what follows that key is asked for. Where the
	// store begins with the key again (VersityGW 1.8 does), the pages are read after all.
	skipped *backend.ListVersionsInput
	noSkip  bool
}

func (f *FS) scanVersions(at place) *versionScan {
	return &versionScan{f: f, in: backend.ListVersionsInput{Bucket: at.bucket, Prefix: at.key, Delimiter: "/"}}
}

// next returns io.EOF after the last component. After another error it may be called again.
func (s *versionScan) next(ctx context.Context) (versionItem, error) {
	for len(s.ready) == 0 {
		if s.ended {
			return versionItem{}, io.EOF
		}
		asked := time.Now()
		page, err := s.f.versionPage(ctx, s.in)
		if err != nil {
			return versionItem{}, err
		}
		s.asked = asked
		s.take(page)
	}
	item := s.ready[0]
	s.ready = s.ready[1:]
	return item, nil
}

func (s *versionScan) take(page backend.VersionPage) {
	if s.skipped != nil {
		again := len(page.Versions) > 0 && page.Versions[0].Key == s.in.KeyMarker
		if again {
			s.in, s.noSkip, s.skipped = *s.skipped, true, nil
			return
		}
		s.skipped = nil
	}
	prefixes := page.Prefixes
	for _, v := range page.Versions {
		for len(prefixes) > 0 && prefixes[0] < v.Key {
			s.see(prefixes[0], backend.Version{}, true)
			prefixes = prefixes[1:]
		}
		s.see(v.Key, v, false)
	}
	for _, p := range prefixes {
		s.see(p, backend.Version{}, true)
	}
	if !page.More {
		s.ended = true
		s.ready, s.held = append(s.ready, s.held...), nil
		return
	}
	s.in.KeyMarker, s.in.VersionMarker = page.NextKey, page.NextVersion
	if key := onlyKey(page); key != "" && key != s.in.Prefix && !s.noSkip {
		rest := s.in
		s.skipped = &rest
		s.in.KeyMarker, s.in.VersionMarker = key, ""
	}
}

// onlyKey is the key that all of a page is about; empty: there are others.
func onlyKey(page backend.VersionPage) string {
	if len(page.Versions) == 0 || len(page.Prefixes) > 0 || page.Versions[0].Key != page.Versions[len(page.Versions)-1].Key {
		return ""
	}
	return page.Versions[0].Key
}

// see takes up the next key or prefix of a listing.
func (s *versionScan) see(full string, v backend.Version, prefix bool) {
	at := strings.TrimPrefix(full, s.in.Prefix)
	if at == "" { // the marker of the directory itself: shown when it has, or had, bytes
		if v.Size > 0 && !s.bytes {
			s.bytes = true
			s.ready = append(s.ready, versionItem{file: true, newest: v.LastModified})
		}
		return
	}
	if at <= s.last { // another version of a key, or a page that begins too early
		return
	}
	s.last = at
	dir := false
	s.held = slices.DeleteFunc(s.held, func(h versionItem) bool {
		switch sub := h.component + "/"; {
		case at < sub:
			return false
		case at == sub:
			h.dir, dir = true, true
		}
		s.ready = append(s.ready, h)
		return true
	})
	switch {
	case prefix && !dir:
		s.ready = append(s.ready, versionItem{component: strings.TrimSuffix(at, "/"), dir: true})
	case !prefix && (s.in.Prefix != "" || !names.Hidden(at)):
		s.held = append(s.held, versionItem{component: at, file: true, newest: v.LastModified})
	}
}

// readVersions returns what reads a directory of the view into an open directory, an entry or two at a
// call; io.EOF after the last.
func (f *FS) readVersions(d *dirHandle) func(context.Context) error {
	if d.node.view == viewKey {
		return f.readKey(d)
	}
	scan := f.scanVersions(d.place)
	return func(ctx context.Context) error {
		item, err := scan.next(ctx)
		if err == nil {
			d.pushVersionsLocked(item, scan.asked)
		}
		return err
	}
}

// readKey shows the versions of a key, the oldest first; those that are too many to be kept come after
// the others, as the store lists them.
func (f *FS) readKey(d *dirHandle) func(context.Context) error {
	var list, rest *keyVersions
	left := 0
	return func(ctx context.Context) error {
		if list == nil {
			known, err := f.versionsOf(ctx, d.place.id())
			if err != nil {
				return err
			}
			list, left, rest = known, len(known.all), known.rest()
		}
		var v backend.Version
		if left > 0 {
			left--
			v = list.all[left]
		} else {
			var err error
			if v, err = f.nextVersion(ctx, d.place.id(), rest); err != nil {
				return err
			}
		}
		d.pushLocked(dirEntry{name: versionName(v), view: viewFile, version: &v, entry: metadata.Entry{Asked: list.asked}})
		return nil
	}
}

// pushVersionsLocked shows a component: its versions, the directory below it, or both. One that is too long
// for a name is shown as its first part, once.
func (d *dirHandle) pushVersionsLocked(i versionItem, asked time.Time) {
	if i.dir && fits(d.pieces, i.component, names.Natural) {
		d.pushViewLocked(i, names.Natural, names.Split, viewDir, asked)
	}
	if kind := i.kind(); i.file && fits(d.pieces, i.component, kind) {
		split := names.Split
		if kind == names.File {
			split = names.SplitFile
		}
		d.pushViewLocked(i, kind, split, viewKey, asked)
	}
}

func (d *dirHandle) pushViewLocked(i versionItem, kind names.Kind, split func(string) (string, string, bool), view viewKind, asked time.Time) {
	if piece, _, long := split(i.component); long {
		d.pushPartLocked(i.component, piece)
		return
	}
	entry := metadata.Entry{Name: i.component, Dir: true, Asked: asked}
	d.pushLocked(dirEntry{name: names.Encode(i.component, kind), kind: kind, entry: entry, dir: true, view: view, newest: i.newest})
}

// knownView returns the node of an entry of the view if that needs no request.
func (f *FS) knownView(d *dirHandle, e *dirEntry) *node {
	kept := f.viewKept(d.node)
	a := f.viewAttr(d.node)
	switch {
	case e.kind == names.Part:
		return f.viewNode(d.node, e.name, e.entry.Name, viewPart, a, e.asked(d))
	case e.view == viewKey:
		a.mtime = e.newest
		return f.viewNode(d.node, e.name, e.entry.Name, viewKey, a, e.asked(d))
	case e.view == viewDir && !kept:
		return f.viewNode(d.node, e.name, e.entry.Name+"/", viewDir, a, e.asked(d))
	case e.view == viewFile && !kept:
		return f.versionFile(d.node, e.name, *e.version, f.plainAttr(*e.version), e.asked(d))
	}
	return nil
}
