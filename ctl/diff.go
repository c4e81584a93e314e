package ctl

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/objmount/objmount/backend"
)

// maxDiffed is the most bytes of a version that are compared line by line.
const maxDiffed = 1 << 20

// Selector names a version of a file, or a time. With both, At is meant where no version has that id.
type Selector struct {
	VersionID string     `json:"version_id,omitempty"`
	At        *time.Time `json:"at,omitempty"`
}

func (s Selector) isZero() bool { return s.VersionID == "" && s.At == nil }

// DiffRequest asks what differs between two versions of a file, or between two times of a directory.
type DiffRequest struct {
	Target
	From Selector `json:"from,omitzero"` // of a file, zero: the version before To; a directory needs At
	To   Selector `json:"to,omitzero"`   // zero: what is current
}

// FileDiff is what differs between two versions of a file. One of them is nil when it did not exist then.
type FileDiff struct {
	From        *Version       `json:"from,omitempty"`
	To          *Version       `json:"to,omitempty"`
	SameContent bool           `json:"same_content"`
	Properties  []PropertyDiff `json:"properties,omitempty"`
	Text        string         `json:"text,omitempty"`        // the lines that differ, as diff -u prints them
	WhyNoText   string         `json:"why_no_text,omitempty"` // the contents differ, but are not shown
}

// PropertyDiff is one property that differs. Empty: there is none.
type PropertyDiff struct {
	Name string `json:"name"` // "size", "content-type", "meta.KEY", "tag.KEY", ...
	From string `json:"from"`
	To   string `json:"to"`
}

// TreeDiff is one key that differs between two times.
type TreeDiff struct {
	Key    Text     `json:"key"`
	Change string   `json:"change"` // "added", "removed", "changed", "properties" (the same content was stored again)
	From   *Version `json:"from,omitempty"`
	To     *Version `json:"to,omitempty"`
}

func diff(ctx context.Context, c *call, p Place, r DiffRequest) error {
	if p.Kind == Directory {
		return diffTree(ctx, c, p, r)
	}
	versions, err := c.versionsOf(ctx, p)
	if err != nil {
		return err
	}
	to, err := r.To.of(p, versions)
	if r.To.isZero() {
		to, err = current(versions), nil
	}
	if err != nil {
		return err
	}
	from, err := r.From.of(p, versions)
	if r.From.isZero() {
		from, err = before(versions, to), nil
	}
	if err != nil {
		return err
	}
	d, err := c.compareVersions(ctx, from, to)
	if err != nil {
		return err
	}
	return c.item(d)
}

// of returns the version meant; nil: the file did not exist then.
func (s Selector) of(p Place, versions []backend.Version) (*backend.Version, error) {
	for i := range versions {
		if s.VersionID != "" && versions[i].VersionID == s.VersionID {
			if versions[i].DeleteMarker {
				return nil, nil
			}
			return &versions[i], nil
		}
	}
	if s.At != nil {
		return at(versions, *s.At), nil
	}
	return nil, &Error{Kind: KindNotFound, Message: fmt.Sprintf("%s has no version %s; objmount ctl versions list shows those it has", p, s.VersionID)}
}

func current(versions []backend.Version) *backend.Version {
	if versions[0].DeleteMarker {
		return nil
	}
	return &versions[0]
}

// before returns the version before another one; for nil, a deleted file, the last one.
func before(versions []backend.Version, than *backend.Version) *backend.Version {
	passed := than == nil
	for i := range versions {
		if passed && !versions[i].DeleteMarker {
			return &versions[i]
		}
		passed = passed || versions[i].VersionID == than.VersionID
	}
	return nil
}

