package test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const spaces = `
default-remote = "store"
[remote.store]
[remote.store.namespace.data]
[remote.store.namespace.tmp]
prefix = "scratch/tmp/"
expire = "3d"
tags = { keep = "no" }
[remote.store.namespace.result]
cache-control = "max-age=60"
`

// rulesOf are the lifecycle rules that the other client sees, by their ids, as JSON.
func (s *store) rulesOf(t testing.TB, bucket string) map[string]string {
	t.Helper()
	var reply struct{ Rules []map[string]any }
	if err := s.tryBoto("get_bucket_lifecycle_configuration", map[string]any{"Bucket": bucket}, &reply); err != nil {
		if !strings.Contains(err.Error(), "NoSuchLifecycleConfiguration") {
			t.Fatal(err)
		}
		return nil
	}
	rules := map[string]string{}
	for _, r := range reply.Rules {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		rules[fmt.Sprint(r["ID"])] = string(text)
	}
	return rules
}

// namespaceState is a line of objmount ctl namespace --json.
type namespaceState struct {
	Name    string `json:"name"`
	Prefix  string `json:"prefix"`
	Rule    string `json:"rule"`
	Changed string `json:"changed"`
}

// Namespaces are directories without anything in the store, and what is written there has what the configuration gives.
func TestNamespacesAreDirectories(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "config.namespaces")
		bucket := s.newBucket(t)
		s.put(t, bucket, "file", []byte("x"))
		state := configured(t, spaces)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket, state: state, noisy: "does not expire as configured"})
		w := inMount(t, m)
		w.sh(`
test "$(ls)" = "$(printf 'data\nfile\nresult\nscratch')"
test "$(find scratch)" = "$(printf 'scratch\nscratch/tmp')"
fails mkdir data
for dir in data scratch scratch/tmp; do
	if rmdir $dir 2>$SRC/why; then exit 1; fi
	grep -q "Device or resource busy" $SRC/why
	fails mv $dir other
done
mkdir -p scratch/tmp/deep
echo hello > scratch/tmp/f
cp scratch/tmp/f result/f
rm -r scratch/tmp/*
echo again > scratch/tmp/f
rm scratch/tmp/f
test -d scratch/tmp
echo kept > data/f
`)
		if got := s.head(t, bucket, "result/f").CacheControl; got != "max-age=60" {
			t.Errorf("cache-control is %q", got)
		}
		w.sh("echo tagged > scratch/tmp/tagged")
		if diff := cmp.Diff(map[string]string{"keep": "no"}, s.tags(t, bucket, "scratch/tmp/tagged")); diff != "" {
			t.Error(diff)
		}
		w.sh("rm scratch/tmp/tagged")
		var keys []string
		for key := range s.snapshot(t, bucket, "") {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		if diff := cmp.Diff([]string{"data/f", "file", "result/f"}, keys); diff != "" {
			t.Errorf("objects:\n%s", diff)
		}
		m.unmount()

		part := newMount(t, mountOptions{store: s, source: "s3://" + bucket, state: state, args: []string{"--namespace=data"}, noisy: "does not expire as configured"})
		if diff := cmp.Diff([]string{"f"}, listed(t, part.dir)); diff != "" {
			t.Errorf("the namespace alone has:\n%s", diff)
		}
		part.reads("f", "kept\n")
	})
}

