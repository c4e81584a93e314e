package ctl

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/access"
)

// way is how a bucket is opened to everybody.
type way uint8

const (
	byPolicy way = iota
	byACL
)

// inTheWay names the parts of a public access block that leave what is opened without effect, or refuse it, and returns the block
// without them.
func (w way) inTheWay(b access.Block) (parts []string, left access.Block) {
	left = b
	off := func(name string, part *bool) {
		if *part {
			parts = append(parts, name)
		}
		*part = false
	}
	if w == byPolicy {
		off("BlockPublicPolicy", &left.BlockPublicPolicy)
		off("RestrictPublicBuckets", &left.RestrictPublicBuckets)
	} else {
		off("BlockPublicAcls", &left.BlockPublicAcls)
		off("IgnorePublicAcls", &left.IgnorePublicAcls)
	}
	return parts, left
}

// unblock looks for what of the public access block is in the way. Only if it may does it lift that.
func (c *call) unblock(ctx context.Context, bucket string, w way, may, dry bool) error {
	text, err := c.Store.GetBucketDoc(ctx, bucket, backend.PublicAccessDoc)
	if err != nil {
		if untold(err) { // whether it is in the way, the next request will tell
			return nil
		}
		return err
	}
	var block access.Block
	if err := json.Unmarshal(text, &block); err != nil {
		return err
	}
	parts, left := w.inTheWay(block)
	if len(parts) == 0 {
		return nil
	}
	if !may {
		return &Error{Kind: KindConflict, Message: fmt.Sprintf("the public access block of the bucket %s keeps everybody out (%s); --unblock lifts that part of it", bucket, strings.Join(parts, ", "))}
	}
	text, err = json.Marshal(left)
	if err != nil || dry {
		return err
	}
	return c.Store.PutBucketDoc(ctx, bucket, backend.PublicAccessDoc, text)
}

// silently is a call whose items nobody gets, because what it does is a part of something else.
func (c *call) silently() *call {
	return &call{Verbs: c.Verbs, each: func(Line) error { return nil }, last: time.Now()}
}

// publicID is the id of the statement that lets everybody read a place. It has letters and digits only, as Amazon wants.
func publicID(p Place) string {
	of := hex.EncodeToString([]byte(p.Key))
	if p.Kind == Directory {
		return "objmountPublic" + of
	}
	return "objmountPublicFile" + of // "i" is no digit
}

// publish lets everybody read a file, or all below a directory or in a bucket, by a statement of the policy; or takes that statement
// away. Other statements stay, and what they say is told where it is against it.
func (c *call) publish(ctx context.Context, p Place, open, unblock, dry bool) error {
	if strings.ContainsAny(p.Key, "*?$") {
		return &Error{Kind: KindInvalid, Message: fmt.Sprintf("%s: *, ? and $ have another meaning in a policy", p)}
	}
	d := &document{c.silently(), p.Bucket, backend.PolicyDoc}
	var add []policyStatement
	if open {
		resource := "arn:aws:s3:::" + ownName(p.Bucket) + "/" + p.Key
		if p.Kind == Directory {
			resource += "*"
		}
		add = []policyStatement{{Sid: publicID(p), Effect: "Allow", Principal: map[string][]string{"AWS": {"*"}}, Action: []string{"s3:GetObject"}, Resource: []string{resource}}}
		if _, err := d.now(ctx); err != nil { // a store without policies is told before anything is changed
			return err
		}
		if err := c.unblock(ctx, p.Bucket, byPolicy, unblock, dry); err != nil {
			return err
		}
	}
	if err := replaceStatements(ctx, d, Target{DryRun: dry}, []string{publicID(p)}, add); err != nil {
		return err
	}
	if dry {
		return nil
	}
	e, err := c.explained(ctx, p.Bucket, "")
	if err != nil {
		return c.noteUnread(err, "the policy")
	}
	extent := e.Readable(p.Key, p.Kind == Directory)
	switch all := strings.Join(e.Summary, " "); {
	case open && extent == access.Nothing:
		return c.note("everybody still cannot read it: " + all)
	case open && extent == access.Some:
		return c.note("everybody can read a part of it only: " + all)
	case !open && extent != access.Nothing:
		return c.note("everybody can still read it, or a part of it: " + all)
	}
	return nil
}

// canPublish refuses a store that has no policies, before anything is made.
func (c *call) canPublish(ctx context.Context, bucket string) error {
	_, err := c.Store.GetBucketDoc(ctx, bucket, backend.PolicyDoc)
	if backend.IsKind(err, backend.KindUnsupported) {
		return &Error{Kind: KindUnsupported, Message: fmt.Sprintf("the store %s is not known to have policies of buckets, so none can be public; nothing was changed", c.Endpoint)}
	}
	return nil // what else is wrong the request itself will meet
}

// canHaveACL is the same for ACLs. A new bucket is private anyway.
func (c *call) canHaveACL(ctx context.Context, bucket, acl string) error {
	if acl == "" {
		return nil
	}
	if err := checkACL(acl); err != nil || acl == "private" {
		return err
	}
	id := backend.ObjectID{Bucket: bucket}
	if _, err := c.Store.ACL(ctx, id, ""); backend.IsKind(err, backend.KindUnsupported) {
		return c.withoutACLs(id, err)
	}
	return nil
}

// stepsOfAccess are what makes a new bucket one that others may read.
func (c *call) stepsOfAccess(bucket string, r CreateBucketRequest) (steps []bucketStep) {
	if r.ACL != "" && r.ACL != "private" {
		steps = append(steps, bucketStep{"acl", func(ctx context.Context) error {
			return c.giveACL(ctx, backend.ObjectID{Bucket: bucket}, SetACLRequest{ACL: r.ACL, Allow: true, Unblock: r.Unblock})
		}})
	}
	if r.Public {
		steps = append(steps, bucketStep{"public", func(ctx context.Context) error {
			return c.publish(ctx, Place{bucket, "", Directory}, true, r.Unblock, false)
		}})
	}
	return steps
}

// askPublic tells whether everybody can do anything, and what. Who has a certain address, or comes from a certain network, is not everybody.
func (d *BucketDetails) askPublic(ctx context.Context, c *call) error {
	e, err := c.silently().explained(ctx, d.Name, "")
	if err == nil {
		public := e.Public()
		d.Public = &public
		for _, a := range e.Everybody {
			if public {
				d.PublicBy = append(d.PublicBy, a.By+": "+a.Text)
			}
		}
		return nil
	}
	public, err := c.Store.BucketPublic(ctx, d.Name) // the store's verdict, where the policy may not be read
	if err == nil {
		d.Public = &public
	}
	return err
}
