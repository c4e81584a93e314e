package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/cmd/objmount/configfile"
	"github.com/objmount/objmount/ctl"
)

func loaded(t *testing.T, text string) *configfile.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := configfile.Load(path, fileFlags())
	if err != nil {
		t.Fatal(err)
	}
	return file
}

const givenText = `
[remote.lab]
[[remote.lab.prefix]]
path = "*"
storage-class = "STANDARD_IA"
[remote.lab.namespace.tmp]
expire = "2d"
tags = { keep = "no" }
[remote.other]
[[remote.other.prefix]]
path = "jobs-*/raw/"
cache-control = "no-store"
`

// What is given is that of the remote which a bucket is of, in a mount of one and of several, and follows a reload.
func TestGivenByRemote(t *testing.T) {
	t.Parallel()
	file := loaded(t, givenText)
	given := func(p *parts, bucket, key string) backend.Properties {
		return p.defaults(backend.ObjectID{Bucket: bucket, Key: key})
	}
	o := newOptions()
	o.file = file
	one := &parts{cfg: &config{options: o, src: source{bucket: "b"}, remote: file.Remote("lab")}}
	several := &parts{cfg: &config{options: o, src: source{remote: allRemotes}}}
	none := &parts{cfg: &config{options: newOptions(), src: source{bucket: "b"}}}
	tmp := backend.Properties{StorageClass: "STANDARD_IA", Tags: map[string]string{"keep": "no"}}
	raw := backend.Properties{Headers: backend.Headers{CacheControl: "no-store"}}
	for _, test := range []struct {
		p           *parts
		bucket, key string
		want        backend.Properties
	}{
		{one, "b", "tmp/f", tmp}, {one, "b", "f", backend.Properties{StorageClass: "STANDARD_IA"}}, {one, "jobs-1", "raw/f", backend.Properties{StorageClass: "STANDARD_IA"}},
		{several, "lab/b", "tmp/f", tmp}, {several, "other/jobs-1", "raw/f", raw}, {several, "other/b", "raw/f", backend.Properties{}}, {several, "gone/b", "tmp/f", backend.Properties{}},
		{none, "b", "tmp/f", backend.Properties{}},
	} {
		if diff := cmp.Diff(test.want, given(test.p, test.bucket, test.key)); diff != "" {
			t.Errorf("%s/%s:\n%s", test.bucket, test.key, diff)
		}
	}
	want := []ctl.Namespace{{Name: "tmp", Prefix: "tmp/", Expire: 2, StorageClass: "STANDARD_IA", Tags: tmp.Tags}}
	if diff := cmp.Diff(want, one.namespaces("b")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, several.namespaces("lab/b")); diff != "" {
		t.Error(diff)
	}
	if got := one.present("b"); !cmp.Equal(got, []string{"tmp/"}) || several.present("other/b") != nil || none.present("b") != nil {
		t.Errorf("present: %q", got)
	}
	past := *o
	past.at.Time = time.Unix(1e9, 0)
	if got := (&parts{cfg: &config{options: &past, src: source{bucket: "b"}, remote: file.Remote("lab")}}).present("b"); got != nil {
		t.Errorf("present in the past: %q", got)
	}
	one.file.Store(loaded(t, "[[remote.lab.prefix]]\npath = \"*\"\ncache-control = \"private\"\n"))
	if diff := cmp.Diff(backend.Properties{Headers: backend.Headers{CacheControl: "private"}}, given(one, "b", "tmp/f")); diff != "" {
		t.Errorf("after a reload:\n%s", diff)
	}
	if got := one.present("b"); got != nil {
		t.Errorf("present after a reload: %q", got)
	}
}
