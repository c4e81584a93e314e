package ctl

import (
	"context"
	"fmt"
	"time"

	"github.com/objmount/objmount/backend"
)

// PurgeRequest removes versions for good. Exactly one of VersionID, ReplacedBefore, Keep and Markers
// says which.
type PurgeRequest struct {
	Target
	VersionID string `json:"version_id,omitempty"` // this one, of a file
	// ReplacedBefore: those that another version, or a delete marker, replaced before this time. So
	// everything since then can still be restored.
	ReplacedBefore *time.Time `json:"replaced_before,omitempty"`
	Keep           *int       `json:"keep,omitempty"`      // all but so many of the newest, of each file; 0: everything
	Markers        bool       `json:"markers,omitempty"`   // delete markers that hide nothing
	Recursive      bool       `json:"recursive,omitempty"` // everything below a directory
	Bypass         bool       `json:"bypass_governance,omitempty"`
}

// Check refuses what does not say which versions; what needs the store for an answer is not looked at.
func (r PurgeRequest) Check() error {
	rules := 0
	for _, given := range []bool{r.VersionID != "", r.ReplacedBefore != nil, r.Keep != nil, r.Markers} {
		if given {
			rules++
		}
	}
	switch {
	case rules != 1:
		return &Error{Kind: KindInvalid, Message: "say which versions: give one of --version-id, --older-than, --all-but and --markers"}
	case r.Keep != nil && *r.Keep < 0:
		return &Error{Kind: KindInvalid, Message: "--all-but takes a number from 0"}
	}
	return nil
}

func (r PurgeRequest) check(p Place) error {
	if err := r.Check(); err != nil {
		return err
	}
	if r.VersionID != "" && p.Kind == Directory {
		return &Error{Kind: KindInvalid, Message: p.String() + " is a directory; a version is one of a file"}
	}
	return p.tree(r.Recursive)
}

// doomed returns which of a key's versions, the newest first, are to go.
func (r PurgeRequest) doomed(versions []backend.Version) []backend.Version {
	switch {
	case r.VersionID != "":
		for i := range versions {
			if versions[i].VersionID == r.VersionID {
				return versions[i : i+1]
			}
		}
		return nil
	case r.ReplacedBefore != nil:
		return replacedBefore(versions, *r.ReplacedBefore)
	case r.Markers:
		return hidingNothing(versions)
	}
	return versions[keepNewest(versions, *r.Keep):]
}

// replacedBefore returns the versions whose successor is older than a time; and a delete marker on top that
// then hides nothing, if it is older itself.
func replacedBefore(versions []backend.Version, when time.Time) []backend.Version {
	from := len(versions)
	for i := len(versions) - 1; i > 0 && versions[i-1].LastModified.Before(when); i-- {
		from = i
	}
	if from == 1 && versions[0].DeleteMarker && versions[0].LastModified.Before(when) {
		from = 0
	}
	if len(versions) == 1 && versions[0].DeleteMarker && versions[0].LastModified.Before(when) {
		from = 0
	}
	return versions[from:]
}

// hidingNothing returns the delete markers that are not on top of a version.
func hidingNothing(versions []backend.Version) []backend.Version {
	var out []backend.Version
	top, below := onTop(versions)
	for i := range versions {
		if versions[i].DeleteMarker && (i >= len(top) || below == nil) {
			out = append(out, versions[i])
		}
	}
	return out
}

// keepNewest returns how many entries from the top must stay so that n versions do.
func keepNewest(versions []backend.Version, n int) int {
	for i := range versions {
		if n == 0 {
			return i
		}
		if !versions[i].DeleteMarker {
			n--
		}
	}
	if n == 0 {
		return len(versions)
	}
	if _, below := onTop(versions); below == nil {
		return 0 // nothing but markers
	}
	return len(versions)
}

func purge(ctx context.Context, c *call, p Place, r PurgeRequest) error {
	if err := r.check(p); err != nil {
		return err
	}
	b := &deleting{call: c, bucket: p.Bucket, bypass: r.Bypass, dry: r.DryRun, tally: &tally{call: c, sum: Summary{DryRun: r.DryRun}}}
	found := false
	err := c.eachKey(ctx, p, func(_ string, versions []backend.Version) error {
		for _, v := range r.doomed(versions) {
			found = true
			d := Done{Bucket: v.Bucket, Key: Text(v.Key), Action: "purged", VersionID: v.VersionID, DeleteMarker: v.DeleteMarker, Size: v.Size}
			if err := b.add(ctx, []backend.Version{v}, d); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = b.flush(ctx)
	}
	if err == nil && r.VersionID != "" && !found {
		err = &Error{Kind: KindNotFound, Message: fmt.Sprintf("%s has no version %s; objmount ctl versions list shows those it has", p, r.VersionID)}
	}
	if err != nil {
		return err
	}
	return b.tally.end(false)
}
