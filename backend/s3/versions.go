package s3

import (
	"cmp"
	"context"
	"encoding/xml"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/objmount/objmount/backend"
)

// versionListing is the answer to ListObjectVersions. Versions and delete markers are elements
// of two kinds in one order, which the SDK does not keep.
type versionListing struct {
	XMLName             xml.Name        `xml:"ListVersionsResult"`
	EncodingType        string          `xml:"EncodingType"`
	IsTruncated         string          `xml:"IsTruncated"`
	NextKeyMarker       string          `xml:"NextKeyMarker"`
	NextVersionIDMarker string          `xml:"NextVersionIdMarker"`
	CommonPrefixes      []listedName    `xml:"CommonPrefixes"`
	Others              []listedVersion `xml:",any"`
}

type listedVersion struct {
	XMLName      xml.Name
	Key          string `xml:"Key"`
	VersionID    string `xml:"VersionId"`
	IsLatest     string `xml:"IsLatest"`
	ETag         string `xml:"ETag"`
	Size         string `xml:"Size"`
	LastModified string `xml:"LastModified"`
	StorageClass string `xml:"StorageClass"`
	OwnerID      string `xml:"Owner>ID"`
	OwnerName    string `xml:"Owner>DisplayName"`
}

// ListVersions implements backend.Versioner.
func (s *Store) ListVersions(ctx context.Context, in backend.ListVersionsInput) (backend.VersionPage, error) {
	known := s.vendor.Load()
	c, err := about(known.listing, call{op: "ListObjectVersions", bucket: in.Bucket, repeat: repeatHarmless})
	if err != nil {
		return backend.VersionPage{}, err
	}
	if known.wholeKeys {
		return s.listWholeKeys(ctx, c, in)
	}
	if known.emptyPages && in.MaxKeys == 1 {
		in.MaxKeys = 2
		page, err := s.listVersions(ctx, c, in)
		return firstOf(page), err
	}
	if known.beginsAt {
		return s.listByTime(ctx, c, in)
	}
	page, err := s.listVersions(ctx, c, in)
	if err == nil && page.More && page.NextKey == in.KeyMarker && page.NextVersion == in.VersionMarker {
		return backend.VersionPage{}, &backend.Error{Kind: backend.KindOther, Op: c.op, Bucket: in.Bucket,
			Message: "the store says that there is more, but not where"}
	}
	return page, err
}

// firstOf cuts a page to one entry.
func firstOf(page backend.VersionPage) backend.VersionPage {
	switch {
	case len(page.Versions)+len(page.Prefixes) < 2:
		return page
	case len(page.Prefixes) == 0 || len(page.Versions) > 0 && page.Versions[0].Key < page.Prefixes[0]:
		v := page.Versions[0]
		return backend.VersionPage{Versions: page.Versions[:1], More: true, NextKey: v.Key, NextVersion: v.VersionID}
	}
	return backend.VersionPage{Prefixes: page.Prefixes[:1], More: true, NextKey: page.Prefixes[0]}
}

// listVersions asks for one page as it is.
func (s *Store) listVersions(ctx context.Context, c call, in backend.ListVersionsInput) (backend.VersionPage, error) {
	known := s.vendor.Load()
	var page backend.VersionPage
	c.read = func(resp *http.Response) error {
		text, err := readText(resp)
		if err != nil {
			return err
		}
		said, err := parseVersions(text)
		if err != nil {
			return err
		}
		page, err = said.page(in.Bucket, known.beginsAt)
		return err
	}
	resp, err := s.direct(ctx, c, http.MethodGet, versionsQuery(in), make(http.Header, 8))
	if err != nil {
		return backend.VersionPage{}, err
	}
	_ = resp.Body.Close() // it was read
	return page, nil
}

func versionsQuery(in backend.ListVersionsInput) string {
	query := "versions=&encoding-type=url"
	add := func(name, value string) {
		if value != "" {
			query += "&" + name + "=" + escape(value)
		}
	}
	add("prefix", in.Prefix)
	add("delimiter", in.Delimiter)
	add("key-marker", in.KeyMarker)
	if in.KeyMarker != "" {
		add("version-id-marker", in.VersionMarker)
	}
	if in.MaxKeys > 0 {
		add("max-keys", strconv.Itoa(int(in.MaxKeys)))
	}
	return query
}

func (l *versionListing) page(bucket string, plainMarkers bool) (backend.VersionPage, error) {
	name := nameDecoder(types.EncodingType(l.EncodingType))
	page := backend.VersionPage{More: l.IsTruncated == "true"}
	for i := range l.Others {
		if kind := l.Others[i].XMLName.Local; kind != "Version" && kind != "DeleteMarker" {
			continue
		}
		v, err := l.Others[i].version(bucket, name)
		if err != nil {
			return page, err
		}
		page.Versions = append(page.Versions, v)
	}
	for _, p := range l.CommonPrefixes {
		prefix, err := name(p.Prefix)
		if err != nil {
			return page, err
		}
		page.Prefixes = append(page.Prefixes, prefix)
	}
	if !page.More {
		return page, nil
	}
	page.NextKey, page.NextVersion = l.NextKeyMarker, l.NextVersionIDMarker
	if plainMarkers {
		return page, nil
	}
	var err error
	page.NextKey, err = name(l.NextKeyMarker)
	return page, err
}

