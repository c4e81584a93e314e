package ctl

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

func policyOf(t *testing.T, w *world) string {
	t.Helper()
	a := w.run("document/get", DocumentRequest{Document: "policy"})
	if KindOf(a.err) == KindNotFound {
		return ""
	}
	return itemOf[Document](t, a).Text
}

func (w *world) block(t *testing.T, text string) {
	t.Helper()
	if a := w.run("document/set", SetDocumentRequest{Document: "public-access", Text: text}); a.err != nil {
		t.Fatal(a.err)
	}
}

func TestExplainPolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	summary := func(r ExplainRequest, want ...string) {
		t.Helper()
		if e := itemOf[PolicyExplanation](t, w.run("policy/explain", r)); !slices.Equal(e.Summary, want) || e.Bucket != "b" {
			t.Errorf("%q, want %q", e.Summary, want)
		}
	}
	summary(ExplainRequest{}, "Nobody but the owner can do anything.")
	if a := w.run("policy/anonymous", AnonymousRequest{Access: "read", Prefix: "pub/"}); a.err != nil {
		t.Fatal(a.err)
	}
	const readable = "Everybody on the internet can read and list objects below pub/."
	summary(ExplainRequest{}, readable)
	summary(ExplainRequest{Text: `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::b/in/*"}}`},
		"Everybody on the internet can write objects below in/.")
	w.run("policy/explain", ExplainRequest{Text: "{\n\"Statements\": 1}"}).wants(t, KindInvalid, `the policy document cannot be right: line 2: the policy has "Statements"`)
	w.run("policy/explain", ExplainRequest{Target: target("dir")}).wants(t, KindInvalid, "the bucket is s3://b")
	w.block(t, `{"RestrictPublicBuckets": true}`)
	summary(ExplainRequest{}, "Nobody but the owner can do anything.", "The public access block makes void what would let everybody in.")
	if b := itemOf[BucketDetails](t, w.run("bucket/show", BucketRequest{})); b.Public == nil || *b.Public {
		t.Errorf("%+v", b)
	}
	w.block(t, `{"RestrictPublicBuckets": false}`)
	if b := itemOf[BucketDetails](t, w.run("bucket/show", BucketRequest{})); b.Public == nil || !*b.Public || !slices.Equal(b.PublicBy, []string{"policy: " + readable}) {
		t.Errorf("%+v", b)
	}
	w.verbs.Store = withoutPolicy{w.store}
	w.run("policy/explain", ExplainRequest{}).wants(t, KindUnsupported, "is not known to have policies or ACLs of buckets")
	w.run("cdn/enable", PublishRequest{}).wants(t, KindUnsupported, "is not known to have policies of buckets")
	w.run("acl/get", VersionRequest{}).wants(t, KindUnsupported, "is not known to have ACLs of buckets")
	w.run("bucket/create", CreateBucketRequest{Target: target("new"), Public: true}).wants(t, KindInvalid, "the bucket is s3://b")
}

// withoutPolicy is a store without policies, ACLs and public access blocks.
type withoutPolicy struct{ *mem.Store }

func (withoutPolicy) GetBucketDoc(ctx context.Context, bucket string, doc backend.BucketDoc) ([]byte, error) {
	return backend.Unsupported{}.GetBucketDoc(ctx, bucket, doc)
}

func (withoutPolicy) ACL(ctx context.Context, id backend.ObjectID, version string) (backend.ACL, error) {
	return backend.Unsupported{}.ACL(ctx, id, version)
}

