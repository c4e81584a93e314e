package configfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/backend"
)

// testFlags are a few flags of each kind.
func testFlags() Flags {
	number := func(value string) error {
		if n, err := strconv.Atoi(value); err != nil || n < 1 || n > 100 {
			return errors.New("want a number from 1 to 100")
		}
		return nil
	}
	interval := func(value string) error {
		if _, err := time.ParseDuration(value); err != nil {
			return errors.New("want a time such as 10s")
		}
		return nil
	}
	anything := func(string) error { return nil }
	proxy := func(value string) error {
		if strings.Contains(value, "@") {
			return errors.New("holds a password; leave it out")
		}
		return nil
	}
	return Flags{
		Store: []Flag{
			{Name: "endpoint-url", Check: anything, Text: true}, {Name: "region", Check: anything, Text: true}, {Name: "profile", Check: anything, Text: true}, {Name: "ca-bundle", Check: anything, Path: true},
			{Name: "proxy", Check: proxy, Text: true},
			{Name: "no-sign-request", Check: anything, Switch: true}, {Name: "max-attempts", Check: number}, {Name: "connect-timeout", Check: interval},
		},
		Mount:   []Flag{{Name: "commit", Check: anything}, {Name: "metadata-ttl", Check: interval}, {Name: "allow-other", Check: anything, Switch: true}, {Name: "file-mode", Check: anything}},
		Vendors: []string{"aws", "minio"},
		Together: func(all []Setting) error {
			seen := map[string]bool{}
			for _, s := range all {
				seen[s.Name] = true
			}
			if seen["profile"] && seen["no-sign-request"] {
				return errors.New("--no-sign-request and --profile exclude each other")
			}
			return nil
		},
	}
}

// write puts a configuration file into a new directory, with files of keys beside it.
func write(t testing.TB, text string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"c.toml": text, "raw.key": strings.Repeat("k", 32), "hex.key": strings.Repeat("6B", 32) + "\n", "base64.key": "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=\n",
		"short.key": "secretsecret", "hex16.key": strings.Repeat("6b", 16) + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "c.toml")
}

