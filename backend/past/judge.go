package past

import (
	"context"
	"time"

	"github.com/objmount/objmount/backend"
)

// judge goes through the versions of keys in the order of a listing and finds those that were
// the current ones at a time.
type judge struct {
	at     time.Time
	absent string // the key that a delete marker had removed: its older versions do not count
}

// current reports whether v shows that its key existed: the first version of a key for which it
// is true is the one. After that the answer for older ones of the same key means nothing.
func (j *judge) current(v *backend.Version) bool {
	switch {
	case v.LastModified.After(j.at), v.Key == j.absent:
		return false
	case v.DeleteMarker:
		j.absent = v.Key
		return false
	}
	return true
}

func isNull(version string) bool { return version == "" || version == backend.NullVersion }

// Pages of ListVersions: the first is small where few entries should do. One of a single entry
// is never asked for: VersityGW 1.8.0 answers the same entry again and again then.
const (
	firstPage   = 8
	largestPage = 1000
)

func nextPage(size int32) int32 { return min(size*8, largestPage) }

// maxRune sorts after every other text in a key.
const maxRune = "\U0010ffff"

// page asks for one page of versions. A store that does not get on is an error.
func (s *Store) page(ctx context.Context, in backend.ListVersionsInput) (backend.VersionPage, error) {
	page, err := s.store.ListVersions(ctx, in)
	if err == nil && page.More && (page.NextKey == "" || page.NextKey == in.KeyMarker && page.NextVersion == in.VersionMarker) {
		err = &backend.Error{
			Kind: backend.KindOther, Op: "ListObjectVersions", Bucket: in.Bucket, Key: in.Prefix,
			Message: "the store repeats the same page of a listing",
		}
	}
	return page, err
}

// each hands on the versions below a prefix in the order of the listing, until f returns false.
func (s *Store) each(ctx context.Context, bucket, prefix string, f func(*backend.Version) bool) error {
	in := backend.ListVersionsInput{Bucket: bucket, Prefix: prefix, MaxKeys: firstPage}
	for {
		page, err := s.page(ctx, in)
		if err != nil {
			return err
		}
		for i := range page.Versions {
			if !f(&page.Versions[i]) {
				return nil
			}
		}
		if !page.More {
			return nil
		}
		in.KeyMarker, in.VersionMarker, in.MaxKeys = page.NextKey, page.NextVersion, nextPage(in.MaxKeys)
	}
}
