package ctl

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

func statesIn(t *testing.T, a answer) (states []NamespaceState) {
	t.Helper()
	if a.err != nil {
		t.Fatal(a.err)
	}
	for _, item := range a.items {
		var s NamespaceState
		if err := json.Unmarshal(item, &s); err != nil {
			t.Fatal(err)
		}
		states = append(states, s)
	}
	return states
}

// stateLines is a state in a line.
func stateLines(states []NamespaceState) (lines []string) {
	for _, s := range states {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %d %s %s", s.Name, s.Prefix, s.Expire, s.Rule, s.Changed)))
	}
	return lines
}

func (w *world) states(verb string, r NamespaceRequest, want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(want, stateLines(statesIn(w.t, w.run("namespace/"+verb, r)))); diff != "" {
		w.t.Errorf("namespace %s %+v (-want +got):\n%s", verb, r, diff)
	}
}

func (w *world) lifecycle(bucket string) string {
	w.t.Helper()
	text, err := w.store.GetBucketDoc(w.t.Context(), bucket, backend.LifecycleDoc)
	if backend.IsKind(err, backend.KindNotExist) {
		return ""
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

const foreignRule = `{"Rules": [{"ID": "theirs <&>", "Status": "Enabled", "Filter": {"And": {"Prefix": "logs/", "Tags": [{"Key": "k", "Value": "v"}]}},
	"Transitions": [{"Days": 30, "StorageClass": "GLACIER"}]}, {"ID": "old", "Status": "Disabled", "Prefix": "x", "Expiration": {"Days": 2}}]}`

func TestNamespaceRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	configured := []Namespace{{Name: "data", Prefix: "data/"}, {Name: "tmp", Prefix: "scratch/tmp/", Expire: 7, StorageClass: "STANDARD_IA", Tags: map[string]string{"a": "b"}}, {Name: "logs", Prefix: "logs/", Expire: 30}}
	w.states("list", NamespaceRequest{})
	w.run("namespace/install", NamespaceRequest{}).wants(t, KindInvalid, "no namespaces for the bucket b")
	w.verbs.Namespaces = func(string) []Namespace { return configured }
	if err := w.store.PutBucketDoc(t.Context(), "b", backend.LifecycleDoc, []byte(foreignRule)); err != nil {
		t.Fatal(err)
	}
	theirs := w.lifecycle("b")
	dry := NamespaceRequest{Target: Target{DryRun: true}}
	missing := []string{"data data/ 0", "tmp scratch/tmp/ 7 missing", "logs logs/ 30 missing"}
	w.states("list", NamespaceRequest{}, missing...)
	w.states("install", dry, "data data/ 0", "tmp scratch/tmp/ 7 installed added", "logs logs/ 30 installed added")
	w.states("list", NamespaceRequest{}, missing...)
	w.states("install", NamespaceRequest{Names: []string{"tmp"}}, "tmp scratch/tmp/ 7 installed added")
	w.states("list", NamespaceRequest{}, "data data/ 0", "tmp scratch/tmp/ 7 installed", "logs logs/ 30 missing")
	w.states("install", NamespaceRequest{}, "data data/ 0", "tmp scratch/tmp/ 7 installed", "logs logs/ 30 installed added")
	w.kept(theirs, 4)

	configured[1].Expire, configured[2].Expire = 1, 0 // the file was changed
	w.states("list", NamespaceRequest{}, "data data/ 0", "tmp scratch/tmp/ 1 different", "logs logs/ 0 unconfigured")
	w.states("install", NamespaceRequest{}, "data data/ 0", "tmp scratch/tmp/ 1 installed updated", "logs logs/ 0  removed")
	w.kept(theirs, 3)
	configured = configured[:1]
	w.states("list", NamespaceRequest{}, "data data/ 0", "tmp scratch/tmp/ 1 unconfigured")
	w.states("remove", dry, "data data/ 0", "tmp scratch/tmp/ 1  removed")
	w.run("namespace/remove", NamespaceRequest{Names: []string{"none"}}).wants(t, KindInvalid, `a namespace "none"; there are data, tmp`)
	w.run("namespace/list", NamespaceRequest{Names: []string{"tmp"}}).wants(t, KindInvalid, `no namespace "tmp" for the bucket b; there are data`)
	w.states("remove", NamespaceRequest{Names: []string{"tmp"}}, "tmp scratch/tmp/ 1  removed")
	if now := w.lifecycle("b"); now != theirs {
		t.Errorf("in the end it is\n%s\nnot\n%s", now, theirs)
	}
	w.verbs.ReadOnly = true
	w.run("namespace/install", NamespaceRequest{}).wants(t, KindPermission, "read-only")
	w.run("namespace/list", NamespaceRequest{Target: target("dir")}).wants(t, KindInvalid, "the bucket is s3://b")
}

// kept checks that the rules of others are as they were, before those of namespaces.
func (w *world) kept(theirs string, count int) {
	w.t.Helper()
	var was, is struct{ Rules []json.RawMessage }
	for text, to := range map[string]any{theirs: &was, w.lifecycle("b"): &is} {
		if err := json.Unmarshal([]byte(text), to); err != nil {
			w.t.Fatal(err)
		}
	}
	same := func(a, b json.RawMessage) bool { return string(a) == string(b) }
	if len(is.Rules) != count || !slices.EqualFunc(is.Rules[:len(was.Rules)], was.Rules, same) {
		w.t.Errorf("the document is\n%s\nwhich began as\n%s", w.lifecycle("b"), theirs)
	}
}

// Without versions an object that expires is gone; with them, it has to be removed a second time.
func TestNamespaceRulesAndVersions(t *testing.T) {
	t.Parallel()
	for _, versions := range []bool{false, true} {
		w := newWorldOfBuckets(t)
		w.verbs.Namespaces = func(string) []Namespace { return UsualNamespaces() }
		itemOf[Bucket](t, w.run("bucket/create", CreateBucketRequest{Target: target("new"), Versioning: versions}))
		of := func(name string) NamespaceRequest {
			return NamespaceRequest{Target: target("new"), Names: []string{name}}
		}
		w.states("install", of("tmp"), "tmp tmp/ 7 installed added")
		if has := strings.Contains(w.lifecycle("new"), "NoncurrentDays"); has != versions {
			t.Errorf("versions %v: %s", versions, w.lifecycle("new"))
		}
		if !versions {
			w.store.ConfigureBucket("new", func(b *mem.BucketSettings) { b.Versioning = "Enabled" })
			w.states("list", of("tmp"), "tmp tmp/ 7 different")
		}
		w.states("remove", of("tmp"), "tmp tmp/ 7 missing removed")
		if text := w.lifecycle("new"); text != "" {
			t.Errorf("an empty document is left: %s", text)
		}
		w.states("install", of("data"), "data data/ 0")
	}
}

func TestBucketIsMadeWithNamespaces(t *testing.T) {
	t.Parallel()
	w := newWorldOfBuckets(t)
	w.verbs.Namespaces = func(string) []Namespace { return []Namespace{{Name: "tmp", Prefix: "scratch/", Expire: 2}} }
	create := func(names ...string) CreateBucketRequest {
		return CreateBucketRequest{Target: target("new"), Namespaces: names}
	}
	w.run("bucket/create", create("data", "temp")).wants(t, KindInvalid, `there is no namespace "temp"; there are tmp, data, result`)
	w.run("bucket/show", BucketRequest{target("new")}).wants(t, KindNoBucket, "no such bucket")
	itemOf[Bucket](t, w.run("bucket/create", create("data", "tmp", "result")))
	text, err := w.store.GetBucketDoc(t.Context(), "new", backend.LifecycleDoc)
	if err != nil || strings.Count(string(text), `"ID"`) != 1 || !strings.Contains(string(text), `"scratch/"`) {
		t.Errorf("%v, %s", err, text)
	}
	page, err := w.store.List(t.Context(), backend.ListInput{Bucket: "new"})
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, o := range page.Objects {
		keys = append(keys, o.Key)
	}
	if diff := cmp.Diff([]string{"data/", "result/", "scratch/"}, keys); diff != "" {
		t.Errorf("directories:\n%s", diff)
	}
}

// A store without lifecycle rules is told of before anything is done; what does not expire needs none.
func TestNamespacesWithoutLifecycle(t *testing.T) {
	t.Parallel()
	w := newWorldOfBuckets(t)
	w.verbs.Namespaces = func(string) []Namespace { return UsualNamespaces() }
	w.verbs.Store = mem.Faulty(w.store, mem.Rule{Op: "get lifecycle", Do: []mem.Action{mem.Fail(backend.KindUnsupported)}})
	w.run("bucket/create", CreateBucketRequest{Target: target("new"), Namespaces: []string{"tmp"}}).wants(t, KindUnsupported, "nothing was made")
	w.run("bucket/show", BucketRequest{target("new")}).wants(t, KindNoBucket, "no such bucket")
	itemOf[Bucket](t, w.run("bucket/create", CreateBucketRequest{Target: target("new"), Namespaces: []string{"data", "result"}}))
	w.states("list", NamespaceRequest{Target: target("new")}, "data data/ 0", "tmp tmp/ 7 unsupported", "result result/ 0")
	w.states("install", NamespaceRequest{Target: target("new"), Names: []string{"data"}}, "data data/ 0")
	w.run("namespace/install", NamespaceRequest{Target: target("new")}).wants(t, KindUnsupported, "lifecycle document")
}
