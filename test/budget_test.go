package test

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The request budget: what each operation may cost, counted at the wire. A row that fails means
// that users far from their store wait longer.

const mib = 1 << 20

// limits is asked for once per bucket and --metadata-ttl by who writes.
const limits = "GETBucket?tagging"

// A budgetCase mounts a bucket that has some files and counts the requests of one operation.
type budgetCase struct {
	name    string
	args    []string
	prepare func(b *budget) // before the count starts
	operate func(b *budget)
	// limit of each S3 operation; what is not named must not happen.
	limit map[string]int
	// limits of object data, in bytes
	sent, received int64
}

// budget is what a case works on.
type budget struct {
	testing.TB
	dir   string // the mountpoint
	m     *mount
	proxy *proxy
	store *store
	files string // the bucket's folder in the server
}

var budgetCases = []budgetCase{
	{
		name:    "stat of a path in a directory not listed",
		prepare: func(b *budget) { b.seed("d/file", 10); b.seed("d/other", 10); b.stat("d") },
		operate: func(b *budget) { b.stat("d/file") },
		limit:   map[string]int{"ListObjectsV2": 1},
	},
	{
		name: "stat of a directory whose name sorts after a full page",
		prepare: func(b *budget) {
			b.seed("d/name/file", 10)
			for i := range 120 {
				b.seed(fmt.Sprintf("d/name-%03d", i), 1)
			}
			b.stat("d")
		},
		operate: func(b *budget) { b.stat("d/name") },
		limit:   map[string]int{"ListObjectsV2": 2},
	},
	{
		name:    "stat in a listed directory",
		prepare: func(b *budget) { b.seed("d/file", 10); b.list("d") },
		operate: func(b *budget) { b.stat("d/file"); b.noStat("d/missing") },
	},
	{
		name:     "open and read of a small file, directory listed",
		prepare:  func(b *budget) { b.seed("d/file", mib); b.list("d") },
		operate:  func(b *budget) { b.read("d/file") },
		limit:    map[string]int{"GetObject": 1},
		received: mib,
	},
	{
		name:     "open and read of a small file, directory not listed",
		prepare:  func(b *budget) { b.seed("d/file", mib); b.stat("d") },
		operate:  func(b *budget) { b.read("d/file") },
		limit:    map[string]int{"ListObjectsV2": 1, "GetObject": 1},
		received: mib,
	},
	{
		name:    "create, write one part and close, directory listed",
		prepare: func(b *budget) { b.seed("d/file", 10); b.list("d") },
		operate: func(b *budget) { b.write("d/new", 3*mib) },
		limit:   map[string]int{limits: 1, "PutObject if-none-match=*": 1},
		sent:    3 * mib,
	},
	{
		name:    "rewrite of a small file, directory listed",
		prepare: func(b *budget) { b.seed("d/file", 10); b.list("d") },
		operate: func(b *budget) { b.write("d/file", 2*mib) },
		limit:   map[string]int{limits: 1, "PutObject if-match": 1, "HeadObject": 1},
		sent:    2 * mib,
	},
	{
		name: "ls -l of 900 entries of plain data",
		prepare: func(b *budget) {
			for i := range 900 {
				b.seed(fmt.Sprintf("d/entry%03d", i), i)
			}
			b.stat("d")
		},
		operate: func(b *budget) { b.lines(b.run("ls", "-l", b.dir+"/d"), 901) },
		limit:   map[string]int{"ListObjectsV2": 1},
	},
	{
		name: "find over 1,000 directories of 10 files",
		prepare: func(b *budget) {
			for i := range 10_000 {
				b.seed(fmt.Sprintf("d/dir%03d/file%d", i/10, i%10), 1)
			}
			b.stat("d")
		},
		operate: func(b *budget) { b.lines(b.run("find", b.dir+"/d"), 11_001) },
		limit:   map[string]int{"ListObjectsV2": 14},
	},
	{
		name: "chmod, chown, utimens in a row",
		prepare: func(b *budget) {
			b.seed("d/file", 10)
			b.write("d/first", 1) // attributes of its own put the markers
			b.run("chmod", "600", b.dir+"/d/first")
			b.list("d")
			b.stat("d/file")
			time.Sleep(2 * time.Second)
		},
		operate: func(b *budget) { b.attributes("d/file"); time.Sleep(2 * time.Second) },
		limit:   map[string]int{"HeadObject": 1, "CopyObject": 1},
	},
	{
		name: "chmod, chown, utimens and a rename after them",
		prepare: func(b *budget) {
			b.seed("d/file", 10)
			b.write("d/first", 1)
			b.run("chmod", "600", b.dir+"/d/first")
			b.list("d")
			b.stat("d/file")
			time.Sleep(2 * time.Second)
		},
		operate: func(b *budget) { b.attributes("d/file"); b.rename("d/file", "d/renamed"); time.Sleep(2 * time.Second) },
		// One HEAD where the store has conditions on a copy's destination (fs's budget test); VersityGW has none, so
		// the new name is looked at before and after.
		limit: map[string]int{"HeadObject": 3, "CopyObject": 1, "DeleteObject if-match": 1},
	},
	{
		name:    "rename of a stored file",
		prepare: func(b *budget) { b.seed("d/file", mib); b.list("d") },
		operate: func(b *budget) { b.rename("d/file", "d/renamed") },
		limit:   map[string]int{"HeadObject": 1, "CopyObject": 1, "DeleteObject if-match": 1},
	},
	{
		name:    "1 MiB overwritten in the middle of 1 GiB",
		prepare: func(b *budget) { b.seed("d/big", 1<<30); b.list("d") },
		operate: func(b *budget) { b.patch("d/big", 512*mib+4321, mib) },
		limit: map[string]int{limits: 1, "HeadObject": 2, "CreateMultipartUpload": 1, "UploadPart": 3, "UploadPartCopy": 20, "GetObject": 2,
			"CompleteMultipartUpload if-match": 1},
		sent: 16*mib - 1, received: 16 * mib,
	},
	{
		name:    "1 byte appended to 1 GiB",
		prepare: func(b *budget) { b.seed("d/big", 1<<30); b.list("d") },
		operate: func(b *budget) { b.patch("d/big", 1<<30, 1) },
		limit: map[string]int{limits: 1, "HeadObject": 2, "CreateMultipartUpload": 1, "UploadPart": 1, "UploadPartCopy": 20, "GetObject": 1,
			"CompleteMultipartUpload if-match": 1},
		sent: 16*mib - 1, received: 16 * mib,
	},
	{
		name:    "cp of 1 GiB inside the mount",
		prepare: func(b *budget) { b.seed("d/big", 1<<30); b.list("d") },
		operate: func(b *budget) { b.run("cp", b.dir+"/d/big", b.dir+"/d/copy") },
		limit:   map[string]int{limits: 1, "HeadObject": 4, "CopyObject": 1},
	},
	{
		name:    "second read of an unchanged file",
		prepare: func(b *budget) { b.seed("d/file", 20*mib); b.list("d"); b.read("d/file") },
		operate: func(b *budget) { b.read("d/file") },
		limit:   map[string]int{"HeadObject": 1},
	},
	{
		name:    "second read of an unchanged small file",
		prepare: func(b *budget) { b.seed("d/file", 5000); b.list("d"); b.read("d/file") },
		operate: func(b *budget) { b.read("d/file") },
		limit:   map[string]int{"HeadObject": 1, "GetObject if-none-match": 1},
	},
}

