package past

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/objmount/objmount/backend"
)

const (
	defaultKeys = 1000 // entries of a page, when nobody says how many
	// fewPrefixes on a page of which at least half lies below them: asking with the delimiter
	// takes fewer requests.
	fewPrefixes = 8
)

// List implements backend.Lister. It goes through as many pages of versions as it takes to find
// an entry, so a page may have fewer than MaxKeys, but only the last has none.
func (s *Store) List(ctx context.Context, in backend.ListInput) (backend.Page, error) {
	if err := s.Keeps(ctx, in.Bucket, in.Prefix); err != nil {
		return backend.Page{}, err
	}
	sc, err := s.begin(in)
	if sc == nil {
		return backend.Page{}, err
	}
	for size := int32(max(firstPage, min(2*sc.limit, largestPage))); ; size = nextPage(size) {
		more, err := sc.step(ctx, size)
		if err != nil {
			return backend.Page{}, err
		}
		if !more {
			return sc.page, nil
		}
		if sc.count() > 0 {
			sc.page.Next, err = sc.position.token()
			return sc.page, err
		}
	}
}

// position is where a listing goes on.
type position struct {
	// After is the last name, a key or a common prefix, of which is known whether it existed.
	After string `json:"a,omitempty"`
	// Absent is judge.absent: older versions of that key may follow.
	Absent string `json:"d,omitempty"`
	// Key and Version are the markers of the next request; without them it begins behind After.
	Key     string `json:"k,omitempty"`
	Version string `json:"v,omitempty"`
	Wide    bool   `json:"w,omitempty"` // the store is asked with the delimiter
}

func (p position) token() (string, error) {
	text, err := json.Marshal(p)
	return base64.RawURLEncoding.EncodeToString(text), err
}

// scan is one call of List.
type scan struct {
	store *Store
	in    backend.ListInput
	limit int
	judge
	position position
	page     backend.Page
}

