package test

import (
	"os"
	"testing"
)

// The rules of the repository, as tables. Every row has its reason, and a row that refers to
// something that no longer exists is a failure too.

const module = "github.com/objmount/objmount"

// layers says which folders of the project a folder may import. Imports go one way: backend <-
// blocks, metadata, staging <- writeback <- fs <- cmd.
var layers = []layer{
	{folder: "backend", why: "the vocabulary imports nothing, so that everybody can import it",
		noStd: []string{"net", "net/http", "os"}},
	{folder: "backend/contenttype", may: []string{"backend"}, why: "pure functions: what a file is by its name and first bytes; net/http for its table of signatures",
		noStd: []string{"os", "net", "mime"}},
	{folder: "backend/documents", may: []string{"backend"}, why: "pure functions: the forms of a bucket's documents, the same for every store",
		noStd: []string{"os", "net", "net/http"}},
	{folder: "backend/access", may: []string{"backend"}, why: "pure functions: what policies and ACLs mean, the same for every store",
		noStd: []string{"os", "net", "net/http"}},
	{folder: "backend/mem", may: []string{"backend", "backend/documents"}, why: "a store knows the vocabulary and nothing of the mount"},
	{folder: "backend/backendtest", may: []string{"backend"}, why: "the suite must run on any store"},
	{folder: "backend/past", may: []string{"backend"}, why: "another look at any store: it asks what the vocabulary can ask",
		noStd: []string{"os", "net", "net/http"}},
	{folder: "backend/remotes", may: []string{"backend"}, why: "stores side by side: what each of them is, it does not know",
		noStd: []string{"os", "net", "net/http"}},
	{folder: "backend/s3", may: []string{"backend", "backend/documents"}, why: "a store knows the vocabulary and nothing of the mount"},
	{folder: "cache", why: "documentation only: how the four below divide the work"},
	{folder: "cache/blocks", may: []string{"backend", "cache/blocks/disk"}, why: "what may be thrown away knows only the store's vocabulary"},
	{folder: "cache/blocks/disk", may: []string{"backend"}, why: "disk, never network", noStd: []string{"net", "net/http"}},
	{folder: "cache/metadata", may: []string{"backend"}, why: "what may be thrown away knows only the store's vocabulary"},
	{folder: "cache/staging", may: []string{"backend"}, why: "disk, never network: what it promises must not depend on a store",
		noStd: []string{"net", "net/http"}},
	{folder: "cache/writeback", may: []string{"backend", "cache/staging"}, why: "network, never disk: it asks staging for readers",
		noStd: []string{"os", "net", "net/http"}},
	{folder: "fs", may: []string{"backend", "backend/contenttype", "cache/blocks", "cache/metadata", "cache/staging", "cache/writeback", "fs/names", "fs/attributes", "xattr"},
		why: "the inode layer joins the caches and does not know who starts it; it reaches a store only through backend's roles"},
	{folder: "fs/names", why: "pure functions", noStd: []string{"os", "net", "net/http"}},
	{folder: "fs/attributes", why: "pure functions", noStd: []string{"os", "net", "net/http"}},
	{folder: "xattr", may: []string{"backend"}, why: "pure functions: names of attributes and properties of objects, nothing that asks a store or knows an errno",
		noStd: []string{"os", "net", "net/http"}},
	{folder: "ctl", may: []string{"backend", "backend/contenttype", "backend/access", "backend/documents"}, why: "a transport of verbs: it declares the few methods it needs of a mount, and fs does not know it"},
	{folder: "cmd/objmount/configfile", may: []string{"backend"}, why: "a file and what it says, in the vocabulary; it reaches no store",
		noStd: []string{"net", "net/http"}},
	{folder: "packaging", why: "checks the files beside it"},
	{folder: "cmd/objmount", may: []string{"*"}, why: "the only place that joins things"},
	{folder: "test", may: []string{"*"}, why: "sees the whole"},
}

// inTests lists what the _test.go files of any folder may import besides: stores to test with.
var inTests = []string{"backend", "backend/mem", "backend/remotes", "backend/backendtest"}