func TestRequestBudget(t *testing.T) {
	t.Parallel()
	for _, c := range budgetCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBudget(t, c.args)
			c.prepare(b)
			b.proxy.take()
			c.operate(b)
			b.within(c.limit, c.sent, c.received)
			b.m.unmount()
		})
	}
}

// newBudget mounts an empty bucket of VersityGW through a counting proxy.
func newBudget(t testing.TB, args []string) *budget {
	t.Helper()
	s := openStore(t, "versitygw")
	bucket := s.newBucket(t)
	p := newProxy(t, s)
	m := newMount(t, mountOptions{store: s, endpoint: p.endpoint, source: "s3://" + bucket, args: args})
	return &budget{TB: t, dir: m.dir, m: m, proxy: p, store: s, files: filepath.Join(shared.dir, "vgw/data", bucket)}
}

// within fails the test if more went through the proxy than is allowed.
func (b *budget) within(limit map[string]int, sent, received int64) {
	b.Helper()
	got := b.proxy.take()
	for operation, n := range got.counts {
		if n > limit[operation] {
			b.Errorf("%d × %s, at most %d; all: %s", n, operation, limit[operation], got)
		}
	}
	if got.sent > sent || got.received > received {
		b.Errorf("%d bytes sent, at most %d; %d received, at most %d", got.sent, sent, got.received, received)
	}
}

