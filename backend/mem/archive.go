package mem

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/objmount/objmount/backend"
)

// restoration is a readable copy of an archived object, ready at a time and gone at another.
type restoration struct{ ready, gone time.Time }

func (r restoration) ongoing(now time.Time) bool  { return now.Before(r.ready) }
func (r restoration) readable(now time.Time) bool { return !r.ongoing(now) && now.Before(r.gone) }

// header returns x-amz-restore.
func (r restoration) header(now time.Time) string {
	switch {
	case r.ongoing(now):
		return `ongoing-request="true"`
	case r.readable(now):
		return fmt.Sprintf(`ongoing-request="false", expiry-date="%s"`, r.gone.Format(http.TimeFormat))
	}
	return ""
}

func archived(v *version, cfg Settings) bool {
	class := v.properties.StorageClass
	return cfg.Archive && (class == "GLACIER" || class == "DEEP_ARCHIVE")
}

// checkArchived decides whether the bytes of v can be read at a time.
func (c call) checkArchived(v *version, cfg Settings, now time.Time) error {
	if !archived(v, cfg) || v.restored.readable(now) {
		return nil
	}
	return c.error(backend.KindArchived, http.StatusForbidden, "InvalidObjectState", "The operation is not valid for the object's storage class")
}

// Restore implements backend.Restorer. The copy goes at a midnight, as S3's does.
func (s *Store) Restore(ctx context.Context, id backend.ObjectID, versionID string, days int, tier string) error {
	c := call{"RestoreObject", id.Bucket, id.Key}
	return s.change(ctx, c, versionID, func(_ *bucket, v *version) error {
		now := s.nowLocked()
		switch {
		case days < 1 || tier != "" && tier != "Standard" && tier != "Bulk" && tier != "Expedited":
			return c.invalid("MalformedXML", "bad days or tier")
		case !archived(v, s.settings):
			return c.error(backend.KindInvalid, http.StatusForbidden, "InvalidObjectState", "Restore is not allowed for the object's current storage class")
		case v.restored.ongoing(now):
			return nil
		case !v.restored.readable(now):
			v.restored.ready = now.Add(s.settings.RestoreTime)
		}
		v.restored.gone = v.restored.ready.AddDate(0, 0, days+1).Truncate(24 * time.Hour)
		if v.restored.readable(now) {
			v.restored.gone = now.AddDate(0, 0, days+1).Truncate(24 * time.Hour)
		}
		return nil
	})
}
