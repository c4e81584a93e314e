package test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// attributed makes files on the local disk with every attribute that a store at hand keeps.
const attributed = `mkdir -p $SRC/tree/sub
	echo one > $SRC/tree/one.txt
	echo two > $SRC/tree/two.json
	head -c 100000 /dev/urandom > $SRC/tree/sub/three
	: > $SRC/tree/sub/empty
	setfattr -n user.s3.tag.team -v 'blue sky' $SRC/tree/one.txt
	setfattr -n user.s3.tag.empty -v '' $SRC/tree/one.txt
	setfattr -n user.s3.meta.colour -v red $SRC/tree/one.txt
	setfattr -n user.s3.content-type -v text/x-own $SRC/tree/one.txt
	setfattr -n user.s3.cache-control -v max-age=60 $SRC/tree/one.txt
	setfattr -n user.s3.content-disposition -v 'attachment; filename="a b"' $SRC/tree/one.txt
	setfattr -n user.s3.content-language -v en $SRC/tree/one.txt
	setfattr -n user.s3.expires -v 'Thu, 31 Dec 2026 00:00:00 GMT' $SRC/tree/one.txt
	setfattr -n user.plain -v text $SRC/tree/two.json
	setfattr -n user.bytes -v 0x00ff0a0d $SRC/tree/two.json
	setfattr -n user.Mixed_Case.x -v 1 $SRC/tree/two.json
	setfattr -n user.empty $SRC/tree/sub/three
	setfattr -n user.of.dir -v yes $SRC/tree/sub
	setfattr -n user.s3.tag.dir -v yes $SRC/tree/sub
	setfattr -n user.on.empty -v 1 $SRC/tree/sub/empty
	touch -d '2020-01-02 03:04:05.678' $SRC/tree/one.txt $SRC/tree/sub/three
	(cd $SRC/tree; getfattr -R -d -e hex -m - . | sort > $SRC/want)
	`

// TestCopiesKeepAttributes copies a tree from the local disk into the mount and back, with the programs that people
// use: every attribute is there again, and no other.
func TestCopiesKeepAttributes(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "xattr.copy")
		bucket := s.newBucket(t)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		w := inMount(t, m)
		w.sh(attributed)
		look := func(tree string) {
			t.Helper()
			w.sh(`(cd ` + tree + `; getfattr -R -d -e hex -m - . | sort) | diff $SRC/want - >&2
				diff -r $SRC/tree ` + tree + ` >&2`)
		}
		for name, program := range map[string][2]string{
			"cp":    {`cp -a $SRC/tree cp`, `cp -a cp $SRC/cp`},
			"rsync": {`rsync -aX $SRC/tree/ rsync/`, `rsync -aX rsync/ $SRC/rsync/`},
			"tar": {`mkdir tar; tar c --xattrs --xattrs-include='user.*' -C $SRC/tree . | tar x --xattrs --xattrs-include='user.*' -C tar`,
				`mkdir $SRC/tar; tar c --xattrs --xattrs-include='user.*' -C tar . | tar x --xattrs --xattrs-include='user.*' -C $SRC/tar`},
		} {
			w.sh(program[0])
			look(name)
			w.sh(program[1])
			look("$SRC/" + name)
		}
		m.unmount()
		for _, name := range []string{"cp", "rsync", "tar"} {
			got := s.head(t, bucket, name+"/one.txt")
			if got.ContentType != "text/x-own" || got.CacheControl != "max-age=60" || got.ContentLanguage != "en" || got.Metadata["colour"] != "red" ||
				got.ContentDisposition != `attachment; filename="a b"` {
				t.Errorf("%s: %+v", name, got)
			}
			if tags := s.tags(t, bucket, name+"/one.txt"); len(tags) != 2 || tags["team"] != "blue sky" {
				t.Errorf("%s: %v", name, tags)
			}
			if got := s.head(t, bucket, name+"/two.json"); got.ContentType != "application/json" {
				t.Errorf("%s: two.json has %q", name, got.ContentType)
			}
			if tags := s.tags(t, bucket, name+"/sub/"); tags["dir"] != "yes" {
				t.Errorf("%s/sub: %v", name, tags)
			}
		}
		scratch := w.scratch
		w = inMount(t, m.again()) // what another mount sees; copies, renames and edits inside keep it
		w.scratch = scratch
		w.sh(`(cd cp; getfattr -R -d -e hex -m - . | sort) | diff $SRC/want - >&2
			cp -a cp copied
			mv rsync moved
			mv moved/two.json moved/2
			mv moved/2 moved/two.json
			echo more >> tar/one.txt
			chmod 600 tar/two.json tar/sub`)
		w.sh(`for tree in copied moved tar; do (cd $tree; getfattr -R -d -e hex -m - . | sort) | diff $SRC/want - >&2; done`)
	})
}

