package s3

import (
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
)

// TestVersionsAreOfTheTimeInTheirIDs: the ids are VersityGW's own, and what it listed for them.
func TestVersionsAreOfTheTimeInTheirIDs(t *testing.T) {
	stored := time.Date(2026, 11, 21, 19, 2, 9, 774e6, time.UTC)
	replaced := time.Date(2026, 11, 21, 19, 2, 12, 0, time.UTC)
	const id = "01M7ZQSHKEK39Q9Q37K7MYBD6B"
	for name, c := range map[string]struct {
		id             string
		latest, marker bool
		listed, want   time.Time
	}{
		"replaced":             {id, false, false, replaced, stored},
		"current":              {id, true, false, stored.Truncate(time.Second), stored},
		"current, touched":     {id, true, false, replaced, replaced},
		"a delete marker":      {id, true, true, stored.Add(-time.Hour), stored},
		"without versions":     {backend.NullVersion, false, false, replaced, replaced},
		"no ULID":              {"01M7ZQSHKE", false, false, replaced, replaced},
		"letters of no number": {"01m7zqshkek39q9q37k7mybd6b", false, false, replaced, replaced},
	} {
		v := backend.Version{Latest: c.latest, DeleteMarker: c.marker, Object: backend.Object{VersionID: c.id, LastModified: c.listed}}
		if dateByID(&v); !v.LastModified.Equal(c.want) {
			t.Errorf("%s: %v, want %v", name, v.LastModified, c.want)
		}
	}
}
