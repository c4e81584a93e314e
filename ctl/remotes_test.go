package ctl

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
	"github.com/objmount/objmount/backend/remotes"
)

// severalTree is a tree of every bucket of several stores.
type severalTree struct{ *fakeTree }

func (severalTree) Locate(_ context.Context, path string) (Place, error) {
	parts := strings.SplitN(path, "/", 3)
	if len(parts) < 2 {
		return Place{Kind: Directory}, nil
	}
	p := Place{Bucket: parts[0] + "/" + parts[1], Kind: Directory}
	if len(parts) == 3 {
		p.Key, p.Kind = parts[2], File
	}
	return p, nil
}

// newWorldOfRemotes has the store of the world as one and another one as two, which fails.
func newWorldOfRemotes(t *testing.T) (w *world, two *mem.Faults) {
	t.Helper()
	w = newWorld(t)
	two = mem.Faulty(mem.New("b", "only"))
	store, err := remotes.New(remotes.Remote{Name: "one", Store: w.store}, remotes.Remote{Name: "two", Store: two})
	if err != nil {
		t.Fatal(err)
	}
	w.verbs.Store, w.verbs.Tree, w.verbs.Remotes = store, severalTree{w.tree}, true
	w.verbs.Capabilities = func(ctx context.Context, bucket string) (backend.Capabilities, error) {
		return store.Capabilities(ctx, bucket, "", false)
	}
	return w, two
}

// TestBucketsOfRemotes: a bucket has two names in a path, and a list is of the remote that the path is in.
func TestBucketsOfRemotes(t *testing.T) {
	t.Parallel()
	w, two := newWorldOfRemotes(t)
	itemOf[Bucket](t, w.run("bucket/create", CreateBucketRequest{Target: target("one/new")}))
	if err := w.store.HeadBucket(t.Context(), "new"); err != nil {
		t.Error(err)
	}
	w.run("bucket/create", CreateBucketRequest{Target: target("one")}).wants(t, KindInvalid, "the list of buckets of a remote; name a bucket")
	w.run("bucket/create", CreateBucketRequest{}).wants(t, KindInvalid, "the list of buckets; name a bucket")
	w.run("bucket/create", CreateBucketRequest{Target: target("one/b/c")}).wants(t, KindInvalid, "the bucket is s3://one/b")
	w.run("bucket/create", CreateBucketRequest{Target: target("three/new")}).wants(t, KindNoBucket, "no remote")
	for path, want := range map[string]string{"": "one/b one/new two/b two/only", "one": "one/b one/new", "two/": "two/b two/only", "two/b/deep": "two/b two/only"} {
		a := w.run("bucket/list", BucketRequest{target(path)})
		if got := namesOf(t, a.items); got != want || a.err != nil {
			t.Errorf("%q lists %s, %v", path, got, a.err)
		}
	}
	two.Add(mem.Rule{Do: []mem.Action{mem.Fail(backend.KindUnreachable)}})
	a := w.run("bucket/list", BucketRequest{})
	if got := namesOf(t, a.items); got != "one/b one/new" || KindOf(a.err) != KindUnreachable || !strings.Contains(a.err.Error(), `"two"`) {
		t.Errorf("one fails: %s, %v", got, a.err)
	}
	if d := itemOf[BucketDetails](t, w.run("bucket/show", BucketRequest{target("one/b")})); d.Name != "one/b" || d.Versioning != "Enabled" || d.Created.IsZero() {
		t.Errorf("shown while the other one fails: %+v", d)
	}
}

// TestPolicyOfARemotesBucket names the bucket as its store does.
func TestPolicyOfARemotesBucket(t *testing.T) {
	t.Parallel()
	w, _ := newWorldOfRemotes(t)
	if a := w.run("policy/anonymous", AnonymousRequest{Target: target("one/b"), Access: "read"}); a.err != nil {
		t.Fatal(a.err)
	}
	policy, err := w.store.GetBucketDoc(t.Context(), "b", backend.PolicyDoc)
	if err != nil || !strings.Contains(string(policy), `"arn:aws:s3:::b/*"`) || strings.Contains(string(policy), "one/b") {
		t.Errorf("%s %v", policy, err)
	}
}

// TestCopyBetweenRemotes is refused: no store reads from another.
func TestCopyBetweenRemotes(t *testing.T) {
	t.Parallel()
	w, _ := newWorldOfRemotes(t)
	w.put(1, "f", "x")
	w.run("object/copy", CopyRequest{Target: target("one/b/f"), To: "two/b/f"}).wants(t, KindInvalid, "s3://one/b/f and s3://two/b/f are in two stores, which cannot copy between each other; get the object and put it")
}

// TestVerbsForAPath: what is said of the store is said of the one that the path is in.
func TestVerbsForAPath(t *testing.T) {
	t.Parallel()
	w, _ := newWorldOfRemotes(t)
	readOnly := *w.verbs
	readOnly.ReadOnly = true
	var asked []string
	w.verbs.For = func(path string) *Verbs {
		asked = append(asked, path)
		if strings.HasPrefix(path, "two/") {
			return &readOnly
		}
		return w.verbs
	}
	itemOf[Bucket](t, w.run("bucket/create", CreateBucketRequest{Target: target("one/new")}))
	w.run("bucket/create", CreateBucketRequest{Target: target("two/new")}).wants(t, KindPermission, "read-only")
	if strings.Join(asked, " ") != "one/new two/new" {
		t.Errorf("asked for %v", asked)
	}
}

// namesOf are the names of listed buckets.
func namesOf(t *testing.T, items []json.RawMessage) string {
	t.Helper()
	var names []string
	for _, item := range items {
		var b Bucket
		if err := json.Unmarshal(item, &b); err != nil {
			t.Fatal(err)
		}
		names = append(names, b.Name)
	}
	return strings.Join(names, " ")
}
