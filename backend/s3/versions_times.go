package s3

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/objmount/objmount/backend"
)

// Ceph's listing of versions goes on from a key with that key again. From a version that is gone
// it goes on with the next key, so that who removes each page before the next would leave half.
// So a marker here has the time of its version too: what is newer was before it.

// timeMark is between a version's id and its time, in nanoseconds, in a marker.
const timeMark = "@"

func markTime(v backend.Version) string {
	return v.VersionID + timeMark + strconv.FormatInt(v.LastModified.UnixNano(), 10)
}

// moment is a place in a listing of versions.
type moment struct {
	key, id string // id empty: behind all of the key
	time    int64
	passed  bool // the version was met
}

// momentOf reads a marker; false when it is only an id, from which the store goes on itself.
func momentOf(in backend.ListVersionsInput) (moment, bool) {
	id, text, timed := strings.Cut(in.VersionMarker, timeMark)
	at, err := strconv.ParseInt(text, 10, 64)
	return moment{key: in.KeyMarker, id: id, time: at}, in.VersionMarker == "" || timed && err == nil
}

// behind returns the versions of a page that are behind the moment.
func (m *moment) behind(page []backend.Version) []backend.Version {
	met := slices.IndexFunc(page, func(v backend.Version) bool { return v.Key == m.key && v.VersionID == m.id })
	if met >= 0 {
		m.passed = true
		return page[met+1:]
	}
	return slices.DeleteFunc(page, func(v backend.Version) bool {
		return v.Key < m.key || v.Key == m.key && (m.id == "" || !m.passed && v.LastModified.UnixNano() > m.time)
	})
}

// listByTime is ListVersions for Ceph.
func (s *Store) listByTime(ctx context.Context, c call, in backend.ListVersionsInput) (backend.VersionPage, error) {
	const most = 1000
	limit := min(int(cmp.Or(in.MaxKeys, most)), most)
	at, own := momentOf(in)
	ask := in
	if own {
		ask.VersionMarker = ""
	}
	if in.KeyMarker != "" {
		ask.MaxKeys = most // some of it was in the page before
	}
	var versions []backend.Version
	prefixes := make(map[string]bool)
	for {
		page, err := s.listVersions(ctx, c, ask)
		if err != nil {
			return backend.VersionPage{}, err
		}
		if own {
			page.Versions = at.behind(page.Versions)
		}
		versions = append(versions, page.Versions...)
		for _, p := range page.Prefixes {
			if p > in.KeyMarker {
				prefixes[p] = true
			}
		}
		if !page.More || len(versions)+len(prefixes) >= limit {
			return onePage(versions, slices.Sorted(maps.Keys(prefixes)), limit, page.More, markTime), nil
		}
		if page.NextKey == ask.KeyMarker && page.NextVersion == ask.VersionMarker {
			return backend.VersionPage{}, &backend.Error{Kind: backend.KindOther, Op: c.op, Bucket: in.Bucket,
				Message: "the store says that there is more, but not where"}
		}
		ask.KeyMarker, ask.VersionMarker = page.NextKey, page.NextVersion
	}
}
