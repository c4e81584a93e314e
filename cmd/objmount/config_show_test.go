package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/objmount/objmount/cmd/objmount/configfile"
)

// TestShownFileSaysTheSame: what config show prints is a file that says what the first one says, but for places.
func TestShownFileSaysTheSame(t *testing.T) {
	const text = `default-remote = "b"
mount = { commit = "background", file-mode = "0600" }
[remote.a]
vendor = 'minio'
region = "x\"y\\z"
max-attempts = 1_0
no-sign-request = true
buckets = ["a*", 'b\*']
encryption = "AES256"
public-url = "https://x/{bucket}/"
[[remote.a.prefix]]
path = "*"
tags = { "a b" = "ä", "c" = "" }
[[remote.a.prefix]]
path = "a/"
legal-hold = true
expires = 2030-01-01 00:00:00Z
[[remote.a.prefix]]
path = "a/b/"
encryption = ""
tags = {}
legal-hold = false
storage-class = ""
metadata = { "x.y" = "'\"" }
retention = "2y"
retention-mode = "compliance"
[remote.a.namespace.tmp]
expire = "1d"
content-type = "t/x"
[[remote.a.prefix]]
path = "a*/tmp/"
content-type = "t/y"
[remote.a.namespace.out]
prefix = "o u/\u00e9/"
bucket = "z"
[remote.b]
encryption-key-file = "key"
`
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("key", "0123456789abcdef0123456789abcdef")
	t.Setenv("OBJMOUNT_CONFIG", write("one.toml", text))
	o, flags, err := surroundings()
	if err == nil {
		err = o.readFile(flags)
	}
	if err != nil {
		t.Fatal(err)
	}
	v, err := o.view(flags, nil)
	if err != nil {
		t.Fatal(err)
	}
	again, err := configfile.Load(write("two.toml", v.text()), fileFlags())
	if err != nil {
		t.Fatalf("%v in\n%s", err, v.text())
	}
	places := cmp.Options{
		cmpopts.IgnoreFields(configfile.File{}, "Path"), cmpopts.IgnoreFields(configfile.Setting{}, "Line", "Column"), cmpopts.IgnoreFields(configfile.Remote{}, "Line"),
		cmpopts.IgnoreFields(configfile.Rule{}, "Line"), cmpopts.IgnoreFields(configfile.Namespace{}, "Line"),
		cmpopts.SortSlices(func(a, b configfile.Setting) bool { return a.Name < b.Name }), // flags have an order of their own
		cmpopts.SortSlices(func(a, b string) bool { return a < b }),                       // what a rule takes away
	}
	if diff := cmp.Diff(o.file, again, places); diff != "" {
		t.Errorf("%s\n%s", diff, v.text())
	}
}
