package s3

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/objmount/objmount/backend"
)

// VersityGW's listing of versions goes on from a key with that key again, and from the current
// version of a key with that version again: a page of one would come back for ever. From a
// version that was deleted in between, or from "null", it goes on with nothing at all. So a
// listing here goes on from keys only, and leaves out what it had already.

// nullSeen ends a marker when the version "null" of that key was in an earlier page.
const nullSeen = "+null"

// position is a place in a listing of versions: behind a key (or prefix), or behind some of the
// versions of a key.
type position struct {
	key  string
	id   string // of the oldest version before; ids are ULIDs, so older ones are less
	null bool   // NullVersion was before
}

func positionOf(in backend.ListVersionsInput) position {
	id, null := strings.CutSuffix(in.VersionMarker, nullSeen)
	return position{in.KeyMarker, id, null}
}

// marker is what positionOf reads.
func (p position) marker() string {
	if p.null {
		return p.id + nullSeen
	}
	return p.id
}

// has reports whether a version is before the position.
func (p position) has(v backend.Version) bool {
	switch {
	case v.Key != p.key:
		return v.Key < p.key
	case p.id == "" && !p.null:
		return true
	case v.VersionID == backend.NullVersion:
		return p.null
	}
	return p.id != "" && v.VersionID >= p.id
}

// after moves the position behind a version.
func (p position) after(v backend.Version) position {
	if v.Key != p.key {
		p = position{key: v.Key}
	}
	if v.VersionID == backend.NullVersion {
		p.null = true
	} else {
		p.id = v.VersionID
	}
	return p
}

// listWholeKeys is ListVersions for VersityGW. Each page begins with all versions of the key
// that the page before ended with: only of one with more than a thousand does that cost more.
func (s *Store) listWholeKeys(ctx context.Context, c call, in backend.ListVersionsInput) (backend.VersionPage, error) {
	const most = 1000
	limit := min(int(cmp.Or(in.MaxKeys, most)), most)
	begin := positionOf(in)
	at, ask := begin, in
	ask.MaxKeys = most
	ask.KeyMarker, ask.VersionMarker = strings.TrimSuffix(begin.key, "/"), "" // where the walk passes "dir/" it is at "dir"
	var versions []backend.Version
	prefixes := make(map[string]bool)
	for found := false; ; {
		page, err := s.listVersions(ctx, c, ask)
		if err != nil {
			return backend.VersionPage{}, err
		}
		if !found && ask.KeyMarker != "" && !mentions(page, ask.KeyMarker) && mayHide(begin.key) {
			ask.KeyMarker = ask.KeyMarker[:max(strings.LastIndexByte(ask.KeyMarker, '/'), 0)]
			continue
		}
		found = true
		all := inOneOrder(page.Versions)
		for i := range all {
			dateByID(&all[i])
		}
		for _, v := range all {
			if !at.has(v) {
				versions, at = append(versions, v), at.after(v)
			}
		}
		for _, p := range page.Prefixes {
			if p > begin.key {
				prefixes[p] = true
			}
		}
		if !page.More || len(versions)+len(prefixes) >= limit {
			mark := func(v backend.Version) string {
				begin = begin.after(v)
				return begin.marker()
			}
			return onePage(versions, slices.Sorted(maps.Keys(prefixes)), limit, page.More, mark), nil
		}
		version := ""
		if page.NextVersion != "" {
			version = oldest(all, page.NextKey)
		}
		if page.NextKey == ask.KeyMarker && version == ask.VersionMarker {
			return backend.VersionPage{}, &backend.Error{Kind: backend.KindOther, Op: c.op, Bucket: in.Bucket,
				Message: "the store says that there is more, but not where"}
		}
		ask.KeyMarker, ask.VersionMarker = page.NextKey, version
	}
}

// mayHide reports whether a walk that begins at a key that is not there any more could leave out
// an object "dir/": it is passed as "dir", which is before "dir.txt", though it comes after it.
// Then the walk has to begin at a directory that both are in.
func mayHide(key string) bool {
	for i := 1; i < len(key); i++ {
		if key[i] < '/' && key[i-1] != '/' {
			return true
		}
	}
	return false
}

