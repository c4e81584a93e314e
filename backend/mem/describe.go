package mem

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"net/url"
	"strings"

	"github.com/objmount/objmount/backend"
)

// endpoint is the address that URLs of this store name; nothing answers there.
const endpoint = "https://mem.invalid"

// Describe implements backend.Describer. Where checksums are on, an object has all that S3
// knows and the standard library computes, of the whole object.
func (s *Store) Describe(ctx context.Context, id backend.ObjectID, versionID string) (backend.Description, error) {
	c := call{"GetObjectAttributes", id.Bucket, id.Key}
	v, obj, err := s.open(ctx, c, backend.GetOptions{VersionID: versionID})
	if err != nil {
		return backend.Description{}, err
	}
	d := backend.Description{Parts: v.parts, PartSize: v.partSize}
	if obj.CRC64NVME == "" {
		return d, nil
	}
	hashes := map[string]hash.Hash{
		"crc32": crc32.NewIEEE(), "crc32c": crc32.New(crc32.MakeTable(crc32.Castagnoli)),
		"sha1": sha1.New(), "sha256": sha256.New(),
	}
	err = v.content.each(ctx, func(p []byte) {
		for _, h := range hashes {
			h.Write(p)
		}
	})
	if err != nil {
		return backend.Description{}, c.cancel(err)
	}
	d.ChecksumType, d.Checksums = "FULL_OBJECT", map[string]string{"crc64nvme": obj.CRC64NVME}
	for name, h := range hashes {
		d.Checksums[name] = base64.StdEncoding.EncodeToString(h.Sum(nil))
	}
	return d, nil
}

// Owner implements backend.Describer: Settings.Owner.
func (s *Store) Owner(ctx context.Context, id backend.ObjectID, versionID string) (string, error) {
	c := call{"GetObjectAcl", id.Bucket, id.Key}
	if _, _, err := s.open(ctx, c, backend.GetOptions{VersionID: versionID}); err != nil {
		return "", err
	}
	owner := s.config().Owner
	if owner == "" {
		return "", c.unsupported("owners")
	}
	return owner, nil
}

// ObjectURL implements backend.Presigner: in path style. The object need not be there.
func (s *Store) ObjectURL(ctx context.Context, id backend.ObjectID) (*url.URL, error) {
	c := call{"ObjectURL", id.Bucket, id.Key}
	if err := c.canceled(ctx); err != nil {
		return nil, err
	}
	if id.Key == "" {
		return nil, c.noEmptyKey()
	}
	components := strings.Split(id.Key, "/")
	for i, name := range components {
		components[i] = url.PathEscape(name)
	}
	address, err := url.Parse(endpoint + "/" + id.Bucket + "/" + strings.Join(components, "/"))
	if err != nil {
		return nil, c.invalid("InvalidURI", err.Error())
	}
	return address, nil
}