// begin checks the question; nil: there is nothing to list.
func (s *Store) begin(in backend.ListInput) (*scan, error) {
	invalid := func(message string) error {
		return &backend.Error{Kind: backend.KindInvalid, Op: "ListObjectsV2", Bucket: in.Bucket, Key: in.Prefix, Message: message}
	}
	sc := &scan{store: s, in: in, limit: int(in.MaxKeys), judge: judge{at: s.at}}
	switch {
	case in.MaxKeys < 0:
		return nil, invalid("the number of keys is negative")
	case in.MaxKeys == 0 || in.MaxKeys > defaultKeys:
		sc.limit = defaultKeys
	}
	if in.Token == "" {
		switch {
		case in.StartAfter < in.Prefix: // all keys come after it
		case !strings.HasPrefix(in.StartAfter, in.Prefix):
			return nil, nil // MinIO refuses a marker outside of the prefix
		default:
			sc.position.After = sc.name(in.StartAfter)
		}
		return sc, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(in.Token)
	if err == nil {
		err = json.Unmarshal(text, &sc.position)
	}
	if err != nil {
		return nil, invalid("the token is not of a page of this listing")
	}
	sc.absent = sc.position.Absent
	return sc, nil
}

func (sc *scan) count() int { return len(sc.page.Objects) + len(sc.page.Prefixes) }

// name is what the listing shows of a key: itself, or the common prefix that it lies below.
func (sc *scan) name(key string) string {
	if sc.in.Delimiter != "" && len(key) > len(sc.in.Prefix) {
		if i := strings.Index(key[len(sc.in.Prefix):], sc.in.Delimiter); i >= 0 {
			return key[:len(sc.in.Prefix)+i+len(sc.in.Delimiter)]
		}
	}
	return key
}

// folded reports whether a name is a common prefix.
func (sc *scan) folded(name string) bool {
	return sc.in.Delimiter != "" && len(name) > len(sc.in.Prefix) && strings.HasSuffix(name, sc.in.Delimiter)
}

// step asks for one page of versions. More reports whether there is anything behind position.
func (sc *scan) step(ctx context.Context, size int32) (more bool, err error) {
	in := backend.ListVersionsInput{
		Bucket: sc.in.Bucket, Prefix: sc.in.Prefix, KeyMarker: sc.position.Key, VersionMarker: sc.position.Version, MaxKeys: size,
	}
	if in.KeyMarker == "" {
		if in.KeyMarker = sc.position.After; sc.folded(in.KeyMarker) {
			in.KeyMarker += maxRune
		}
	}
	if sc.position.Wide {
		in.Delimiter = sc.in.Delimiter
	}
	page, err := sc.store.page(ctx, in)
	if err != nil {
		return false, err
	}
	full := false
	if sc.position.Wide {
		full, err = sc.wide(ctx, page)
	} else {
		full = sc.flat(page.Versions)
	}
	sc.position.Absent = sc.absent
	if err != nil || full {
		return full, err
	}
	if !page.More {
		return false, nil
	}
	sc.position.Key, sc.position.Version = page.NextKey, page.NextVersion
	if !sc.position.Wide {
		sc.turn(page)
	}
	return true, nil
}

// turn chooses where the next page begins and how it is asked for, after one without delimiter.
func (sc *scan) turn(page backend.VersionPage) {
	inside, prefixes, last := 0, 0, ""
	for i := range page.Versions {
		name := sc.name(page.Versions[i].Key)
		if sc.folded(name) {
			if inside++; name != last {
				prefixes++
			}
		}
		last = name
	}
	if sc.folded(last) && last != sc.position.After {
		return // it is not known yet whether it existed
	}
	sc.position.Wide = prefixes > 0 && prefixes <= fewPrefixes && 2*inside >= len(page.Versions)
	if sc.folded(last) || sc.position.Wide {
		sc.position.Key, sc.position.Version = "", ""
	}
}

// flat takes up the versions of a page. It returns true when the page of the caller is full.
func (sc *scan) flat(versions []backend.Version) (full bool) {
	last := ""
	for i := range versions {
		v := &versions[i]
		name := sc.name(v.Key)
		if name != last {
			sc.position.After = max(sc.position.After, last) // all of it was seen
			last = name
		}
		if name > sc.position.After && sc.current(v) && !sc.show(name, v) {
			return true
		}
	}
	return false
}

// wide takes up a page with delimiter: its versions and its prefixes, in their common order.
func (sc *scan) wide(ctx context.Context, page backend.VersionPage) (full bool, err error) {
	prefixes := page.Prefixes
	for len(prefixes) > 0 && prefixes[0] <= sc.position.After {
		prefixes = prefixes[1:]
	}
	prefixes = prefixes[:min(len(prefixes), sc.limit-sc.count())]
	existed, err := sc.store.existed(ctx, sc.in.Bucket, sc.in.Prefix, prefixes)
	if err != nil {
		return false, err
	}
	versions := page.Versions
	for i, prefix := range prefixes {
		before := 0
		for before < len(versions) && versions[before].Key < prefix {
			before++
		}
		if sc.flat(versions[:before]) {
			return true, nil
		}
		versions = versions[before:]
		if existed[i] && !sc.show(prefix, nil) {
			return true, nil
		}
		sc.position.After = prefix
	}
	if n := len(page.Prefixes); n > 0 && page.Prefixes[n-1] > sc.position.After {
		sc.position = position{After: sc.position.After, Wide: true} // more of them than were asked for
		return true, nil
	}
	return sc.flat(versions), nil
}

// show adds an entry, unless the page is full: then the next one begins with it.
func (sc *scan) show(name string, v *backend.Version) bool {
	if sc.count() == sc.limit {
		sc.position = position{After: sc.position.After, Wide: sc.position.Wide}
		return false
	}
	sc.position.After = name
	if sc.folded(name) {
		sc.page.Prefixes = append(sc.page.Prefixes, name)
		return true
	}
	o := v.Object
	o.VersionID, o.TagCount = "", -1
	sc.page.Objects = append(sc.page.Objects, o)
	sc.store.memory.put(o.ID(), noteOf(v))
	return true
}