// Their lifecycle rules are installed, changed and removed beside those of others, and a mount says when one is missing.
func TestNamespacesExpire(t *testing.T) {
	t.Parallel()
	s := openStore(t, "minio")
	covers(t, s, "config.namespaces")
	for _, versions := range []bool{false, true} {
		bucket := s.newBucket(t)
		if versions {
			bucket = s.newVersionedBucket(t)
		}
		s.boto(t, "put_bucket_lifecycle_configuration", map[string]any{"Bucket": bucket, "LifecycleConfiguration": map[string]any{"Rules": []any{map[string]any{
			"ID": "theirs", "Status": "Enabled", "Filter": map[string]any{"And": map[string]any{"Prefix": "logs/", "Tags": []any{map[string]any{"Key": "a", "Value": "<&>"}}}}, "Expiration": map[string]any{"Days": 30},
		}}}}, nil)
		theirs := s.rulesOf(t, bucket)
		state := configured(t, spaces)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket, state: state, noisy: "does not expire as configured"})
		status := func() string {
			t.Helper()
			out, err := m.command("status", m.dir)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		w := inMount(t, m)
		w.eventually("the status to say that the rule is missing", func() bool {
			return strings.Contains(status(), "scratch/tmp/ does not expire after 3 days: the bucket has no lifecycle rule for it; objmount ctl namespace install makes it")
		})
		states := func(want []namespaceState, args ...string) {
			t.Helper()
			out := m.mustCtl(append([]string{"namespace", args[0], "--json"}, args[1:]...)...)
			if diff := cmp.Diff(want, jsonLines[namespaceState](t, out)); diff != "" {
				t.Errorf("namespace %q (-want +got):\n%s", args, diff)
			}
		}
		data, tmp, result := namespaceState{Name: "data", Prefix: "data/"}, namespaceState{Name: "tmp", Prefix: "scratch/tmp/", Rule: "missing"}, namespaceState{Name: "result", Prefix: "result/"}
		states([]namespaceState{data, tmp, result}, "list", ".")
		tmp.Rule, tmp.Changed = "installed", "added"
		states([]namespaceState{data, tmp, result}, "install", "--dry-run", ".")
		if diff := cmp.Diff(theirs, s.rulesOf(t, bucket)); diff != "" {
			t.Errorf("a dry run has changed the rules:\n%s", diff)
		}
		states([]namespaceState{data, tmp, result}, "install", ".")
		tmp.Changed = ""
		states([]namespaceState{data, tmp, result}, "list", ".")
		states([]namespaceState{tmp}, "install", ".", "tmp")
		rules := s.rulesOf(t, bucket)
		own := rules["objmount-namespace-tmp"]
		delete(rules, "objmount-namespace-tmp")
		if diff := cmp.Diff(theirs, rules); diff != "" {
			t.Errorf("the rules of others changed:\n%s", diff)
		}
		for part, want := range map[string]bool{`"Expiration":{"Days":3}`: true, `"Prefix":"scratch/tmp/"`: true, `"Status":"Enabled"`: true, `"NoncurrentDays":3`: versions} {
			if strings.Contains(own, part) != want {
				t.Errorf("versions %v: the rule is %s", versions, own)
			}
		}
		w.eventually("the status to say nothing of it", func() bool { return !strings.Contains(status(), "does not expire") })

		writeConfiguration(t, state, strings.Replace(spaces, `"3d"`, `"1d"`, 1))
		if out := m.mustCtl(m.bare("namespace", "list", "s3://"+bucket)...); !strings.Contains(out, "scratch/tmp/  expires after 1 day  rule different  keep=no\n") {
			t.Errorf("without the mount:\n%s", out)
		}
		m.mustCtl(m.bare("namespace", "install", "s3://"+bucket)...)
		if own := s.rulesOf(t, bucket)["objmount-namespace-tmp"]; !strings.Contains(own, `"Days":1}`) {
			t.Errorf("the rule is %s", own)
		}
		m.failsCtl(2, `no namespace "temp" for the bucket `+bucket+"; there are data, tmp, result", "namespace", "install", ".", "temp")
		if out := m.mustCtl(m.bare("namespace", "remove", "s3://"+bucket, "tmp")...); !strings.Contains(out, "rule removed") {
			t.Errorf("removed:\n%s", out)
		}
		if diff := cmp.Diff(theirs, s.rulesOf(t, bucket)); diff != "" {
			t.Errorf("in the end the rules are others:\n%s", diff)
		}
	}
}

// A bucket is made with the namespaces of the configuration, or the usual ones.
func TestBucketsAreMadeWithNamespaces(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "config.namespaces")
		m := newMount(t, mountOptions{store: s, source: "s3://", state: configured(t, `
default-remote = "store"
[remote.store]
[remote.store.namespace.data]
prefix = "all/"
`)})
		name := newName()
		m.failsCtl(2, `there is no namespace "temp"; there are data, tmp, result`, "bucket", "create", "--namespaces=data,temp", m.in(name))
		if slices.Contains(s.bucketNames(t), name) {
			t.Error("the bucket was made all the same")
		}
		wanted, code := []string{"all/", "result/"}, 0
		if s.name == "minio" {
			wanted = append(wanted, "tmp/")
		} else { // VersityGW has no lifecycle rules
			code = 13
			m.failsCtl(code, "nothing was made", "bucket", "create", "--namespaces=data,tmp,result", m.in(name))
		}
		names := "--namespaces=data,result"
		if code == 0 {
			names += ",tmp"
		}
		m.mustCtl("bucket", "create", names, m.in(name))
		var keys []string
		for key := range s.snapshot(t, name, "") {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		if diff := cmp.Diff(wanted, keys); diff != "" {
			t.Errorf("directories:\n%s", diff)
		}
		if rule := s.rulesIf(t, code == 0, name)["objmount-namespace-tmp"]; strings.Contains(rule, `"Days":7`) != (code == 0) {
			t.Errorf("the rule of tmp is %q", rule)
		}
		if _, err := os.Stat(m.in(name + "/all")); err != nil {
			t.Error(err)
		}
	})
}

// rulesIf is rulesOf a store that has some.
func (s *store) rulesIf(t testing.TB, has bool, bucket string) map[string]string {
	t.Helper()
	if !has {
		return nil
	}
	return s.rulesOf(t, bucket)
}