func load(t testing.TB, text string) *File {
	t.Helper()
	f, err := Load(write(t, text), testFlags())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

const example = `# a comment
default-remote = "aws"

[mount]
commit = "background"
metadata-ttl = "30s"
allow-other = true
file-mode = 0o640

[remote.minio]
endpoint-url = "http://127.0.0.1:9000"
vendor = "minio"
max-attempts = 3
connect-timeout = "5s"
no-sign-request = true
ca-bundle = "ca.pem"
buckets = ["logs-*", "data"]
encryption = "aws:kms:KEYID"
public-url = "https://cdn.example.com/{bucket}"

[[remote.minio.prefix]]
path = "logs-*/raw/"
content-type = "text/plain"
tags = { team = "a", "cost center" = "1" }
metadata.Origin = "x"
retention = "30d"
legal-hold = true

[[remote.minio.prefix]]
path = "logs-*/raw/open/"
legal-hold = false
encryption-key-file = "hex.key"
cache-control = "max-age=3600"
expires = 2030-01-01T00:00:00Z
public-url = "https://open.example.com/x/"
tags = {}

[remote.minio.namespace.tmp]
bucket = "data"
expire = "7d"
storage-class = "REDUCED_REDUNDANCY"

[remote.minio.namespace.result]
prefix = "out/results/"
retention = "1y"
retention-mode = "compliance"

[remote.aws]
`

func TestLoad(t *testing.T) {
	t.Parallel()
	f := load(t, example)
	dir := filepath.Dir(f.Path)
	if want := []Setting{
		{"commit", "background", 5, 10}, {"metadata-ttl", "30s", 6, 16}, {"allow-other", "true", 7, 15}, {"file-mode", "0o640", 8, 13},
	}; !cmp.Equal(f.Mount, want) {
		t.Error(cmp.Diff(want, f.Mount))
	}
	if f.Default != "aws" || len(f.Remotes) != 2 || f.Remotes[0].Name != "minio" || f.Remotes[1] != f.Remote("aws") || f.Remote("other") != nil {
		t.Errorf("%+v", f)
	}
	m := f.Remote("minio")
	if want := []Setting{
		{"endpoint-url", "http://127.0.0.1:9000", 11, 16}, {"max-attempts", "3", 13, 16}, {"connect-timeout", "5s", 14, 19},
		{"no-sign-request", "true", 15, 19}, {"ca-bundle", dir + "/ca.pem", 16, 13},
	}; !cmp.Equal(m.Settings, want) {
		t.Error(cmp.Diff(want, m.Settings))
	}
	if m.Vendor != "minio" || m.Line != 10 || !cmp.Equal(m.Buckets, []string{"logs-*", "data"}) || m.PublicURL != "https://cdn.example.com/{bucket}" {
		t.Errorf("%+v", m)
	}
	if want := []Namespace{{"tmp", "data", "tmp/", 38, 7}, {"result", "*", "out/results/", 43, 0}}; !cmp.Equal(m.Namespaces, want) {
		t.Error(cmp.Diff(want, m.Namespaces))
	}
}

func TestRoute(t *testing.T) {
	t.Parallel()
	f := load(t, example)
	for bucket, want := range map[string]string{"logs-1": "minio", "data": "minio", "data2": "aws", "logs": "aws"} {
		if r := f.Route(bucket); r == nil || r.Name != want {
			t.Errorf("%s goes to %v, want %s", bucket, r, want)
		}
	}
	if r := load(t, "[remote.a]\nbuckets=['x']\n").Route("y"); r != nil {
		t.Errorf("y goes to %v", r)
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	m := load(t, example).Remote("minio")
	now := time.Date(2026, 2, 28, 12, 0, 0, 999, time.FixedZone("x", 3600))
	kms := backend.Encryption{Algorithm: "aws:kms", KMSKeyID: "KEYID"}
	until := time.Date(2026, 3, 30, 11, 0, 0, 0, time.UTC)
	lock := backend.Retention{Mode: backend.Governance, Until: until}
	for _, c := range []struct {
		bucket, key string
		want        backend.Properties
	}{
		{"other", "raw/x", backend.Properties{Encryption: kms}},
		{"logs-1", "raw", backend.Properties{Encryption: kms}},
		{"logs-1", "raw/x", backend.Properties{
			Headers: backend.Headers{ContentType: "text/plain"}, Tags: map[string]string{"team": "a", "cost center": "1"},
			Metadata: map[string]string{"origin": "x"}, Encryption: kms, Lock: backend.ObjectLock{Retention: lock, LegalHold: true},
		}},
		{"logs-1", "raw/open/x", backend.Properties{
			Headers:  backend.Headers{ContentType: "text/plain", CacheControl: "max-age=3600", Expires: "Tue, 01 Jan 2030 00:00:00 GMT"},
			Metadata: map[string]string{"origin": "x"}, Lock: backend.ObjectLock{Retention: lock},
		}},
		{"data", "tmp/x", backend.Properties{Encryption: kms, StorageClass: "REDUCED_REDUNDANCY"}},
		{"data", "out/results/x", backend.Properties{Encryption: kms, Lock: backend.ObjectLock{
			Retention: backend.Retention{Mode: backend.Compliance, Until: time.Date(2027, 2, 28, 11, 0, 0, 0, time.UTC)},
		}}},
	} {
		got := m.Defaults(c.bucket, c.key, now)
		if !cmp.Equal(got, c.want) {
			t.Errorf("%s/%s: %s", c.bucket, c.key, cmp.Diff(c.want, got))
		}
		if got.Metadata != nil {
			got.Metadata["changed"] = "y"
		}
	}
}

func TestCustomerKeyAndPublicURL(t *testing.T) {
	t.Parallel()
	m := load(t, example).Remote("minio")
	if m.CustomerKey("logs-1", "raw/x") != nil || m.CustomerKey("logs-1", "") != nil {
		t.Error("a key where the store has its own")
	}
	if key := m.CustomerKey("logs-1", "raw/open/x"); key == nil || string(key[:]) != strings.Repeat("k", 32) {
		t.Errorf("the key is %v", key)
	}
	for key, want := range map[string]string{
		"a b/c+d?#%.txt": "https://cdn.example.com/logs-1/a%20b/c%2Bd%3F%23%25.txt", "é": "https://cdn.example.com/logs-1/%C3%A9",
		"raw/open/x/y": "https://open.example.com/x/x/y",
	} {
		if got := m.PublicURLOf("logs-1", key); got != want {
			t.Errorf("%q is at %q, want %q", key, got, want)
		}
	}
	if got := load(t, "[remote.a]\n").Remotes[0].PublicURLOf("b", "k"); got != "" {
		t.Error(got)
	}
	if got := m.NamespacesOf("logs-1"); len(got) != 1 || got[0].Name != "result" {
		t.Errorf("%v", got)
	}
	if got := m.NamespacesOf("data"); len(got) != 2 || got[0].Name != "tmp" {
		t.Errorf("%v", got)
	}
}

// TestKeyFiles: every form of the same key.
func TestKeyFiles(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"raw", "hex", "base64"} {
		f := load(t, "[remote.a]\nencryption-key-file = \""+form+".key\"\n")
		if key := f.Remotes[0].CustomerKey("b", "k"); key == nil || string(key[:]) != strings.Repeat("k", 32) {
			t.Errorf("%s: %v", form, key)
		}
		if name := f.Remotes[0].KeyFileOf("b", "k"); filepath.Base(name) != form+".key" {
			t.Errorf("%s: from %q", form, name)
		}
		if p := f.Remotes[0].Defaults("b", "k", time.Now()); p.Encryption != (backend.Encryption{}) {
			t.Errorf("%s: the store would encrypt as well: %v", form, p.Encryption)
		}
	}
}

func TestFileThatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	big := filepath.Join(dir, "big")
	if err := os.WriteFile(big, []byte(strings.Repeat("#\n", maxFile/2+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none"): "no such file", dir: "is a directory", big: "more than 1 MiB", "/dev/null": "not a regular file",
	} {
		f, err := Load(path, testFlags())
		all, ok := errors.AsType[Errors](err)
		if f != nil || !ok || len(all) != 1 || !strings.HasPrefix(err.Error(), path+": ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
	if _, err := Load(filepath.Join(dir, "none"), testFlags()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not fs.ErrNotExist", err)
	}
}

// TestLimits: what every request and every bucket would have to look at.
func TestLimits(t *testing.T) {
	t.Parallel()
	var patterns, prefixes strings.Builder
	patterns.WriteString("[remote.a]\nbuckets = [")
	prefixes.WriteString("[remote.a.namespace.x]\n")
	for i := range mostRules {
		patterns.WriteString("'b" + strconv.Itoa(i) + "', ")
		if i > 0 {
			prefixes.WriteString("[[remote.a.prefix]]\npath = 'b/" + strconv.Itoa(i) + "/'\n")
		}
	}
	if f := load(t, patterns.String()+"]\n"+prefixes.String()); len(f.Remotes[0].Buckets) != mostPatterns || len(f.Remotes[0].Rules) != mostRules {
		t.Errorf("%d patterns, %d rules", len(f.Remotes[0].Buckets), len(f.Remotes[0].Rules))
	}
	for text, want := range map[string]string{
		patterns.String() + "'c']\n":                            "there are 1001 patterns up to here; a file may have 1000, so name more buckets with one",
		prefixes.String() + "[[remote.a.prefix]]\npath = '*'\n": "[remote.a] has 1001 prefixes and namespaces; a remote may have 1000, so leave some out",
	} {
		if _, err := Load(write(t, text), testFlags()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestPaths: from the file's directory, from home, or absolute.
func TestPaths(t *testing.T) {
	path := write(t, "[remote.a]\nca-bundle = '../x/ca.pem'\n[remote.b]\nca-bundle = '~/ca.pem'\n[remote.c]\nca-bundle = '/ca.pem'\n[remote.d]\nca-bundle = ''\n")
	t.Setenv("HOME", "/somewhere")
	t.Chdir(filepath.Dir(filepath.Dir(path)))
	relative, err := filepath.Rel(filepath.Dir(filepath.Dir(path)), path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Load(relative, testFlags())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{filepath.Join(filepath.Dir(filepath.Dir(path)), "x/ca.pem"), "/somewhere/ca.pem", "/ca.pem", ""} {
		if got := f.Remotes[i].Settings[0].Value; got != want {
			t.Errorf("%s is %q, want %q", f.Remotes[i].Name, got, want)
		}
	}
	if f.Path != path {
		t.Errorf("the file is %s, want %s", f.Path, path)
	}
}
