package ctl

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

func itemOf[T any](t *testing.T, a answer) T {
	t.Helper()
	var v T
	if a.err != nil || len(a.items) != 1 {
		t.Fatalf("%v, %d items", a.err, len(a.items))
	}
	if err := json.Unmarshal(a.items[0], &v); err != nil {
		t.Fatal(err)
	}
	return v
}

const corsXML = "<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin></CORSRule></CORSConfiguration>"

func TestDocuments(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	get := DocumentRequest{Document: "cors"}
	set := func(text string) SetDocumentRequest { return SetDocumentRequest{Document: "cors", Text: text} }
	w.run("document/get", get).wants(t, KindNotFound, "the bucket b has no cors document")
	w.run("document/get", DocumentRequest{Document: "corse"}).wants(t, KindInvalid, "there are policy, lifecycle, notification, encryption, replication, lock, cors, public-access")
	w.run("document/get", DocumentRequest{Target: target("dir"), Document: "cors"}).wants(t, KindInvalid, "the bucket is s3://b")
	w.run("document/set", set("{\n\"CORSRule\": 1}")).wants(t, KindInvalid, `the cors document cannot be right: line 2: the document has "CORSRule"`)
	dry := set(corsXML)
	dry.DryRun = true
	if d := itemOf[Document](t, w.run("document/set", dry)); !strings.Contains(d.Text, `"CORSRules"`) {
		t.Errorf("dry run: %+v", d)
	}
	w.run("document/get", get).wants(t, KindNotFound, "no cors")
	if a := w.run("document/set", set(corsXML)); a.err != nil {
		t.Fatal(a.err)
	}
	d := itemOf[Document](t, w.run("document/get", get))
	if a := w.run("document/set", set(d.Text)); a.err != nil {
		t.Errorf("what was got is not taken: %v", a.err)
	}
	if diff := itemOf[DocumentDiff](t, w.run("document/diff", set(corsXML))); diff.Text != "" {
		t.Errorf("the same document differs:\n%s", diff.Text)
	}
	if diff := itemOf[DocumentDiff](t, w.run("document/diff", set(strings.ReplaceAll(corsXML, "GET", "PUT")))); !strings.Contains(diff.Text, "\n-                \"GET\"\n+                \"PUT\"\n") {
		t.Errorf("diff:\n%s", diff.Text)
	}
	policy := func(principal string) SetDocumentRequest {
		return SetDocumentRequest{Document: "policy", Text: `{"Statement": [{"Effect": "Allow", "Principal": ` + principal + `, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}]}`}
	}
	if a := w.run("document/set", policy(`"*"`)); a.err != nil {
		t.Fatal(a.err)
	}
	if diff := itemOf[DocumentDiff](t, w.run("document/diff", policy(`{"AWS": ["*"]}`))); diff.Text != "" {
		t.Errorf("the same policy differs:\n%s", diff.Text)
	}
	if diff := itemOf[DocumentDiff](t, w.run("document/diff", policy(`{"AWS": "111122223333"}`))); !strings.Contains(diff.Text, "\n-            \"Principal\": \"*\",\n+            \"Principal\": {\n") {
		t.Errorf("diff:\n%s", diff.Text)
	}
	other := set(corsXML)
	other.Instead = new(string)
	w.run("document/set", other).wants(t, KindConflict, "changed by somebody else")
	other.Instead = &d.Text
	if a := w.run("document/set", other); a.err != nil {
		t.Error(a.err)
	}
	w.verbs.ReadOnly = true
	w.run("document/set", set(corsXML)).wants(t, KindPermission, "read-only")
	w.run("document/delete", get).wants(t, KindPermission, "read-only")
	w.verbs.ReadOnly = false
	dryDelete := get
	dryDelete.DryRun = true
	if a := w.run("document/delete", dryDelete); a.err != nil || len(a.items) != 1 {
		t.Errorf("a dry run says %s, %v", a.items, a.err)
	}
	for range 2 {
		if d := itemOf[Document](t, w.run("document/delete", get)); d != (Document{"b", "cors", ""}) {
			t.Errorf("deleted %+v", d)
		}
	}
	if a := w.run("document/delete", dryDelete); a.err != nil || len(a.items) != 0 {
		t.Errorf("a dry run where there is none says %s, %v", a.items, a.err)
	}
	w.run("document/get", get).wants(t, KindNotFound, "no cors")
	if w.tree.settled > 0 {
		t.Error("files were stored for it")
	}
}

