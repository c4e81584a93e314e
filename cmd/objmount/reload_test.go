package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/ctl"
)

// rewritten tells what a mount would do with a file that has become another one.
func rewritten(t *testing.T, before, after string, args ...string) (ctl.Reloaded, error) {
	t.Helper()
	c, err := layered(t, before, nil, args...)
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(filepath.Dir(c.file.Path), "key")
	if err := os.WriteFile(key, []byte(strings.Repeat("k", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.file.Path, []byte(after), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &parts{cfg: c, log: quiet(), live: newLive(c.options)}
	return p.reload(true)
}

const reloadFile = `default-remote = "one"
[mount]
commit = "close"
metadata-ttl = "1m"
[remote.one]
proxy = "http://me:secret@proxy:1"
[remote.two]
buckets = ["x-*"]
`

func TestReloaded(t *testing.T) {
	for name, test := range map[string]struct {
		args             []string
		change           []string // old, new
		applied, remount []ctl.Setting
		overridden       []ctl.Setting
	}{
		"nothing":                   {args: []string{"s3://b"}},
		"other lines":               {args: []string{"s3://b"}, change: []string{"[mount]", "\n\n[mount]"}},
		"a default":                 {args: []string{"s3://b"}, change: []string{`metadata-ttl = "1m"`, ""}, applied: []ctl.Setting{{Name: "metadata-ttl", From: "1m", To: "10s"}}},
		"the same in other words":   {args: []string{"s3://b"}, change: []string{`"1m"`, `"60s"`}},
		"of another remote":         {args: []string{"s3://x-b"}, change: []string{"proxy:1", "proxy:2"}},
		"a password":                {args: []string{"s3://b"}, change: []string{"proxy:1", "proxy:2"}, remount: []ctl.Setting{{Name: "proxy", From: "http://me:xxxxx@proxy:1", To: "http://me:xxxxx@proxy:2"}}},
		"a vendor":                  {args: []string{"s3://b"}, change: []string{"[remote.one]", "[remote.one]\nvendor = \"minio\""}, remount: []ctl.Setting{{Name: "vendor", To: "minio"}}},
		"another way for a bucket":  {args: []string{"s3://b"}, change: []string{`["x-*"]`, `["b"]`}, remount: []ctl.Setting{{Name: "buckets", From: "one", To: "two"}}},
		"no way for a bucket":       {args: []string{"s3://x-b"}, change: []string{`default-remote = "one"`, "", `["x-*"]`, `["y-*"]`}, remount: []ctl.Setting{{Name: "buckets", From: "two"}}},
		"a named remote":            {args: []string{"one:b"}, change: []string{`["x-*"]`, `["b"]`}},
		"another way for all":       {args: []string{"s3://"}, change: []string{`"one"`, `"two"`}, remount: []ctl.Setting{{Name: "default-remote", From: "one", To: "two"}}},
		"a public URL":              {args: []string{"s3://b"}, change: []string{"[remote.one]", "[remote.one]\npublic-url = \"https://cdn.example\""}, applied: []ctl.Setting{{Name: "public-url"}}},
		"a namespace":               {args: []string{"two:b"}, change: []string{`["x-*"]`, "[\"x-*\"]\n[remote.two.namespace.tmp]"}, applied: []ctl.Setting{{Name: "prefix"}, {Name: "namespace"}}},
		"the first key":             {args: []string{"two:b"}, change: []string{`["x-*"]`, "[\"x-*\"]\nencryption-key-file = \"key\"\n[remote.two.namespace.tmp]"}, remount: []ctl.Setting{{Name: "prefix"}, {Name: "namespace"}}},
		"a flag":                    {args: []string{"--metadata-ttl=5m", "-o", "commit=close", "s3://b"}, change: []string{`"1m"`, `"2m"`}, overridden: []ctl.Setting{{Name: "commit", From: "-o commit"}, {Name: "metadata-ttl", From: "--metadata-ttl"}}},
		"the past":                  {args: []string{"--at=2026-01-01", "s3://b"}, change: []string{`"1m"`, `"2m"`}, overridden: []ctl.Setting{{Name: "metadata-ttl", From: "--at"}}},
		"all: settings of a remote": {args: []string{"all:"}, change: []string{"proxy:1", "proxy:2"}, remount: []ctl.Setting{{Name: "one.proxy", From: "http://me:xxxxx@proxy:1", To: "http://me:xxxxx@proxy:2"}}},
		"all: one more":             {args: []string{"all:"}, change: []string{"[remote.two]", "[remote.more]\n[remote.two]"}, remount: []ctl.Setting{{Name: "remote", From: "one, two", To: "more, one, two"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := rewritten(t, reloadFile, strings.NewReplacer(test.change...).Replace(reloadFile), test.args...)
			if err != nil {
				t.Fatal(err)
			}
			for what, diff := range map[string]string{
				"applied": cmp.Diff(append([]ctl.Setting{}, test.applied...), got.Applied), "remount": cmp.Diff(append([]ctl.Setting{}, test.remount...), got.Remount),
				"overridden": cmp.Diff(append([]ctl.Setting{}, test.overridden...), got.Overridden),
			} {
				if diff != "" {
					t.Errorf("%s:\n%s", what, diff)
				}
			}
		})
	}
}

func TestReloadRefused(t *testing.T) {
	for after, want := range map[string]string{
		"[mount]\ncommit = \"soon\"\n":             `config.toml:2:10: commit is "soon": want one of close, background; everything stays as it was`,
		"[remote.two]\n":                           `has no remote "one" any more, which is mounted; everything stays as it was`,
		"[remote.one]\nca-bundle = \"none.pem\"\n": "config.toml:2:13: ca-bundle=",
	} {
		if _, err := rewritten(t, reloadFile, after, "s3://b"); ctl.KindOf(err) != ctl.KindInvalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", after, err)
		}
	}
	c, err := layered(t, reloadFile, nil, "--config=", "s3://b")
	if err != nil {
		t.Fatal(err)
	}
	p := &parts{cfg: c, log: quiet(), live: newLive(c.options)}
	if _, err := p.reload(false); ctl.KindOf(err) != ctl.KindInvalid {
		t.Errorf("without a file: %v", err)
	}
}
