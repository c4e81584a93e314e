package fs

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/objmount/objmount/backend"
)

// precise is a store whose listings have milliseconds, as those of MinIO and VersityGW; a HEAD has seconds.
type precise struct{ backend.Store }

const precisely = 345 * time.Millisecond

func (s precise) List(ctx context.Context, in backend.ListInput) (backend.Page, error) {
	page, err := s.Store.List(ctx, in)
	for i := range page.Objects {
		page.Objects[i].LastModified = page.Objects[i].LastModified.Add(precisely)
	}
	return page, err
}

func (s precise) ListVersions(ctx context.Context, in backend.ListVersionsInput) (backend.VersionPage, error) {
	page, err := s.Store.ListVersions(ctx, in)
	for i := range page.Versions {
		page.Versions[i].LastModified = page.Versions[i].LastModified.Add(precisely)
	}
	return page, err
}

func preciseMount(t *testing.T) *versioned {
	return newVersioned(t, testOptions{posix: PosixOff, wrap: func(s backend.Store) backend.Store { return precise{s} }})
}

// The date has all digits that the listing gave, of a file and of its versions, by itself and in the document.
func TestLastModifiedIsExact(t *testing.T) {
	t.Parallel()
	m := preciseMount(t)
	m.put("f", "one")
	m.put("f", "two")
	names := m.names(".versions/f")
	for path, want := range map[string]string{
		"f":                       "2023-11-14T22:13:22.345Z",
		".versions/f/" + names[0]: "2023-11-14T22:13:21.345Z",
		".versions/f/" + names[1]: "2023-11-14T22:13:22.345Z",
	} {
		if got := getXattr(t, m.path(path), "user.s3.last-modified"); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
		if document := getXattr(t, m.path(path), "user.s3"); !strings.Contains(document, want) {
			t.Errorf("%s: %s", path, document)
		}
	}
}

// A date of another second is of something else: what the store says now counts.
func TestDateOfAnotherSecond(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for listed, want := range map[time.Time]time.Time{
		noon.Add(999 * time.Millisecond): noon.Add(999 * time.Millisecond),
		noon.Add(time.Second):            noon,
		noon.Add(-time.Millisecond):      noon,
		{}:                               noon,
	} {
		n := &node{body: &body{current: &version{modified: listed}}}
		o := backend.Object{LastModified: noon}
		if n.datePrecisely(&o); !o.LastModified.Equal(want) {
			t.Errorf("listed %v: %v, want %v", listed, o.LastModified, want)
		}
	}
}

// A delete marker has a version and a date, and a document with them; they cost nothing after the listing.
func TestXattrsOfDeleteMarker(t *testing.T) {
	t.Parallel()
	m := preciseMount(t)
	m.put("d/g", "keeps the directory")
	m.put("d/f", "content")
	m.remove("d/f")
	names, marker := m.names("d/.versions/f"), m.versionsOf("d/f")[0]
	path := m.path(filepath.Join("d/.versions/f", names[len(names)-1]))
	if _, err := os.Stat(path); err != nil || !marker.DeleteMarker {
		t.Fatalf("%v, marker %v", err, marker.DeleteMarker)
	}
	m.requests(func() {
		if got := getXattr(t, path, "user.s3.version-id"); got != marker.VersionID {
			t.Errorf("version %q, want %q", got, marker.VersionID)
		}
		if got := getXattr(t, path, "user.s3.last-modified"); got != "2023-11-14T22:13:23.345Z" {
			t.Errorf("date %q", got)
		}
		var document map[string]any
		check(t, json.Unmarshal([]byte(getXattr(t, path, "user.s3")), &document))
		if document["delete_marker"] != true || document["version_id"] != marker.VersionID || document["key"] != "d/f" || document["size"] != nil {
			t.Errorf("%v", document)
		}
		for _, name := range []string{"etag", "storage-class", "content-type", "upload-state", "tag.x", "annotation.x", "owner", "versions", "url", "public-url", "retention", "legal-hold", "restore", "encryption"} {
			if got, err := tryXattr(path, "user.s3."+name); !errors.Is(err, unix.ENODATA) {
				t.Errorf("%s: %q %v", name, got, err)
			}
		}
		if listed := xattrsOf(t, path); len(listed) != 0 {
			t.Errorf("listed: %v", listed)
		}
	}, map[string]int{})
}