func TestContentTypesOfNewObjects(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "xattr.content-type")
		bucket := s.newBucket(t)
		s.boto(t, "put_object", map[string]any{"Bucket": bucket, "Key": "theirs.html", "Body": botoBytes([]byte("x")), "ContentType": "text/x-theirs"}, nil)
		w := inMount(t, newMount(t, mountOptions{store: s, source: "s3://" + bucket}))
		w.sh(`for name in page.html style.css code.js module.mjs data.json notes.md table.csv config.yaml picture.svg program.wasm archive.tar.gz font.woff2 columns.parquet; do
				echo x > $name
			done
			printf '\211PNG\r\n\032\n' > picture
			echo words > words
			printf '\001\002\003' > bytes
			mkdir $SRC/site
			echo x > $SRC/site/index.html
			rsync -a $SRC/site/ site/
			sed -i s/x/y/ style.css
			echo y > $SRC/page.html
			rsync -a $SRC/page.html .
			echo y >> theirs.html
			chmod 600 theirs.html
			mv theirs.html theirs.css
			sync theirs.css
			echo x > set.html
			setfattr -n user.s3.content-type -v application/x-set set.html
			sync set.html
			mv set.html set.css
			getfattr -d page.html style.css picture words bytes site/index.html > $SRC/listed
			fails test -s $SRC/listed`)
		for key, want := range map[string]string{
			"page.html": "text/html; charset=utf-8", "style.css": "text/css; charset=utf-8", "code.js": "text/javascript; charset=utf-8",
			"module.mjs": "text/javascript; charset=utf-8", "data.json": "application/json", "notes.md": "text/markdown; charset=utf-8",
			"table.csv": "text/csv; charset=utf-8", "config.yaml": "application/yaml", "picture.svg": "image/svg+xml", "program.wasm": "application/wasm",
			"archive.tar.gz": "application/gzip", "font.woff2": "font/woff2", "columns.parquet": "application/vnd.apache.parquet",
			"picture": "image/png", "words": "text/plain; charset=utf-8", "bytes": "application/octet-stream",
			"site/index.html": "text/html; charset=utf-8", "theirs.css": "text/x-theirs", "set.css": "application/x-set",
		} {
			if got := s.head(t, bucket, key).ContentType; got != want {
				t.Errorf("%s has %q, want %q", key, got, want)
			}
		}
	})
}

func TestOwnersAsXattrs(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "xattr.owner")
		bucket := s.newBucket(t)
		w := inMount(t, newMount(t, mountOptions{store: s, source: "s3://" + bucket}))
		w.sh(`echo data > f`)
		var page struct {
			Contents []struct {
				Owner struct{ ID, DisplayName string }
			}
		}
		s.boto(t, "list_objects_v2", map[string]any{"Bucket": bucket, "FetchOwner": true}, &page)
		if len(page.Contents) != 1 {
			t.Fatalf("listed: %+v", page)
		}
		if got, want := w.xattr("f", "user.s3.owner"), page.Contents[0].Owner; got == "" || got != want.ID && got != want.DisplayName {
			t.Errorf("owner %q, the other client says %+v", got, want)
		}
	})
}

// MinIO has one class besides STANDARD, and encryption; VersityGW has neither.
func TestClassesAsXattrs(t *testing.T) {
	t.Parallel()
	s := openStore(t, "minio")
	covers(t, s, "xattr.storage-class")
	bucket := s.newBucket(t)
	w := inMount(t, newMount(t, mountOptions{store: s, source: "s3://" + bucket}))
	w.sh(`echo data > f
		setfattr -n user.s3.storage-class -v REDUCED_REDUNDANCY f
		setfattr -n user.s3.tag.a -v 1 f
		sync f
		echo data > $SRC/g
		setfattr -n user.s3.storage-class -v REDUCED_REDUNDANCY $SRC/g
		cp --preserve=xattr $SRC/g g
		fails setfattr -n user.s3.storage-class -v GLACIER g 2> /dev/null
		mv f moved
		getfattr -d g | grep -q storage-class`)
	for _, key := range []string{"moved", "g"} {
		if got := s.head(t, bucket, key).StorageClass; got != "REDUCED_REDUNDANCY" {
			t.Errorf("%s has the class %q", key, got)
		}
	}
	if got := s.tags(t, bucket, "moved"); got["a"] != "1" {
		t.Errorf("tags: %v", got)
	}
	if got := w.xattr("moved", "user.s3.storage-class"); got != "REDUCED_REDUNDANCY" {
		t.Errorf("shown: %q", got)
	}
}