// owners says which folder may import a third-party module. The others say what they need in
// terms of their own and get it from the owner, so that a module can be replaced in one place.
var owners = []owner{
	{module: "github.com/aws/aws-sdk-go-v2", folders: []string{"backend/s3"}, instead: "take a role of package backend, such as backend.Reader"},
	{module: "github.com/aws/smithy-go", folders: []string{"backend/s3"}, instead: "look at backend.KindOf(err); the SDK's errors are decoded in backend/s3"},
	{module: "github.com/minio/crc64nvme", folders: []string{"backend/s3"}, instead: "take a checksum function in the Config; cmd/objmount passes the one of backend/s3"},
	{module: "github.com/dgraph-io/ristretto/v2", folders: []string{"cache/blocks"}, instead: "use cache/blocks, or a map with a limit"},
	{module: "github.com/cespare/xxhash/v2", folders: []string{"cache/blocks"}, instead: "use hash/crc32 (Castagnoli) of the standard library"},
	{module: "go.etcd.io/bbolt", folders: []string{"cache/metadata"}, instead: "keep it in memory, or in the journal of cache/staging if it must survive"},
	{module: "github.com/hanwen/go-fuse/v2", folders: []string{"fs"}, instead: "return an error with a backend.Kind; fs talks to the kernel"},
	{module: "github.com/spf13/cobra", folders: []string{"cmd/objmount"}, instead: "take a Config; the command line fills it"},
	{module: "github.com/spf13/pflag", folders: []string{"cmd/objmount"}, instead: "take a Config; the command line fills it"},
	{module: "github.com/dustin/go-humanize", folders: []string{"cmd/objmount"}, instead: "log and return numbers of bytes; the command line prints them"},
	{module: "github.com/pelletier/go-toml/v2", folders: []string{"cmd/objmount/configfile"}, instead: "take a value of configfile; the file is decoded there"},
	{module: "github.com/schollz/progressbar/v3", folders: []string{"cmd/objmount"}, instead: "report numbers through a callback; the command line draws them"},
	{module: "github.com/coreos/go-systemd/v22", folders: []string{"cmd/objmount"}, instead: "report readiness through a callback"},
}

// everywhere lists modules without an owner.
var everywhere = []string{"golang.org/x"}

// testLibraries may be imported by _test.go files and by the folders of test code.
var testLibraries = []string{
	"pgregory.net/rapid", "go.uber.org/goleak", "github.com/google/go-cmp", "github.com/rogpeppe/go-internal",
}

// testFolders hold test code in files that are not named _test.go.
var testFolders = []string{"backend/backendtest", "test"}

// ownersInTests says which modules the end-to-end tests may import besides, and why.
var ownersInTests = []owner{
	{module: "github.com/aws/aws-sdk-go-v2", folders: []string{"test"}, instead: "makes buckets and is the bare client that the benchmark compares with"},
	{module: "github.com/hanwen/go-fuse/v2", folders: []string{"test"}, instead: "has the suite posixtest"},
}

const (
	maxLines     = 400
	maxTestLines = 600
	maxFunction  = 80
)

// longFiles and longFunctions list the exceptions, each with its reason. A function is named
// "folder/file.go:Name".
var (
	longFiles     = map[string]string{}
	longFunctions = map[string]string{}
)

// badNames say nothing about what is inside.
var badNames = []string{"util", "utils", "common", "helper", "helpers", "manager", "managers", "misc"}

// badWords must not be in any file of the repository. They are written in two pieces here.
var badWords = []badWord{
	{"/wor" + "k/", "a path of one machine; use a path relative to the repository"},
	{"/roo" + "t/", "a path of one machine; use $HOME or a temporary directory"},
	{"/hom" + "e/", "a path of one machine; use $HOME or a temporary directory"},
	{"// TO" + "DO", "do it, or open an issue"},
	{"# TO" + "DO", "do it, or open an issue"},
	{"FIX" + "ME", "fix it, or open an issue"},
}

func TestArchitecture(t *testing.T) {
	repo, err := loadRepository(os.DirFS(".."))
	if err != nil {
		t.Fatal(err)
	}
	rules := ruleSet{
		layers: layers, inTests: inTests, owners: owners, ownersInTests: ownersInTests,
		everywhere: everywhere, testLibraries: testLibraries, testFolders: testFolders,
		longFiles: longFiles, longFunctions: longFunctions, badNames: badNames, badWords: badWords,
	}
	for _, check := range checks {
		t.Run(check.name, func(t *testing.T) {
			for _, problem := range check.run(repo, rules) {
				t.Error(problem)
			}
		})
	}
}
