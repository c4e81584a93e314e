package configfile

import (
	"bytes"
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/objmount/objmount/backend"
)

// FuzzLoad: whatever is in a file, there is a configuration or there are errors in one line each, in order and inside the file; a
// configuration answers every question.
func FuzzLoad(f *testing.F) {
	dir := f.TempDir()
	for _, seed := range []string{
		"", example, "a = ", "[remote.a]\nbuckets=['[']", "\ufeff[mount]\r\n", "remote.a.prefix=[{path='x/y',tags={a='b'}},{path='*'}]", "remote = [[],[{}]]",
		"[remote.a]\n[[remote.a.prefix]]\n[remote.a.prefix.tags]\nx='y'\n[[remote.a.prefix]]\npath='b'", "[[remote.a.namespace]]\nx=1", "a.b.c=1\n[a.b]\nd=2",
		"[remote.a.namespace.x.y]\nz=1", "default-remote=\"\"\"\\\n   a\"\"\"\n[remote.a]", "[remote]\na={region='x',prefix=[{path=''}]}", "\x00", "\"\u4000", "[remote.\"\\u0000\"]",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		name := filepath.Join(dir, "fuzz.toml")
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := Load(name, testFlags())
		if err == nil {
			askEverything(file)
			return
		}
		all, ok := errors.AsType[Errors](err)
		if !ok || len(all) == 0 || file != nil {
			t.Fatalf("%v is no list of errors", err)
		}
		lines := bytes.Split(data, []byte("\n"))
		for i, e := range all {
			if strings.ContainsAny(e.Error(), "\n\r") {
				t.Errorf("several lines: %q", e.Error())
			}
			if e.Line < 1 || e.Line > len(lines) || e.Column < 1 || e.Column > utf8.RuneCount(lines[e.Line-1])+1 {
				t.Errorf("%v is not in the file", e)
			}
			if i > 0 && (all[i-1].Line > e.Line || all[i-1].Line == e.Line && all[i-1].Column > e.Column) {
				t.Errorf("%v comes before %v", all[i-1], e)
			}
		}
	})
}

func askEverything(f *File) {
	for _, bucket := range []string{"", "b", "logs-1"} {
		f.Route(bucket)
		for _, r := range f.Remotes {
			for _, key := range []string{"", "raw/x", "\xff"} {
				r.Defaults(bucket, key, time.Unix(0, 0))
				r.CustomerKey(bucket, key)
				r.PublicURLOf(bucket, key)
				r.NamespacesOf(bucket)
			}
		}
	}
}

// TestLongestPrefix compares the choice of a rule with what the documentation says: for each property, of the rules that hold and
// say something about it, the one with the longest prefix; of equally long ones the first.
func TestLongestPrefix(t *testing.T) {
	t.Parallel()
	buckets := rapid.SampledFrom([]string{"a", "ab", "b"})
	keys := rapid.StringMatching(`[xy/]{0,5}`)
	rapid.Check(t, func(t *rapid.T) {
		rule := rapid.Custom(func(t *rapid.T) Rule {
			r := Rule{Bucket: rapid.SampledFrom([]string{"*", "a", "a*", "[ab]", "?"}).Draw(t, "pattern"), Prefix: keys.Draw(t, "prefix")}
			r.Properties.StorageClass = rapid.SampledFrom([]string{"", "A", "B"}).Draw(t, "class")
			r.Properties.Headers.ContentType = rapid.SampledFrom([]string{"", "t/a", "t/b"}).Draw(t, "type")
			if rapid.Bool().Draw(t, "none") && r.Properties.StorageClass == "" {
				r.None = []string{"storage-class"}
			}
			if rapid.Bool().Draw(t, "key") {
				r.Key = &[32]byte{1}
			}
			return r
		})
		remote := &Remote{Rules: rapid.SliceOfN(rule, 0, 6).Draw(t, "rules")}
		bucket, key := buckets.Draw(t, "bucket"), keys.Draw(t, "key")
		// The rules that hold, the most important first.
		hold := slices.DeleteFunc(slices.Clone(remote.Rules), func(r Rule) bool {
			ok, err := path.Match(r.Bucket, bucket)
			return err != nil || !ok || !strings.HasPrefix(key, r.Prefix)
		})
		slices.SortStableFunc(hold, func(a, b Rule) int { return len(b.Prefix) - len(a.Prefix) })
		var want backend.Properties
		var wantKey *[32]byte
		for _, r := range slices.Backward(hold) { // the most important last
			if r.Properties.StorageClass != "" || len(r.None) > 0 {
				want.StorageClass = r.Properties.StorageClass
			}
			if r.Properties.Headers.ContentType != "" {
				want.Headers.ContentType = r.Properties.Headers.ContentType
			}
			if r.Key != nil {
				wantKey = r.Key
			}
		}
		got := remote.Defaults(bucket, key, time.Now())
		if got.StorageClass != want.StorageClass || got.Headers != want.Headers {
			t.Fatalf("%s/%s gets %+v, want %+v", bucket, key, got, want)
		}
		if (remote.CustomerKey(bucket, key) == nil) != (wantKey == nil) {
			t.Fatalf("%s/%s has the key %v, want %v", bucket, key, remote.CustomerKey(bucket, key), wantKey)
		}
	})
}

// TestRoutesOnce: a bucket belongs to one remote, the same each time, and that is the first with a pattern for it.
func TestRoutesOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		patterns := rapid.SliceOfN(rapid.SampledFrom([]string{"*", "a", "a*", "[ab]*", "?", "*b", "ab"}), 0, 3)
		f := &File{}
		for i, list := range rapid.SliceOfN(patterns, 0, 4).Draw(t, "remotes") {
			f.Remotes = append(f.Remotes, &Remote{Name: string(rune('m' + i)), Buckets: list})
		}
		f.Default = rapid.SampledFrom([]string{"", "m", "n", "none"}).Draw(t, "default")
		bucket := rapid.StringMatching(`[abc]{1,3}`).Draw(t, "bucket")
		want := f.Remote(f.Default)
		for _, r := range slices.Backward(f.Remotes) {
			for _, p := range r.Buckets {
				if ok, err := path.Match(p, bucket); ok && err == nil {
					want = r
				}
			}
		}
		for range 3 {
			if got := f.Route(bucket); got != want {
				t.Fatalf("%s goes to %v, want %v", bucket, got, want)
			}
		}
	})
}