func TestDocumentsThatAStoreLacks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.verbs.Store = withoutDocuments{w.store}
	w.run("document/get", DocumentRequest{Document: "lifecycle"}).wants(t, KindUnsupported, "the store mem is not known to have the lifecycle document")
	w.run("document/delete", DocumentRequest{Document: "lifecycle"}).wants(t, KindUnsupported, "lifecycle")
	w.run("policy/anonymous", AnonymousRequest{Access: "read"}).wants(t, KindUnsupported, "policy")
	if b := itemOf[BucketDetails](t, w.run("bucket/show", BucketRequest{})); b.Name != "b" || b.Documents != nil {
		t.Errorf("%+v", b)
	}
}

type withoutDocuments struct{ *mem.Store }

func (withoutDocuments) GetBucketDoc(ctx context.Context, bucket string, doc backend.BucketDoc) ([]byte, error) {
	return backend.Unsupported{}.GetBucketDoc(ctx, bucket, doc)
}

func (withoutDocuments) DeleteBucketDoc(ctx context.Context, bucket string, doc backend.BucketDoc) error {
	return backend.Unsupported{}.DeleteBucketDoc(ctx, bucket, doc)
}

func TestAnonymousAccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	anonymous := func(access, prefix string) string {
		t.Helper()
		if a := w.run("policy/anonymous", AnonymousRequest{Access: access, Prefix: prefix}); a.err != nil {
			t.Fatal(a.err)
		}
		a := w.run("document/get", DocumentRequest{Document: "policy"})
		if KindOf(a.err) == KindNotFound {
			return ""
		}
		return itemOf[Document](t, a).Text
	}
	if got := anonymous("none", ""); got != "" {
		t.Errorf("of nothing came\n%s", got)
	}
	if got := anonymous("read", ""); !strings.Contains(got, `"arn:aws:s3:::b/*"`) || strings.Contains(got, "Put") || strings.Contains(got, "Condition") || strings.Count(got, `"Sid"`) != 2 {
		t.Errorf("read:\n%s", got)
	}
	if got := anonymous("read-write", "pub/"); !strings.Contains(got, `"s3:PutObject"`) || !strings.Contains(got, `"pub/*"`) || strings.Count(got, `"Sid"`) != 4 {
		t.Errorf("read-write:\n%s", got)
	}
	if got := anonymous("read", "pub/"); strings.Contains(got, "PutObject") || strings.Count(got, `"Sid"`) != 4 {
		t.Errorf("read again:\n%s", got)
	}
	if got := anonymous("none", ""); strings.Contains(got, `"arn:aws:s3:::b/*"`) || strings.Count(got, `"Sid"`) != 2 {
		t.Errorf("none:\n%s", got)
	}
	const mine = `{"Version": "2012-10-17", "Id": "mine", "Statement": {"Sid": "x", "Effect": "Deny", "Principal": "*", "Action": "s3:DeleteBucket", "Resource": "arn:aws:s3:::b"}}`
	if a := w.run("document/set", SetDocumentRequest{Document: "policy", Text: mine}); a.err != nil {
		t.Fatal(a.err)
	}
	anonymous("read", "p")
	if got := anonymous("none", "p"); !strings.Contains(got, "DeleteBucket") || !strings.Contains(got, `"mine"`) || strings.Contains(got, "objmount") {
		t.Errorf("others' statements:\n%s", got)
	}
	w.run("policy/anonymous", AnonymousRequest{Access: "all"}).wants(t, KindInvalid, "read, read-write or none")
	w.run("policy/anonymous", AnonymousRequest{Access: "read", Prefix: "a*"}).wants(t, KindInvalid, "another meaning")
}
