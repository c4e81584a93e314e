package s3

import (
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
)

// TestVersionsAreOfTheTimeInTheirIDs: the ids are VersityGW's own, and what it listed for them.
func TestVersionsAreOfTheTimeInTheirIDs(t *testing.T) {
	stored := time.Date(2026, 11, 21, 19, 2, 9, 582e6, time.UTC)
	replaced := time.Date(2026, 11, 21, 19, 2, 12, 0, time.UTC)
	const id = "01M7ZQSHKEK39Q9Q37K7MYBD6B"
	for name, c := range map[string]struct {
		id           string
		latest       bool
		listed, want time.Time
	}{
		"replaced":             {id, false, replaced, stored},
		"current":              {id, true, stored.Truncate(time.Second), stored},
		"current, touched":     {id, true, replaced, replaced},
		"an id of the future":  {id, false, stored.Add(-time.Hour), stored.Add(-time.Hour)},
		"without versions":     {backend.NullVersion, false, replaced, replaced},
		"no ULID":              {"01M7ZQSHKE", false, replaced, replaced},
		"letters of no number": {"01m7zqshkek39q9q37k7mybd6b", false, replaced, replaced},
	} {
		v := backend.Version{Latest: c.latest, Object: backend.Object{VersionID: c.id, LastModified: c.listed}}
		if dateByID(&v); !v.LastModified.Equal(c.want) {
			t.Errorf("%s: %v, want %v", name, v.LastModified, c.want)
		}
	}
}