func (c *call) compareVersions(ctx context.Context, from, to *backend.Version) (FileDiff, error) {
	d := FileDiff{From: shownOf(from), To: shownOf(to)}
	old, err := c.propertiesShown(ctx, from)
	if err != nil {
		return d, err
	}
	now, err := c.propertiesShown(ctx, to)
	if err != nil {
		return d, err
	}
	names := maps.Clone(old)
	maps.Copy(names, now)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if old[name] != now[name] {
			d.Properties = append(d.Properties, PropertyDiff{name, old[name], now[name]})
		}
	}
	switch {
	case from == nil && to == nil, from != nil && to != nil && (from.VersionID == to.VersionID || from.ETag == to.ETag && from.Size == to.Size):
		d.SameContent = true
	case from != nil && from.Size > maxDiffed, to != nil && to.Size > maxDiffed:
		d.WhyNoText = "they are too large to compare line by line"
	default:
		err = c.compareContents(ctx, &d, from, to)
	}
	return d, err
}

func shownOf(v *backend.Version) *Version {
	if v == nil {
		return nil
	}
	s := shown(*v)
	return &s
}

func (c *call) compareContents(ctx context.Context, d *FileDiff, from, to *backend.Version) error {
	old, err := c.content(ctx, from)
	if err != nil {
		return err
	}
	now, err := c.content(ctx, to)
	if err != nil {
		return err
	}
	switch {
	case string(old) == string(now): // uploaded in other parts
		d.SameContent = true
	case !isText(old) || !isText(now):
		d.WhyNoText = "they are no text"
	default:
		d.Text = unifiedDiff(title(from), title(to), old, now)
	}
	return nil
}

// title names a version as diff -u names files.
func title(v *backend.Version) string {
	if v == nil {
		return "/dev/null"
	}
	return fmt.Sprintf("%s\t%s %s", strings.NewReplacer("\n", "?", "\t", "?").Replace(v.Key), v.LastModified.UTC().Format(time.RFC3339Nano), v.VersionID)
}

func (c *call) content(ctx context.Context, v *backend.Version) ([]byte, error) {
	if v == nil || v.Size == 0 {
		return nil, nil
	}
	body, err := c.Store.Get(ctx, v.ID(), backend.GetOptions{VersionID: v.VersionID})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(io.LimitReader(body, maxDiffed+1))
}

// propertiesShown are the properties of a version by name.
func (c *call) propertiesShown(ctx context.Context, v *backend.Version) (map[string]string, error) {
	all := map[string]string{}
	if v == nil {
		return all, nil
	}
	obj, props, err := c.properties(ctx, v)
	if err != nil {
		return nil, err
	}
	all["size"] = fmt.Sprint(v.Size)
	for name, value := range map[string]string{
		"content-type": props.Headers.ContentType, "cache-control": props.Headers.CacheControl,
		"content-disposition": props.Headers.ContentDisposition, "content-encoding": props.Headers.ContentEncoding,
		"content-language": props.Headers.ContentLanguage, "expires": props.Headers.Expires,
		"website-redirect": props.Headers.WebsiteRedirect, "storage-class": obj.StorageClass, "encryption": obj.Encryption.Algorithm,
	} {
		if value != "" {
			all[name] = value
		}
	}
	for key, value := range props.Metadata {
		all["meta."+key] = value
	}
	for key, value := range props.Tags {
		all["tag."+key] = value
	}
	return all, nil
}

func diffTree(ctx context.Context, c *call, p Place, r DiffRequest) error {
	if r.From.At == nil || r.To.VersionID != "" && r.To.At == nil {
		return &Error{Kind: KindInvalid, Message: p.String() + " is a directory, which is compared by times; use --from TIME, and --to TIME unless now is meant"}
	}
	return c.eachKey(ctx, p, func(key string, versions []backend.Version) error {
		from, to := at(versions, *r.From.At), current(versions)
		if r.To.At != nil {
			to = at(versions, *r.To.At)
		}
		d := TreeDiff{Key: Text(key), From: shownOf(from), To: shownOf(to)}
		switch {
		case from == nil && to == nil, from != nil && to != nil && from.VersionID == to.VersionID:
			return nil
		case from == nil:
			d.Change = "added"
		case to == nil:
			d.Change = "removed"
		case from.ETag == to.ETag && from.Size == to.Size:
			d.Change = "properties"
		default:
			d.Change = "changed"
		}
		return c.item(d)
	})
}