func (v *listedVersion) version(bucket string, name func(string) (string, error)) (backend.Version, error) {
	out := backend.Version{
		Latest: v.IsLatest == "true", DeleteMarker: v.XMLName.Local == "DeleteMarker", Owner: v.OwnerName,
		Object: backend.Object{Bucket: bucket, VersionID: v.VersionID, TagCount: -1},
	}
	if out.Owner == "" {
		out.Owner = v.OwnerID
	}
	if out.VersionID == "" {
		out.VersionID = backend.NullVersion
	}
	var err error
	if out.Key, err = name(v.Key); err != nil {
		return out, err
	}
	if v.LastModified != "" {
		if out.LastModified, err = time.Parse(time.RFC3339, v.LastModified); err != nil {
			return out, err
		}
	}
	if out.DeleteMarker {
		return out, nil
	}
	out.ETag, out.StorageClass = unquote(v.ETag), storageClass(v.StorageClass)
	if v.Size != "" {
		out.Size, err = strconv.ParseInt(v.Size, 10, 64)
	}
	return out, err
}

// DeleteVersions implements backend.Versioner. Keys that XML cannot carry are removed one by one.
func (s *Store) DeleteVersions(ctx context.Context, bucket string, ids []backend.VersionID, bypassGovernance bool) ([]backend.DeleteResult, error) {
	known := s.vendor.Load()
	c, err := about(known.listing && (known.objectLock || !bypassGovernance), call{
		op: "DeleteObjects", bucket: bucket, write: true, repeat: repeatHarmless, patience: s.patience(int64(len(ids)), 20),
	})
	if err != nil {
		return nil, err
	}
	if known.md5 {
		c.options = append(c.options, contentMD5)
	}
	results := make([]backend.DeleteResult, len(ids))
	failed := make(map[backend.VersionID]error)
	var together []types.ObjectIdentifier
	for i, id := range ids {
		results[i].Key = id.Key
		switch {
		case id.Key == "" || id.VersionID == "":
			return nil, &backend.Error{Kind: backend.KindInvalid, Op: c.op, Bucket: bucket, Key: id.Key, Message: "a version needs a key and an id"}
		case s.ignoresID(ctx, bucket, id.VersionID):
		case xmlSafe(id.Key) && xmlSafe(id.VersionID):
			together = append(together, types.ObjectIdentifier{Key: &ids[i].Key, VersionId: &ids[i].VersionID})
		default:
			failed[id] = s.Delete(ctx, backend.DeleteInput{Bucket: bucket, Key: id.Key, VersionID: id.VersionID, BypassGovernance: bypassGovernance})
		}
	}
	in := &awss3.DeleteObjectsInput{Bucket: &bucket, BypassGovernanceRetention: yes(bypassGovernance)}
	for batch := range slices.Chunk(together, max(cmp.Or(known.deleteBatch, len(together)), 1)) {
		in.Delete = &types.Delete{Quiet: aws.Bool(true), Objects: batch}
		out, err := send(ctx, s, c, s.client.DeleteObjects, in)
		if err != nil {
			return nil, err
		}
		for _, e := range out.Errors {
			id := backend.VersionID{Key: aws.ToString(e.Key), VersionID: aws.ToString(e.VersionId)}
			one := decodeItem(call{op: c.op, bucket: bucket, key: id.Key, write: true}, aws.ToString(e.Code), aws.ToString(e.Message))
			switch {
			case one.Kind == backend.KindPermission && known.deniesAll:
				failed[id] = s.Delete(ctx, backend.DeleteInput{Bucket: bucket, Key: id.Key, VersionID: id.VersionID, BypassGovernance: bypassGovernance})
			case one.Kind != backend.KindNotExist:
				failed[id] = one
			}
		}
	}
	for i, id := range ids {
		results[i].Err = failed[id]
	}
	return results, nil
}

// idFor is the id that a store knows a version by. In a bucket that never kept versions
// VersityGW has none for what S3 calls "null".
func (s *Store) idFor(ctx context.Context, bucket, version string) string {
	if version == backend.NullVersion && s.vendor.Load().noNullIDs && s.neverVersioned(ctx, bucket) {
		return ""
	}
	return version
}

// ignoresID reports whether a store would take a removal of a version for one of the object:
// VersityGW does in buckets that never kept versions, where there is no other than "null".
func (s *Store) ignoresID(ctx context.Context, bucket, version string) bool {
	return version != "" && version != backend.NullVersion && s.vendor.Load().noNullIDs && s.neverVersioned(ctx, bucket)
}

// neverVersioned reports whether a bucket never kept versions. It asks, unless it is known that
// it does.
func (s *Store) neverVersioned(ctx context.Context, bucket string) bool {
	if known, _ := s.versions.Load(bucket); known == true {
		return false
	}
	status, err := s.BucketVersioning(ctx, bucket)
	return err == nil && status == ""
}
