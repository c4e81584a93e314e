package configfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Beginnings of files with mistakes.
const (
	aRemote = "[remote.a]\n"
	aPrefix = aRemote + "[[remote.a.prefix]]\npath = \"b/p/\"\n"
	aSpace  = aRemote + "[remote.a.namespace.tmp]\n"
)

func aTag(key, value string) string {
	return aPrefix + "tags = { \"" + key + "\" = \"" + value + "\" }\n"
}

// mistakes are files and what is said about them, after the file's name. Several lines are several errors.
var mistakes = map[string]string{
	// TOML
	"x = \n":                                 "1:5: unexpected character U+000A at start of value; text is written in quotes",
	"[mount]\nmetadata-ttl = 5s\n":           "2:17: strings must be quoted; text is written in quotes",
	aRemote + "region = \"a\"\n" + aRemote:   "3:2: table a already exists; leave one of them out",
	aRemote + "vendor='aws'\nvendor='aws'":   "3:1: key vendor is already defined; leave one of them out",
	"[mount\n":                               "1:7: expected ']' to close table name; a line is [table]",
	"commit\n":                               "1:7: expected '=' after key; a line is [table]",
	"\ufeff\r\n# \u00e4\r\ndefault-remot=1":  `3:1: there is no key "default-remot" at the top; did you mean default-remote?`,
	"default-remote = \"\xff\"":              "1:19: invalid UTF-8 character in basic string; write it in TOML",
	"default-remote = \"x\ny\"":              "1:20: basic strings cannot have new lines; the closing quote is missing in this line",
	"default-remote = 0o999":                 "1:18: radix prefix must be followed by at least one digit; the digits do not fit to 0x, 0o or 0b",
	aRemote + "access-key = 'x'":             "2:1: access-key: keys have no place here; use profile or credentials-file",
	aRemote + "aws_access_key_id = 'secret'": "2:1: aws_access_key_id: keys have no place here; use profile or credentials-file",
	// keys and types
	"mount = 1":                       "1:9: mount is the number 1; want a table [mount]",
	"remote = true":                   "1:10: remote is true; want a table [remote.NAME]",
	"remote.a = 2026-01-01":           "1:12: remote.a is the date 2026-01-01; want a table [remote.NAME]",
	"[[remote]]\n":                    "1:3: remote is a list; want a table [remote.NAME]",
	"[mount]\nconmit = 'x'":           `2:1: there is no key "conmit" in [mount]; did you mean commit?`,
	"[mount]\nmetadata_ttl = '1s'":    `2:1: there is no key "metadata_ttl" in [mount]; did you mean metadata-ttl?`,
	"[mount]\nwhatever = 'x'":         `2:1: there is no key "whatever" in [mount]; there are commit, metadata-ttl, allow-other, file-mode`,
	"[mount]\nregion = 'x'":           "2:1: region says where a store is; write it in [remote.NAME]",
	aRemote + "commit = 'x'":          "2:1: commit is of the whole mount; write it in [mount]",
	aRemote + "commit.x = 'x'":        "2:1: commit is of the whole mount; write it in [mount]",
	aRemote + "endpoint = 'x'":        `2:1: there is no key "endpoint" in [remote.a]; there are endpoint-url, `,
	aRemote + "region = 1":            `2:10: region is the number 1; want text in quotes, such as region = "..."`,
	aRemote + "no-sign-request = 'x'": "2:19: no-sign-request is text; want true or false, without quotes",
	aRemote + "max-attempts = 1_000":  `2:16: max-attempts is "1_000": want a number from 1 to 100`,
	aRemote + "max-attempts = [3]":    "2:1: max-attempts is a list; want one value",
	aRemote + "connect-timeout = 'x'": `2:19: connect-timeout is "x": want a time such as 10s`,
	aRemote + "äö = 1":                "2:1: a key with 'ä' is written in quotes",
	aRemote + "\"äö\" = 1":            `2:1: there is no key "äö" in [remote.a]`,
	aRemote + "region = 'ä'; x":       "2:13: expected newline but got U+003B ';'; write it in TOML",
	// what contradicts
	aRemote + "profile='x'\nno-sign-request=true": "1:9: [remote.a]: --no-sign-request and --profile exclude each other",
	"default-remote = 'b'\n" + aRemote:            `1:18: default-remote is "b", but there is no [remote.b]; write one of a, or leave it out`,
	"default-remote = 'b'":                        `1:18: default-remote is "b", but there is no [remote.b]; add it, or leave default-remote out`,
	"[remote.all]\n":                              `1:9: the name "all" has a meaning of its own in all:; choose another name`,
	"[remote.s3]\n":                               `1:9: the name "s3" has a meaning of its own in s3://; choose another name`,
	"[remote.'A b']\n":                            `1:9: "A b" is no name of a remote; take up to 63 lower-case letters`,
	aRemote + "vendor = 'IBM'":                    `2:10: vendor "IBM" is not known; write one of aws, minio, or leave it out`,
	// buckets
	aRemote + "buckets = 'x'":                                `2:11: buckets is text; want a list, such as buckets = ["logs-*", "data"]`,
	aRemote + "buckets = [1]":                                `2:12: buckets has the number 1 in it; want names or patterns in quotes`,
	aRemote + "buckets = ['a/b']":                            `2:12: the pattern "a/b" has a "/"; it is of bucket names alone`,
	aRemote + "buckets = ['x',\n'[z']":                       `3:1: the pattern "[z" is none`,
	aRemote + "buckets = ['']":                               `2:12: the pattern "" is empty; write "*" for every bucket`,
	aRemote + "buckets = ['a b']":                            `2:12: the pattern "a b" has ' ', which no bucket name has; leave it out`,
	aRemote + "buckets = ['x', 'x']":                         `2:17: the pattern "x" is there already (line 2); leave one of them out`,
	aRemote + "buckets = ['x']\n[remote.b]\nbuckets=['x']":   `4:10: the pattern "x" is also one of [remote.a] (line 2); a bucket belongs to one remote`,
	aRemote + "buckets = ['*']\n[remote.b]\nbuckets=['x*']":  `4:10: "*" of [remote.a] (line 2) comes first and takes every bucket of the pattern "x*"; put [remote.b] above it`,
	aRemote + "buckets = ['x*']\n[remote.b]\nbuckets=['xy']": `4:10: "x*" of [remote.a] (line 2) comes first and takes every bucket of the pattern "xy"; put [remote.b] above it`,
	// prefixes
	aRemote + "prefix = 'x'":                         "2:10: prefix is text; want tables [[remote.a.prefix]]",
	aRemote + "prefix = ['x']":                       "2:11: prefix is text; want a table [[remote.a.prefix]]",
	aRemote + "[remote.a.prefix]\n":                  "2:11: prefix is a table; want tables [[remote.a.prefix]]",
	aRemote + "[[remote.a.prefix]]\n":                `2:12: [[remote.a.prefix]] has no path; say which objects, such as path = "logs-*/raw/"`,
	aRemote + "prefix = [{path='b//x'}]":             `2:17: path "b//x": the prefix begins with "/"; keys do not, leave it out`,
	aRemote + "prefix = [{path='b/x//y'}]":           `2:17: path "b/x//y": the prefix has "//", which no store keeps reliably; write one "/"`,
	aRemote + "prefix = [{path='/x'}]":               `2:17: path "/x": the pattern "" of the bucket is empty; write "*" for every bucket`,
	aRemote + "prefix = [{path=1}]":                  `2:17: path is the number 1; want text in quotes, such as path = "logs-*/raw/"`,
	aRemote + "prefix = [{path='b/x'},{path='b/x'}]": `2:30: "b/x" is described already (line 2); put both into one`,
	aPrefix + "storage-klass = 'X'":                  `4:1: there is no key "storage-klass" in [[remote.a.prefix]]; did you mean storage-class?`,
	aPrefix + "region = 'X'":                         `4:1: there is no key "region" in [[remote.a.prefix]]; there are path, cache-control`,
	// properties
	aPrefix + "content-type = 1":                                                `4:16: content-type is the number 1; want text in quotes, such as content-type = "text/plain"`,
	aPrefix + "content-type = ' x'":                                             "4:16: content-type has blanks at its ends, which get lost in HTTP headers; leave them out",
	aPrefix + "cache-control = 'é'":                                             "4:17: cache-control has characters that no HTTP header has; write printable ASCII",
	aPrefix + "content-language = '" + strings.Repeat("x", 2049) + "'":          "4:20: content-language has 2049 bytes; write at most 2048",
	aPrefix + "expires = 'tomorrow'":                                            `4:11: expires is no date; write it as "Mon, 02 Jan 2006 15:04:05 GMT" or 2006-01-02T15:04:05Z`,
	aPrefix + "storage-class = 'glacier'":                                       `4:17: storage-class is "glacier"; a class is written as STANDARD_IA`,
	aPrefix + "encryption = 'kms'":                                              `4:14: encryption is "kms"; want AES256, aws:kms, aws:kms:KEYID, aws:kms:dsse or aws:kms:dsse:KEYID`,
	aRemote + "encryption = 'AES256:key'":                                       `2:14: encryption is "AES256:key"; want AES256`,
	aPrefix + "encryption = 'AES256'\nencryption-key-file = 'raw.key'":          "5:1: encryption and encryption-key-file exclude each other",
	aRemote + "encryption-key-file = 'none.key'":                                "2:23: encryption-key-file DIR/none.key: there is no such file",
	aRemote + "encryption-key-file = 'short.key'":                               "2:23: encryption-key-file DIR/short.key: holds no key of 32 bytes, raw, as 64 hexadecimal digits or as 44 characters of base64; make one with: openssl rand -base64 32",
	aRemote + "encryption-key-file = 'hex16.key'":                               "2:23: encryption-key-file DIR/hex16.key: holds no key of 32 bytes",
	aRemote + "encryption-key-file = 'open.key'":                                "2:23: encryption-key-file DIR/open.key: is open to others than its owner (mode 0644); chmod 0600 it",
	aRemote + "public-url = 'cdn.example.com'":                                  `2:14: public-url is no URL; write one such as "https://cdn.example.com/{bucket}"`,
	aRemote + "public-url = 'https://u:secret@x/'":                              "2:14: public-url has a user or password in it, which everybody would see; leave them out",
	aRemote + "public-url = 'https://x/?a'":                                     `2:14: public-url has a query or fragment`,
	aRemote + "public-url = 'https://x/{key}'":                                  "2:14: public-url has a mark that is not known; {bucket} is the only one",
	aPrefix + "tags = ['a']":                                                    `4:1: tags is a list; want a table, such as tags = { team = "a" }`,
	aPrefix + "tags = { year = 2026 }":                                          `4:17: tags.year is the number 2026; want text in quotes, such as tags.year = "a"`,
	aTag("aws:x", "y"):                                                          `4:10: tags that begin with "aws:" are Amazon's own; choose another key`,
	aTag("", "y"):                                                               "4:10: a tag has no key; give it one",
	aTag("x", "a&b"):                                                            `4:10: the tag "x" has a character that tags do not have; take letters, digits, blanks and + - = . _ : / @`,
	aTag(strings.Repeat("k", 129), "y"):                                         "4:10: the key of a tag has 129 characters; write at most 128",
	aTag("x", strings.Repeat("ä", 257)):                                         `4:16: the value of the tag "x" has 257 characters; write at most 256`,
	aPrefix + "tags = {a='',b='',c='',d='',e='',f='',g='',h='',i='',j='',k=''}": "4:1: there are 11 tags; an object has at most 10, leave some out",
	aPrefix + "metadata = { x = '" + strings.Repeat("x", 1800) + "' }":          "4:1: the metadata have 1801 bytes; keys and values may have 1792 together",
	aPrefix + "metadata = { 'a b' = 'x' }":                                      `4:14: the key "a b" of metadata cannot be the end of an HTTP header's name; take letters, digits and -`,
	aPrefix + "metadata = { Mtime = 'x' }":                                      `4:14: the metadata "Mtime" are an attribute of the file`,
	aPrefix + `metadata = { x = "a\nb" }`:                                       `4:18: the metadata "x" have a control character; write one line of text`,
	aPrefix + "metadata = { x = '1', X = '2' }":                                 `4:23: the metadata "X" are there twice: capitals do not count; leave one of them out`,
	aPrefix + "retention = '1h'":                                                `4:13: retention is "1h"; want days up to "36500d" or years up to "100y", such as "30d" or "1y"`,
	aPrefix + "retention = '101y'":                                              `4:13: retention is "101y"`,
	aPrefix + "retention = 30":                                                  `4:13: retention is the number 30; want text in quotes, such as retention = "30d"`,
	aPrefix + "retention = '1d'\nretention-mode='x'":                            `5:16: retention-mode is "x"; want "governance"`,
	aPrefix + "retention-mode = 'compliance'":                                   `4:1: retention-mode says nothing without retention; add retention = "30d", or leave it out`,
	aPrefix + "legal-hold = 'on'":                                               "4:14: legal-hold is text; want true or false, without quotes",
	// namespaces
	aRemote + "namespace = 1":                     "2:13: namespace is the number 1; want a table [remote.a.namespace.NAME]",
	aRemote + "namespace.x = 1":                   "2:15: namespace.x is the number 1; want a table [remote.a.namespace.NAME]",
	aRemote + "[remote.a.namespace.X]\n":          `2:21: "X" is no name of a namespace`,
	aSpace + "expire = '1h'":                      `3:10: expire is "1h"; want whole days from "1d" to "36500d": the store removes objects once a day`,
	aSpace + "expire = 7":                         `3:10: expire is the number 7; want text in quotes, such as expire = "7d"`,
	aSpace + "expire = '36501d'":                  `3:10: expire is "36501d"`,
	aSpace + "prefix = 'x'":                       `3:10: the prefix "x" does not end in "/"; write "x/"`,
	aSpace + "prefix = ''":                        `3:10: the prefix "" is empty; a namespace is a directory`,
	aSpace + "prefix = '/x/'":                     `3:10: the prefix "/x/" begins with "/"`,
	aSpace + "bucket = 'a/b'":                     `3:10: the pattern "a/b" has a "/"`,
	aSpace + "path = 'x/'":                        `3:1: there is no key "path" in [remote.a.namespace.tmp]; there are bucket, prefix`,
	aSpace + "[[remote.a.prefix]]\npath='*/tmp/'": `4:6: "*/tmp/" is described already (line 2); put both into one`,
	// more than one
	"a = 1\n[mount]\ncommit = true\nb = 2\n" + aRemote + "c = 3\nmax-attempts = 'x'": "1:1: there is no key \"a\" at the top; there are default-remote, mount, remote\n" +
		"4:1: there is no key \"b\" in [mount]; there are\n6:1: there is no key \"c\" in [remote.a]; there are\n7:16: max-attempts is \"x\"",
}