func TestACLs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(1, "file", "x")
	w.run("acl/set", SetACLRequest{ACL: "public-read"}).wants(t, KindUnsupported, "the bucket b has no ACLs, as is usual")
	w.run("acl/set", SetACLRequest{ACL: "public"}).wants(t, KindInvalid, `acl is "public"; want one of private, public-read`)
	w.block(t, `{"BlockPublicAcls": true, "IgnorePublicAcls": true, "BlockPublicPolicy": true}`)
	w.run("acl/set", SetACLRequest{ACL: "public-read", Allow: true}).wants(t, KindConflict, "keeps everybody out (BlockPublicAcls, IgnorePublicAcls); --unblock lifts")
	dry := SetACLRequest{Target: Target{DryRun: true}, ACL: "public-read", Allow: true, Unblock: true}
	if got := itemOf[ACL](t, w.run("acl/set", dry)); got.ACL != "public-read" {
		t.Errorf("%+v", got)
	}
	if got := itemOf[ACL](t, w.run("acl/get", VersionRequest{})); got.ACL != "private" || got.Owner == "" || len(got.Grants) != 1 {
		t.Errorf("%+v", got)
	}
	for _, name := range backend.CannedACLs() {
		if got := itemOf[ACL](t, w.run("acl/set", SetACLRequest{ACL: name, Allow: true, Unblock: true})); got.ACL != name || got.Bucket != "b" || got.Key != "" {
			t.Errorf("%+v", got)
		}
		if got := itemOf[ACL](t, w.run("acl/set", SetACLRequest{Target: target("file"), ACL: name})); got.ACL != name || got.Key != "file" {
			t.Errorf("%+v", got)
		}
	}
	if d := itemOf[Document](t, w.run("document/get", DocumentRequest{Document: "public-access"})); strings.Contains(d.Text, `Acls": true`) || !strings.Contains(d.Text, `"BlockPublicPolicy": true`) {
		t.Errorf("the block is\n%s", d.Text)
	}
	w.run("acl/get", VersionRequest{VersionID: "v"}).wants(t, KindInvalid, "a bucket has no versions")
	w.put(1, "dir/f", "x")
	w.run("acl/get", VersionRequest{Target: target("dir")}).wants(t, KindInvalid, "is a directory; name a file, or a bucket")
	w.verbs.ReadOnly = true
	w.run("acl/set", SetACLRequest{ACL: "private"}).wants(t, KindPermission, "read-only")
}

func TestPublicBuckets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(1, "a+b", "x")
	update := func(public, unblock, dry bool) answer {
		return w.run("bucket/update", UpdateBucketRequest{Target: Target{DryRun: dry}, Public: &public, Unblock: unblock})
	}
	const mine = `{"Version": "2012-10-17", "Id": "mine", "Statement": {"Sid": "x", "Effect": "Deny", "Principal": "*", "Action": "s3:DeleteBucket", "Resource": "arn:aws:s3:::b"}}`
	if a := w.run("document/set", SetDocumentRequest{Document: "policy", Text: mine}); a.err != nil {
		t.Fatal(a.err)
	}
	before := policyOf(t, w)
	if d := itemOf[BucketDetails](t, update(true, false, true)); d.Public == nil || !*d.Public || policyOf(t, w) != before {
		t.Errorf("a dry run: %+v\n%s", d, policyOf(t, w))
	}
	w.block(t, `{"BlockPublicAcls": true, "BlockPublicPolicy": true, "RestrictPublicBuckets": true}`)
	update(true, false, false).wants(t, KindConflict, "the public access block of the bucket b keeps everybody out (BlockPublicPolicy, RestrictPublicBuckets); --unblock lifts")
	if got := policyOf(t, w); got != before {
		t.Errorf("refused, but\n%s", got)
	}
	for range 2 { // once more changes nothing
		if d := itemOf[BucketDetails](t, update(true, true, false)); d.Public == nil || !*d.Public || !slices.Equal(d.PublicBy, []string{"policy: Everybody on the internet can read all objects."}) {
			t.Errorf("%+v", d)
		}
	}
	if got := policyOf(t, w); strings.Count(got, `"Sid"`) != 2 || !strings.Contains(got, `"objmountPublic"`) || !strings.Contains(got, `"s3:DeleteBucket"`) {
		t.Errorf("public:\n%s", got)
	}
	if d := itemOf[Document](t, w.run("document/get", DocumentRequest{Document: "public-access"})); !strings.Contains(d.Text, `"BlockPublicAcls": true`) || strings.Count(d.Text, "true") != 1 {
		t.Errorf("the block is\n%s", d.Text)
	}
	if d := itemOf[BucketDetails](t, update(false, false, false)); d.Public == nil || *d.Public || policyOf(t, w) != before {
		t.Errorf("%+v\n%s\nwant\n%s", d, policyOf(t, w), before)
	}
	w.run("policy/anonymous", AnonymousRequest{Access: "read", Prefix: "pub/"})
	if a := update(false, false, false); a.err != nil || len(a.notes) != 1 || !strings.Contains(a.notes[0], "everybody can still read it, or a part of it: Everybody on the internet can read and list objects below pub/.") {
		t.Errorf("%v, %q", a.err, a.notes)
	}
}

func TestPublishedPlaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(1, "dir/a+b %\u00fc", "x")
	enable := func(path Text) PublicURL {
		t.Helper()
		return itemOf[PublicURL](t, w.run("cdn/enable", PublishRequest{Target: Target{Path: path}}))
	}
	if got := enable("dir"); !strings.HasSuffix(got.URL, "/b/dir/") || got.From != "store" || got.Key != "dir/" {
		t.Errorf("%+v", got)
	}
	if got := enable("dir/a+b %\u00fc"); !strings.HasSuffix(got.URL, "/b/dir/a+b%20%25%C3%BC") {
		t.Errorf("%+v", got)
	}
	if got := enable(""); !strings.HasSuffix(got.URL, "/b/") || got.Key != "" {
		t.Errorf("%+v", got)
	}
	if got := policyOf(t, w); strings.Count(got, `"Sid"`) != 3 || !strings.Contains(got, `"arn:aws:s3:::b/dir/*"`) || !strings.Contains(got, "\"arn:aws:s3:::b/dir/a+b %\u00fc\"") || !strings.Contains(got, `"arn:aws:s3:::b/*"`) {
		t.Errorf("policy:\n%s", got)
	}
	w.verbs.PublicURL = func(id backend.ObjectID) string {
		if id.Key == "" {
			return "https://cdn.example/"
		}
		return ""
	}
	if got := itemOf[PublicURL](t, w.run("cdn/url", PublicURLRequest{})); got.URL != "https://cdn.example/" || got.From != "configuration" {
		t.Errorf("%+v", got)
	}
	if got := itemOf[PublicURL](t, w.run("cdn/url", PublicURLRequest{Target: target("new/file")})); !strings.HasSuffix(got.URL, "/b/new/file") || got.From != "store" {
		t.Errorf("%+v", got)
	}
	for _, path := range []Text{"", "dir", "dir/a+b %\u00fc"} {
		if got := itemOf[PublicURL](t, w.run("cdn/disable", PublishRequest{Target: Target{Path: path}})); got.Bucket != "b" {
			t.Errorf("%q: %+v", path, got)
		}
	}
	if got := policyOf(t, w); got != "" {
		t.Errorf("left is\n%s", got)
	}
	w.run("cdn/enable", PublishRequest{Target: target("what*")}).wants(t, KindInvalid, "another meaning in a policy")
	w.verbs.ReadOnly = true
	w.run("cdn/enable", PublishRequest{}).wants(t, KindPermission, "read-only")
}

func TestPublicURLsAreChecked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	status := http.StatusOK
	var asked []string
	web := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.EscapedPath()+r.Header.Get("Authorization"))
		rw.WriteHeader(status)
	}))
	defer web.Close()
	w.verbs.PublicURL = func(id backend.ObjectID) string { return web.URL + "/" + id.Key }
	w.put(1, "file", "x")
	check := PublicURLRequest{Target: target("file"), Check: true}
	if got := itemOf[PublicURL](t, w.run("cdn/url", check)); got.Status != 200 {
		t.Errorf("%+v", got)
	}
	for code, kind := range map[int]Kind{403: KindPermission, 401: KindPermission, 404: KindNotFound, 500: KindOther} {
		status = code
		a := w.run("cdn/url", check)
		a.wants(t, kind, http.StatusText(code)+" to a request without credentials")
		var got PublicURL
		if len(a.items) != 1 || json.Unmarshal(a.items[0], &got) != nil || got.Status != code {
			t.Errorf("%d: %+v", code, got)
		}
	}
	if len(asked) != 5 || asked[0] != "HEAD /file" {
		t.Errorf("%q", asked)
	}
	web.Close()
	w.run("cdn/url", check).wants(t, KindUnreachable, "cannot be asked")
	w.run("cdn/url", PublicURLRequest{Check: true}).wants(t, KindInvalid, "is a directory")
}
