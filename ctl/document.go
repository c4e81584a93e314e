package ctl

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/documents"
)

// DocumentRequest names a document of a bucket: policy, lifecycle, notification, encryption, replication, lock, cors or public-access.
type DocumentRequest struct {
	Target
	Document string `json:"document"`
}

// SetDocumentRequest has a document for a bucket: JSON as the AWS CLI takes it, or XML of S3.
type SetDocumentRequest struct {
	Target
	Document string `json:"document"`
	Text     string `json:"text"`
	// Instead is what it replaces, as document/get gave it: another one now is a conflict. Nil: whatever is there.
	Instead *string `json:"instead,omitempty"`
}

// Document is a document of a bucket, in JSON.
type Document struct {
	Bucket   string `json:"bucket"`
	Document string `json:"document"`
	Text     string `json:"text"` // empty: there is none
}

// DocumentDiff is what differs between a document of a bucket and another, in the form of diff -u.
type DocumentDiff struct {
	Bucket   string `json:"bucket"`
	Document string `json:"document"`
	Text     string `json:"text"` // empty: nothing
}

// AnonymousRequest says what everybody may do, by way of the policy.
type AnonymousRequest struct {
	Target
	Access string `json:"access"`           // read, read-write or none
	Prefix string `json:"prefix,omitempty"` // of keys; empty: all
}

// documentVerb is bucketVerb for what is about a document; the bucket is there.
func documentVerb[R request](changing bool, nameOf func(R) string, do func(ctx context.Context, d *document, r R) error) verb {
	return bucketVerb(changing, func(ctx context.Context, c *call, bucket string, r R) error {
		kind, ok := backend.BucketDocNamed(nameOf(r))
		if !ok {
			var names []string
			for _, d := range backend.EachBucketDoc() {
				names = append(names, d.String())
			}
			return &Error{Kind: KindInvalid, Message: fmt.Sprintf("there is no document %q; there are %s", nameOf(r), strings.Join(names, ", "))}
		}
		if err := c.Store.HeadBucket(ctx, bucket); err != nil { // its answer also tells what kind of store it is
			return err
		}
		return do(ctx, &document{c, bucket, kind}, r)
	})
}

// document is one that a verb works on.
type document struct {
	*call
	bucket string
	kind   backend.BucketDoc
}

// now returns the document, "" when there is none.
func (d *document) now(ctx context.Context) (string, error) {
	text, err := d.Store.GetBucketDoc(ctx, d.bucket, d.kind)
	if backend.IsKind(err, backend.KindNotExist) {
		return "", nil
	}
	return string(text), d.lacking(err)
}

// lacking says what a store does not have.
func (d *document) lacking(err error) error {
	if backend.IsKind(err, backend.KindUnsupported) {
		return &Error{Kind: KindUnsupported, Message: fmt.Sprintf("the store %s is not known to have the %s document of buckets", d.Endpoint, d.kind)}
	}
	return err
}

func (d *document) show(text string) error {
	return d.item(Document{d.bucket, d.kind.String(), text})
}

// parse checks a document.
func (d *document) parse(text string) (string, error) {
	if len(text) > maxDocument {
		return "", &Error{Kind: KindInvalid, Message: fmt.Sprintf("the %s document has %d bytes; it may have at most %d MiB", d.kind, len(text), maxDocument>>20)}
	}
	parsed, err := documents.Parse(d.kind, []byte(text))
	if err != nil {
		return "", &Error{Kind: KindInvalid, Message: fmt.Sprintf("the %s document cannot be right: %v", d.kind, err)}
	}
	return string(parsed), nil
}

func getDocument(ctx context.Context, d *document, _ DocumentRequest) error {
	text, err := d.now(ctx)
	if err == nil && text == "" {
		err = &Error{Kind: KindNotFound, Message: fmt.Sprintf("the bucket %s has no %s document", d.bucket, d.kind)}
	}
	if err != nil {
		return err
	}
	return d.show(text)
}

func setDocument(ctx context.Context, d *document, r SetDocumentRequest) error {
	text, err := d.parse(r.Text)
	if err != nil {
		return err
	}
	if r.Instead != nil {
		switch now, err := d.now(ctx); {
		case err != nil:
			return err
		case now != *r.Instead:
			return &Error{Kind: KindConflict, Message: fmt.Sprintf("the %s document was changed by somebody else meanwhile", d.kind)}
		}
	}
	if r.DryRun {
		return d.show(text)
	}
	return d.store(ctx, text)
}

// store sets the document and shows what the bucket has then.
func (d *document) store(ctx context.Context, text string) error {
	if err := d.Store.PutBucketDoc(ctx, d.bucket, d.kind, []byte(text)); err != nil {
		return d.lacking(err)
	}
	d.Tree.Changed(d.bucket, "")
	return d.show(text)
}

