package ctl

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/access"
	"github.com/objmount/objmount/backend/documents"
)

// ExplainRequest asks who may do what with a bucket.
type ExplainRequest struct {
	Target
	Text string `json:"text,omitempty"` // a policy, as if the bucket had it; empty: its own
}

// PolicyExplanation is who may do what with a bucket, in words.
type PolicyExplanation struct{ access.Explanation }

// ignoredByVendor are elements of policies that a store takes, while nothing comes of their statements. (VersityGW 1.5, tried: with a
// statement of NotAction, of NotPrincipal, everybody is let in no further and kept out no more. MinIO refuses them.)
var ignoredByVendor = map[string][]string{"versitygw": {"NotAction", "NotPrincipal"}}

// accessOf reads what decides about access to a bucket. text is a policy instead of its own. What may not be read, but the policy, is
// told by a note.
func (c *call) accessOf(ctx context.Context, bucket, text string) (access.Input, error) {
	in := access.Input{Bucket: ownName(bucket), Policy: []byte(text)}
	unknown := 0
	if text == "" {
		policy, err := c.Store.GetBucketDoc(ctx, bucket, backend.PolicyDoc)
		switch {
		case err == nil:
			in.Policy = policy
		case backend.IsKind(err, backend.KindUnsupported):
			unknown++
		case !backend.IsKind(err, backend.KindNotExist):
			return in, err
		}
	}
	block, err := c.Store.GetBucketDoc(ctx, bucket, backend.PublicAccessDoc)
	if err == nil {
		err = json.Unmarshal(block, &in.Block)
	}
	if err = c.noteUnread(err, "the public access block"); err != nil {
		return in, err
	}
	acl, err := c.Store.ACL(ctx, backend.ObjectID{Bucket: bucket}, "")
	if err == nil {
		in.ACL = &acl
	} else if backend.IsKind(err, backend.KindUnsupported) {
		unknown++
	}
	if err = c.noteUnread(err, "the ACL"); err != nil {
		return in, err
	}
	if unknown == 2 {
		return in, &Error{Kind: KindUnsupported, Message: fmt.Sprintf("the store %s is not known to have policies or ACLs of buckets", c.Endpoint)}
	}
	if caps, err := c.Capabilities(ctx, bucket); err == nil {
		in.Ignores = ignoredByVendor[caps.Vendor]
	}
	return in, nil
}

// noteUnread lets pass that there is none, and says what these credentials may not read.
func (c *call) noteUnread(err error, what string) error {
	switch {
	case backend.IsKind(err, backend.KindPermission):
		return c.note("these credentials may not read " + what + " of the bucket: it is taken for none")
	case err != nil && untold(err):
		return nil
	}
	return err
}

// explained is who may do what with a bucket now.
func (c *call) explained(ctx context.Context, bucket, text string) (access.Explanation, error) {
	in, err := c.accessOf(ctx, bucket, text)
	if err != nil {
		return access.Explanation{}, err
	}
	e, err := access.Explain(in)
	if err != nil {
		return e, &Error{Kind: KindFailed, Message: err.Error()}
	}
	return e, nil
}

func explainPolicy(ctx context.Context, c *call, bucket string, r ExplainRequest) error {
	if err := c.Store.HeadBucket(ctx, bucket); err != nil {
		return err
	}
	text := r.Text
	if text != "" {
		parsed, err := documents.Parse(backend.PolicyDoc, []byte(text))
		if err != nil {
			return &Error{Kind: KindInvalid, Message: fmt.Sprintf("the policy document cannot be right: %v", err)}
		}
		text = string(parsed)
	}
	e, err := c.explained(ctx, bucket, text)
	if err != nil {
		return err
	}
	return c.item(PolicyExplanation{e})
}