// TestMistakes: each gives one line that says where, what and what to write instead.
func TestMistakes(t *testing.T) {
	t.Parallel()
	for text, want := range mistakes {
		path := write(t, text)
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), "open.key"), []byte(strings.Repeat("k", 32)), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path, testFlags())
		all, _ := errors.AsType[Errors](err)
		wants := strings.Split(want, "\n")
		if len(all) != len(wants) {
			t.Errorf("%q: %d errors %v, want %s", text, len(all), []*Error(all), want)
			continue
		}
		for i, e := range all {
			line := e.Error()
			if !strings.HasPrefix(line, path+":"+strings.ReplaceAll(wants[i], "DIR", filepath.Dir(path))) || strings.Contains(line, "\n") || strings.Contains(line, "secret") {
				t.Errorf("%q: %s, want %s", text, line, wants[i])
			}
		}
	}
}

// TestPasswordOfProxy: a file that holds one is nobody else's.
func TestPasswordOfProxy(t *testing.T) {
	t.Parallel()
	flags := testFlags()
	for i := range flags.Store {
		flags.Store[i].Check = func(string) error { return nil }
	}
	path := write(t, "[remote.a]\nproxy = 'http://u:secret@x:1'\n")
	if _, err := Load(path, flags); err != nil {
		t.Error(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	want := path + ":2:9: proxy holds a password, and every user can read this file (mode 0644); chmod o-r it"
	if _, err := Load(path, flags); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestSafeFromOthers: the files of root are not written by somebody else.
func TestSafeFromOthers(t *testing.T) {
	t.Parallel()
	path := write(t, "")
	for mode, gids := range map[os.FileMode]map[uint32]bool{0o644: {0: true, 7: true}, 0o664: {0: true, 7: false}, 0o646: {0: false, 7: false}} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			t.Fatal("no stat")
		}
		for gid, want := range gids {
			st.Gid = gid
			if err := safeFromOthers(info, 0); (err == nil) != want {
				t.Errorf("mode %o, group %d: %v", mode, gid, err)
			}
			if err := safeFromOthers(info, 1000); err != nil {
				t.Errorf("for a user: %v", err)
			}
		}
	}
}

// TestNotAllowed: as root no test can meet a file that it may not read.
func TestNotAllowed(t *testing.T) {
	t.Parallel()
	err := cannotOpen(&fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES})
	if !errors.Is(err, fs.ErrPermission) || err.Error() != "cannot be read by this user (permission denied); become its owner, or take another file" {
		t.Error(err)
	}
}

// TestFirstError: what a mount says.
func TestFirstError(t *testing.T) {
	t.Parallel()
	path := write(t, "a = 1\nb = 2\nc = 3")
	_, err := Load(path, testFlags())
	if want := path + ":1:1: there is no key \"a\" at the top; there are default-remote, mount, remote (and 2 more; objmount config check " + path + " shows them)"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