// seed puts an object of zeros where VersityGW keeps it, which takes no time and, being sparse,
// no space.
func (b *budget) seed(key string, size int) {
	b.Helper()
	name := filepath.Join(b.files, key)
	err := os.MkdirAll(filepath.Dir(name), 0o755)
	if err == nil {
		err = os.WriteFile(name, nil, 0o644)
	}
	if err == nil {
		err = os.Truncate(name, int64(size))
	}
	if err == nil { // old: what is new is not remembered, it could change within the second
		day := time.Now().Add(-time.Hour)
		err = os.Chtimes(name, day, day)
	}
	if err == nil {
		err = unix.Setxattr(name, "user.etag", []byte(etagOfZeros(size)), 0)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// etagOfZeros is the MD5 of so many zeros, as the mount checks what it reads; for large objects one
// that looks as if they had been uploaded in parts, which nobody can check.
func etagOfZeros(size int) string {
	if size > 32*mib {
		return digest([]byte("large"))[:32] + "-9"
	}
	sum := md5.Sum(make([]byte, size))
	return hex.EncodeToString(sum[:])
}

func (b *budget) stat(name string) {
	b.Helper()
	if _, err := os.Lstat(filepath.Join(b.dir, name)); err != nil {
		b.Fatal(err)
	}
}

func (b *budget) noStat(name string) {
	b.Helper()
	if _, err := os.Lstat(filepath.Join(b.dir, name)); !os.IsNotExist(err) {
		b.Fatalf("%s: %v, want that it does not exist", name, err)
	}
}

func (b *budget) list(name string) {
	b.Helper()
	if _, err := os.ReadDir(filepath.Join(b.dir, name)); err != nil {
		b.Fatal(err)
	}
}

func (b *budget) read(name string) {
	b.Helper()
	if _, err := os.ReadFile(filepath.Join(b.dir, name)); err != nil {
		b.Fatal(err)
	}
}

func (b *budget) write(name string, size int) {
	b.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), bytesOf(1, size), 0o644); err != nil {
		b.Fatal(err)
	}
}

func (b *budget) rename(from, to string) {
	b.Helper()
	if err := os.Rename(filepath.Join(b.dir, from), filepath.Join(b.dir, to)); err != nil {
		b.Fatal(err)
	}
}

func (b *budget) attributes(name string) {
	b.Helper()
	name = filepath.Join(b.dir, name)
	day := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 { // others may not give files away
		uid, gid = 12, 34
	}
	for _, err := range []error{os.Chmod(name, 0o640), os.Chown(name, uid, gid), os.Chtimes(name, day, day)} {
		if err != nil {
			b.Fatal(err)
		}
	}
}

// patch writes n bytes at off of an existing file and closes it.
func (b *budget) patch(name string, off int64, n int) {
	b.Helper()
	f, err := os.OpenFile(filepath.Join(b.dir, name), os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := f.WriteAt(bytesOf(2, n), off); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
}

func (b *budget) run(name string, args ...string) []byte {
	b.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		b.Fatalf("%s: %v", name, err)
	}
	return out
}

func (b *budget) lines(text []byte, want int) {
	b.Helper()
	n := 0
	for _, c := range text {
		if c == '\n' {
			n++
		}
	}
	if n != want {
		b.Errorf("%d lines, want %d", n, want)
	}
}
