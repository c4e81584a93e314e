package ctl

import (
	"context"
	"fmt"
	"maps"
	"reflect"

	"github.com/objmount/objmount/backend"
)

// withDefaults completes the properties of an object that is made with what the configuration gives below its prefix: own wins,
// tags and metadata key by key. What the store or the bucket cannot keep is refused, before anything is stored.
func (c *call) withDefaults(ctx context.Context, p Place, own backend.Properties) (backend.Properties, error) {
	if c.Defaults == nil {
		return own, nil
	}
	given := c.Defaults(p.id())
	if reflect.DeepEqual(given, backend.Properties{}) {
		return own, nil
	}
	all := own.Clone()
	headers, of := reflect.ValueOf(&all.Headers).Elem(), reflect.ValueOf(given.Headers)
	for i := range headers.NumField() {
		if headers.Field(i).String() == "" {
			headers.Field(i).Set(of.Field(i))
		}
	}
	all.Metadata, all.Tags = under(given.Metadata, all.Metadata), under(given.Tags, all.Tags)
	if all.StorageClass == "" {
		all.StorageClass = given.StorageClass
	}
	if all.Encryption == (backend.Encryption{}) {
		all.Encryption = given.Encryption
	}
	if all.Lock.Retention.Mode == backend.NoRetention {
		all.Lock.Retention = given.Lock.Retention
	}
	all.Lock.LegalHold = all.Lock.LegalHold || given.Lock.LegalHold
	return all, c.canHave(ctx, p, own, all)
}

// copyDefaults is withDefaults for a copy. It brings all that its source has, but the encryption, which belongs to the place,
// unless it is chosen.
func (c *call) copyDefaults(ctx context.Context, to Place, own backend.Properties, chosen bool) (backend.Properties, error) {
	if c.Defaults != nil && !chosen && c.Defaults(to.id()).Encryption != (backend.Encryption{}) {
		own.Encryption = backend.Encryption{}
	}
	return c.withDefaults(ctx, to, own)
}

// under lays own over given.
func under(given, own map[string]string) map[string]string {
	if len(given) == 0 {
		return own
	}
	all := maps.Clone(given)
	maps.Copy(all, own)
	return all
}

// canHave refuses what the configuration has added and an object here cannot have.
func (c *call) canHave(ctx context.Context, p Place, own, all backend.Properties) error {
	caps, err := c.Capabilities(ctx, p.Bucket)
	if err != nil {
		return err
	}
	what := ""
	switch {
	case len(all.Tags) > maxObjectTags:
		return &Error{Kind: KindInvalid, Message: fmt.Sprintf("with the tags that the configuration gives below %s that would be %d; S3 keeps %d", p, len(all.Tags), maxObjectTags)}
	case len(all.Tags) > len(own.Tags) && !caps.Tagging:
		what = "tags"
	case all.StorageClass != own.StorageClass && !caps.Classes:
		what = "a storage class"
	case all.Encryption != own.Encryption && !caps.Classes:
		what = "an encryption of its own"
	case all.Lock != own.Lock:
		err := c.lockable(ctx, p)
		if KindOf(err) == KindUnsupported {
			return &Error{Kind: KindUnsupported, Message: fmt.Sprintf("the configuration locks new objects like %s, and the bucket has no object lock", p)}
		}
		return err
	}
	if what != "" {
		return &Error{Kind: KindUnsupported, Message: fmt.Sprintf("the configuration gives %s to new objects like %s, which the store %s does not have", what, p, c.Endpoint)}
	}
	return nil
}
