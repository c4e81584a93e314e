package s3

import (
	"cmp"
	"context"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/objmount/objmount/backend"
)

// Describe implements backend.Describer. A HEAD tells as much as GetObjectAttributes, which
// needs a permission of its own, and for which most other stores send the object: all
// checksums, and of what was uploaded in parts another one the size of the first.
func (s *Store) Describe(ctx context.Context, id backend.ObjectID, version string) (backend.Description, error) {
	opt := backend.GetOptions{VersionID: version}
	told, err := s.head(ctx, id, opt, "")
	if err != nil {
		return backend.Description{}, err
	}
	d := backend.Description{Checksums: make(map[string]string), ChecksumType: told.header.Get("X-Amz-Checksum-Type")}
	for name, values := range told.header {
		algorithm, ok := strings.CutPrefix(name, "X-Amz-Checksum-")
		switch {
		case !ok || len(values) == 0 || values[0] == "":
		case algorithm != "Type" && algorithm != "Mode" && algorithm != "Algorithm":
			d.Checksums[strings.ToLower(algorithm)] = values[0]
		}
	}
	etag := unquote(told.header.Get("Etag"))
	_, parts, _ := strings.Cut(etag, "-")
	if d.Parts, _ = strconv.Atoi(parts); d.Parts == 0 || !s.vendor.Load().partHeads {
		return d, nil
	}
	// This may be refused for itself, or be of another object meanwhile: then the size stays unknown.
	part, err := s.head(ctx, id, opt, "partNumber=1")
	switch {
	case backend.IsKind(err, backend.KindCanceled):
		return backend.Description{}, err
	case err == nil && part.part && unquote(part.header.Get("Etag")) == etag:
		d.PartSize = part.length
	}
	return d, nil
}

// Owner implements backend.Describer. Where an object's ACL does not tell its owner, or not to
// these credentials, a listing of its key may.
func (s *Store) Owner(ctx context.Context, id backend.ObjectID, version string) (string, error) {
	c := call{op: "GetObjectAcl", bucket: id.Bucket, key: id.Key, repeat: repeatHarmless, deleted: true}
	if err := named(c.op, id.Bucket, id.Key); err != nil {
		return "", err
	}
	if s.vendor.Load().acls {
		out, err := send(ctx, s, c, s.client.GetObjectAcl, &awss3.GetObjectAclInput{Bucket: &id.Bucket, Key: &id.Key, VersionId: some(version)})
		switch {
		case err == nil && out.Owner != nil:
			if name := ownerName(out.Owner); name != "" {
				return name, nil
			}
		case err != nil && !backend.IsKind(err, backend.KindPermission) && !backend.IsKind(err, backend.KindUnsupported):
			return "", err
		}
	}
	if version != "" {
		return s.versionOwner(ctx, id, version)
	}
	return s.listedOwner(ctx, id)
}

func ownerName(o *types.Owner) string {
	if o == nil {
		return ""
	}
	return cmp.Or(aws.ToString(o.DisplayName), aws.ToString(o.ID))
}

// listedOwner asks a listing, in which an object is the first below its own key.
func (s *Store) listedOwner(ctx context.Context, id backend.ObjectID) (string, error) {
	c := call{op: "ListObjectsV2", bucket: id.Bucket, repeat: repeatHarmless}
	out, err := send(ctx, s, c, s.client.ListObjectsV2, &awss3.ListObjectsV2Input{
		Bucket: &id.Bucket, Prefix: &id.Key, MaxKeys: aws.Int32(1), FetchOwner: yes(true), EncodingType: types.EncodingTypeUrl,
	})
	if err != nil {
		return "", err
	}
	for _, o := range out.Contents {
		if key, err := nameDecoder(out.EncodingType)(aws.ToString(o.Key)); err == nil && key == id.Key {
			return someOwner(c.op, id, ownerName(o.Owner))
		}
	}
	return "", &backend.Error{Kind: backend.KindNotExist, Op: c.op, Bucket: id.Bucket, Key: id.Key}
}

// versionOwner looks for a version among those of its key. VersityGW tells owners only in
// listings of objects; there all are the bucket's.
func (s *Store) versionOwner(ctx context.Context, id backend.ObjectID, version string) (string, error) {
	const op = "ListObjectVersions"
	in := backend.ListVersionsInput{Bucket: id.Bucket, Prefix: id.Key}
	for {
		page, err := s.ListVersions(ctx, in)
		if err != nil {
			return "", err
		}
		for _, v := range page.Versions {
			switch {
			case v.Key == id.Key && v.VersionID == version && !v.DeleteMarker && v.Owner != "":
				return v.Owner, nil
			case v.Key == id.Key && v.VersionID == version && !v.DeleteMarker:
				name, err := s.listedOwner(ctx, id)
				if backend.IsKind(err, backend.KindNotExist) {
					return someOwner(op, id, "")
				}
				return name, err
			}
		}
		if !page.More || page.NextKey > id.Key && !strings.HasPrefix(page.NextKey, id.Key) {
			return "", &backend.Error{Kind: backend.KindNotExist, Op: op, Bucket: id.Bucket, Key: id.Key}
		}
		in.KeyMarker, in.VersionMarker = page.NextKey, page.NextVersion
	}
}

func someOwner(op string, id backend.ObjectID, name string) (string, error) {
	if name == "" {
		return "", &backend.Error{Kind: backend.KindUnsupported, Op: op, Bucket: id.Bucket, Key: id.Key, Message: "the store tells no owner"}
	}
	return name, nil
}