// mentions reports whether a page has a key, or something in the directory of that name.
func mentions(page backend.VersionPage, key string) bool {
	return slices.ContainsFunc(page.Versions, func(v backend.Version) bool { return v.Key == key || strings.HasPrefix(v.Key, key+"/") }) ||
		slices.ContainsFunc(page.Prefixes, func(p string) bool { return strings.HasPrefix(p, key+"/") })
}

// dateByID gives a version the time in its id. VersityGW 1.8.0 makes a copy of a version when it is
// replaced, and then lists the time of the copy: what was stored on Monday and replaced on Friday
// is of Friday. A delete marker has the time of what it hides. "null" has no time in its id, so it
// keeps the wrong one.
func dateByID(v *backend.Version) {
	const stamp, whole = 10, 26 // characters of a ULID: the first are milliseconds since 1970
	if len(v.VersionID) != whole {
		return
	}
	var ms int64
	for _, c := range []byte(v.VersionID[:stamp]) {
		digit := strings.IndexByte("0123456789ABCDEFGHJKMNPQRSTVWXYZ", c)
		if digit < 0 {
			return
		}
		ms = ms<<5 | int64(digit)
	}
	if t := time.UnixMilli(ms).UTC(); v.DeleteMarker || !v.Latest || t.Truncate(time.Second).Equal(v.LastModified) {
		v.LastModified = t
	}
}

// oldest returns the last id of a key in a page that can be gone on from.
func oldest(page []backend.Version, key string) string {
	for _, v := range slices.Backward(page) {
		if v.Key == key && v.VersionID != backend.NullVersion {
			return v.VersionID
		}
	}
	return ""
}

// inOneOrder merges versions and delete markers, each of which are in order.
func inOneOrder(all []backend.Version) []backend.Version {
	var versions, markers []backend.Version
	for _, v := range all {
		if v.DeleteMarker {
			markers = append(markers, v)
		} else {
			versions = append(versions, v)
		}
	}
	merged := make([]backend.Version, 0, len(all))
	for len(versions) > 0 && len(markers) > 0 {
		if before(markers[0], versions[0]) {
			merged, markers = append(merged, markers[0]), markers[1:]
		} else {
			merged, versions = append(merged, versions[0]), versions[1:]
		}
	}
	return append(append(merged, versions...), markers...)
}

// before reports whether a is listed before b: of one key, the newer version. The times of
// versions are whole seconds; within one, "null" is taken for the older, as most are.
func before(a, b backend.Version) bool {
	switch {
	case a.Key != b.Key:
		return a.Key < b.Key
	case a.Latest || b.Latest:
		return a.Latest
	case a.VersionID != backend.NullVersion && b.VersionID != backend.NullVersion:
		return a.VersionID > b.VersionID
	}
	x, y := a.LastModified.Truncate(time.Second), b.LastModified.Truncate(time.Second)
	if x.Equal(y) {
		return b.VersionID == backend.NullVersion
	}
	return x.After(y)
}

// onePage makes a page of what was found, versions and prefixes in one order. mark is the marker
// of the place behind a version.
func onePage(versions []backend.Version, prefixes []string, limit int, more bool, mark func(backend.Version) string) backend.VersionPage {
	var page backend.VersionPage
	for len(versions)+len(prefixes) > 0 {
		if len(page.Versions)+len(page.Prefixes) == limit {
			more = true
			break
		}
		if len(versions) > 0 && (len(prefixes) == 0 || versions[0].Key < prefixes[0]) {
			page.NextKey, page.NextVersion = versions[0].Key, mark(versions[0])
			page.Versions, versions = append(page.Versions, versions[0]), versions[1:]
		} else {
			page.NextKey, page.NextVersion = prefixes[0], ""
			page.Prefixes, prefixes = append(page.Prefixes, prefixes[0]), prefixes[1:]
		}
	}
	if page.More = more; !more {
		page.NextKey, page.NextVersion = "", ""
	}
	return page
}