// deleteDocument answers with the empty document; a dry run with nothing where there is none.
func deleteDocument(ctx context.Context, d *document, r DocumentRequest) error {
	if r.DryRun {
		now, err := d.now(ctx)
		if err != nil || now == "" {
			return err
		}
		return d.show("")
	}
	if err := d.Store.DeleteBucketDoc(ctx, d.bucket, d.kind); err != nil {
		return d.lacking(err)
	}
	d.Tree.Changed(d.bucket, "")
	return d.show("")
}

func diffDocument(ctx context.Context, d *document, r SetDocumentRequest) error {
	text, err := d.parse(r.Text)
	if err != nil {
		return err
	}
	now, err := d.now(ctx)
	if err != nil {
		return err
	}
	out := DocumentDiff{Bucket: d.bucket, Document: d.kind.String()}
	old, given := documents.Comparable(d.kind, []byte(now)), documents.Comparable(d.kind, []byte(text))
	if !bytes.Equal(old, given) {
		out.Text = unifiedDiff("s3://"+d.bucket+" "+d.kind.String(), "given", old, given)
	}
	return d.item(out)
}

// policyStatement is one that objmount writes.
type policyStatement struct {
	Sid       string                         `json:"Sid"`
	Effect    string                         `json:"Effect"`
	Principal map[string][]string            `json:"Principal"`
	Action    []string                       `json:"Action"`
	Resource  []string                       `json:"Resource"`
	Condition map[string]map[string][]string `json:"Condition,omitempty"`
}

// anonymousStatements let everybody list and read, or also write, what begins with a prefix. Their ids tell which
// statements are to be replaced later.
func anonymousStatements(bucket, prefix string, write bool) []policyStatement {
	objects, list := anonymousIDs(prefix)
	everybody, arn := map[string][]string{"AWS": {"*"}}, "arn:aws:s3:::"+ownName(bucket)
	on := policyStatement{Sid: objects, Effect: "Allow", Principal: everybody, Action: []string{"s3:GetObject"}, Resource: []string{arn + "/" + prefix + "*"}}
	of := policyStatement{Sid: list, Effect: "Allow", Principal: everybody, Action: []string{"s3:ListBucket"}, Resource: []string{arn}}
	if prefix != "" {
		of.Condition = map[string]map[string][]string{"StringLike": {"s3:prefix": {prefix + "*"}}}
	}
	if write {
		on.Action = append(on.Action, "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
	}
	return []policyStatement{on, of}
}

// anonymousIDs are made of letters and digits only, as Amazon wants them.
func anonymousIDs(prefix string) (objects, list string) {
	of := hex.EncodeToString([]byte(prefix))
	return "objmountAnonymousObjects" + of, "objmountAnonymousList" + of
}

// setAnonymous replaces the statements for everybody below a prefix. Others of the policy stay.
func setAnonymous(ctx context.Context, d *document, r AnonymousRequest) error {
	if r.Access != "read" && r.Access != "read-write" && r.Access != "none" {
		return &Error{Kind: KindInvalid, Message: "access must be read, read-write or none"}
	}
	if strings.ContainsAny(r.Prefix, "*?$") {
		return &Error{Kind: KindInvalid, Message: "*, ? and $ in a prefix have another meaning in a policy"}
	}
	objects, list := anonymousIDs(r.Prefix)
	var add []policyStatement
	if r.Access != "none" {
		add = anonymousStatements(d.bucket, r.Prefix, r.Access == "read-write")
	}
	return replaceStatements(ctx, d, r.Target, []string{objects, list}, add)
}

// replaceStatements removes the statements with some ids from the policy, and adds others. What else it has stays. A policy without
// statements is removed.
func replaceStatements(ctx context.Context, d *document, t Target, ids []string, add []policyStatement) error {
	now, err := d.now(ctx)
	if err != nil {
		return err
	}
	policy := struct {
		Version   string            `json:"Version"`
		ID        string            `json:"Id,omitempty"`
		Statement []json.RawMessage `json:"Statement"`
	}{Version: "2012-10-17"}
	if now != "" {
		parsed, err := d.parse(now) // so that there is a list of statements
		if err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(parsed), &policy); err != nil {
			return err
		}
	}
	policy.Statement = slices.DeleteFunc(policy.Statement, func(text json.RawMessage) bool {
		var s struct{ Sid string }
		return json.Unmarshal(text, &s) == nil && slices.Contains(ids, s.Sid)
	})
	for _, s := range add {
		text, err := json.Marshal(s)
		if err != nil {
			return err
		}
		policy.Statement = append(policy.Statement, text)
	}
	if len(policy.Statement) == 0 {
		if t.DryRun || now == "" {
			return nil
		}
		return deleteDocument(ctx, d, DocumentRequest{Target: t})
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(policy); err != nil {
		return err
	}
	return setDocument(ctx, d, SetDocumentRequest{Target: t, Text: text.String()})
}

var (
	nameOfDocument = func(r DocumentRequest) string { return r.Document }
	nameOfSet      = func(r SetDocumentRequest) string { return r.Document }
	nameOfPolicy   = func(AnonymousRequest) string { return backend.PolicyDoc.String() }
)