// MinIO encrypts single objects, and has no request for that: it is the copy of the object onto itself.
func TestEncryptionAsXattrs(t *testing.T) {
	t.Parallel()
	s := openStore(t, "minio")
	covers(t, s, "xattr.encryption", "xattr.bucket.encryption")
	bucket := s.newBucket(t)
	w := inMount(t, newMount(t, mountOptions{store: s, source: "s3://" + bucket}))
	w.writeScratch("f", bytesOf(1, 100_000), 0o644)
	if _, err := readXattr(w.path(""), "user.s3.bucket.encryption"); !errors.Is(err, unix.ENODATA) {
		t.Errorf("a bucket without encryption: %v", err)
	}
	w.sh(`cp $SRC/f f
		setfattr -n user.s3.tag.a -v 1 f
		setfattr -n user.s3.encryption -v AES256 f
		setfattr -n user.s3.meta.b -v 2 f
		sync f
		cmp f $SRC/f
		fails setfattr -n user.s3.encryption -v ROT13 f 2> /dev/null
		mv f moved
		echo more >> moved
		sync moved`)
	if got := s.head(t, bucket, "moved"); got.ServerSideEncryption != "AES256" || got.Metadata["b"] != "2" || s.tags(t, bucket, "moved")["a"] != "1" {
		t.Errorf("the other client sees %+v", got)
	}
	if got := w.xattr("moved", "user.s3.encryption"); got != "AES256" {
		t.Errorf("encryption: %q", got)
	}
	if got := s.get(t, bucket, "moved"); string(got) != string(bytesOf(1, 100_000))+"more\n" {
		t.Errorf("%d other bytes", len(got))
	}
	s.boto(t, "put_bucket_encryption", map[string]any{"Bucket": bucket, "ServerSideEncryptionConfiguration": map[string]any{
		"Rules": []any{map[string]any{"ApplyServerSideEncryptionByDefault": map[string]string{"SSEAlgorithm": "AES256"}}}}}, nil)
	if got := w.xattr("", "user.s3.bucket.encryption"); got != "AES256" {
		t.Errorf("encryption of the bucket: %q", got)
	}
}

// A crash right after setfattr loses nothing: the next mount sends it.
func TestXattrsAfterACrash(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		bucket := s.newBucket(t)
		p := newProxy(t, s)
		m := newMount(t, mountOptions{store: s, endpoint: p.endpoint, source: "s3://" + bucket, noisy: `.`})
		w := inMount(t, m)
		w.sh(`echo data > f
			setfattr -n user.s3.tag.old -v 1 f
			sync f`)
		p.on(&rule{match: operations("PutObjectTagging", "CopyObject"), status: 503})
		w.sh(`setfattr -n user.s3.tag.new -v 2 f
			setfattr -x user.s3.tag.old f
			setfattr -n user.s3.meta.m -v 3 f`)
		m.kill()
		p.clear()
		m = m.again()
		w = inMount(t, m)
		if got := w.xattr("f", "user.s3.tag.new") + w.xattr("f", "user.s3.meta.m"); got != "23" {
			t.Errorf("shown after the crash: %q", got)
		}
		m.unmount()
		if tags := s.tags(t, bucket, "f"); len(tags) != 1 || tags["new"] != "2" {
			t.Errorf("tags: %v", tags)
		}
		if got := s.head(t, bucket, "f").Metadata["m"]; got != "3" {
			t.Errorf("metadata: %q", got)
		}
	})
}

// Everything about a directory of many files is asked for once, many at a time.
func TestAttributesOfManyFiles(t *testing.T) {
	t.Parallel()
	s := openStore(t, "minio")
	bucket := s.newBucket(t)
	const files = 300
	for i := range files {
		args := map[string]any{"Bucket": bucket, "Key": fmt.Sprintf("d/%03d", i), "Body": botoBytes([]byte("x"))}
		if i%10 == 0 {
			args["Tagging"] = "n=1"
		}
		s.boto(t, "put_object", args, nil)
	}
	p := newProxy(t, s)
	w := inMount(t, newMount(t, mountOptions{store: s, endpoint: p.endpoint, source: "s3://" + bucket, args: []string{"--posix=off", "--metadata-ttl=1m"}}))
	p.take()
	out := w.sh(`getfattr -R -d d`)
	cost := p.take()
	if got := bytes.Count([]byte(out), []byte("user.s3.tag.n=")); got != files/10 {
		t.Errorf("%d tags are shown", got)
	}
	if cost.counts["HeadObject"] > files+3 || cost.counts["GetObjectTagging"] > files/10 || cost.total() > files+files/10+10 {
		t.Errorf("it cost %v", cost)
	}
	if _, err := os.Stat(w.path("d")); err != nil {
		t.Error(err)
	}
}
