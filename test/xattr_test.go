package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What objects carry besides bytes, as extended attributes; the other client looks and sets.

// xattr returns the value of an attribute.
func (w *workspace) xattr(name, attribute string) string {
	w.Helper()
	value, err := readXattr(w.path(name), attribute)
	if err != nil {
		w.Errorf("%s of %s: %v", attribute, name, err)
	}
	return value
}

func readXattr(path, attribute string) (string, error) {
	buf := make([]byte, 64<<10)
	n, err := unix.Getxattr(path, attribute, buf)
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

func (w *workspace) setXattr(name, attribute, value string) {
	w.Helper()
	if err := unix.Setxattr(w.path(name), attribute, []byte(value), 0); err != nil {
		w.Fatalf("setting %s of %s: %v", attribute, name, err)
	}
}

// dump is what getfattr shows of files.
func (w *workspace) dump(names ...string) string {
	w.Helper()
	return w.sh("getfattr -d -e hex " + strings.Join(names, " "))
}

// tags are those of an object or, without a key, of a bucket.
func (s *store) tags(t testing.TB, bucket, key string) map[string]string {
	t.Helper()
	var reply struct{ TagSet []struct{ Key, Value string } }
	if key == "" {
		s.boto(t, "get_bucket_tagging", map[string]any{"Bucket": bucket}, &reply)
	} else {
		s.boto(t, "get_object_tagging", map[string]any{"Bucket": bucket, "Key": key}, &reply)
	}
	tags := make(map[string]string)
	for _, tag := range reply.TagSet {
		tags[tag.Key] = tag.Value
	}
	return tags
}

// headed is the answer of boto3's head_object.
type headed struct {
	ETag, ContentType, CacheControl, ContentDisposition, ContentEncoding, ContentLanguage, StorageClass, VersionId string
	ObjectLockMode, ObjectLockRetainUntilDate, ObjectLockLegalHoldStatus                                           string
	WebsiteRedirectLocation, ExpiresString, ServerSideEncryption                                                   string
	ChecksumCRC64NVME                                                                                              string
	LastModified                                                                                                   string
	Metadata                                                                                                       map[string]string
}

func (s *store) head(t testing.TB, bucket, key string) headed {
	t.Helper()
	var reply headed
	s.boto(t, "head_object", map[string]any{"Bucket": bucket, "Key": key, "ChecksumMode": "ENABLED"}, &reply)
	return reply
}

func TestTagsAndMetadataAsXattrs(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "xattr.tags", "xattr.metadata", "xattr.headers", "xattr.put")
		bucket := s.newBucket(t)
		s.boto(t, "put_object", map[string]any{"Bucket": bucket, "Key": "theirs.txt", "Body": botoBytes([]byte("data")), "Tagging": "team=blue+sky&empty=",
			"Metadata": map[string]string{"colour": "red"}, "ContentType": "text/x-theirs", "CacheControl": "no-store", "ContentLanguage": "de"}, nil)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket, args: []string{"--metadata-ttl=1s"}})
		w := inMount(t, m)
		// Theirs, here.
		for attribute, want := range map[string]string{
			"tag.team": "blue sky", "tag.empty": "", "meta.colour": "red", "content-type": "text/x-theirs", "cache-control": "no-store", "content-language": "de",
		} {
			if got := w.xattr("theirs.txt", "user.s3."+attribute); got != want {
				t.Errorf("%s is %q, want %q", attribute, got, want)
			}
		}
		s.boto(t, "put_object_tagging", map[string]any{"Bucket": bucket, "Key": "theirs.txt", "Tagging": map[string]any{
			"TagSet": []map[string]string{{"Key": "team", "Value": "green"}}}}, nil)
		w.eventually("another client's tag", func() bool {
			team, _ := readXattr(w.path("theirs.txt"), "user.s3.tag.team")
			_, err := readXattr(w.path("theirs.txt"), "user.s3.tag.empty")
			return team == "green" && errors.Is(err, unix.ENODATA)
		})
		// Ours, there: on a file that is being written, and on stored ones.
		file, err := os.Create(w.path("written.txt"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteString("data"); err != nil {
			t.Fatal(err)
		}
		w.sh(`setfattr -n user.s3.tag.a -v 1 written.txt
			setfattr -n user.s3.meta.b -v 2 written.txt
			setfattr -n user.c -v 3 written.txt
			setfattr -n user.s3.cache-control -v max-age=60 written.txt`)
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		if s.name == "versitygw" { // its copies keep headers
			w.sh(`fails setfattr -x user.s3.cache-control theirs.txt 2> /dev/null`)
		} else {
			w.sh(`setfattr -x user.s3.cache-control theirs.txt`)
		}
		w.sh(`setfattr -n user.s3.tag.ours -v 'x y' theirs.txt
			setfattr -n user.s3.meta.shape -v round theirs.txt
			setfattr -n user.s3.content-disposition -v inline theirs.txt
			setfattr -n user.s3.content-encoding -v identity theirs.txt
			getfattr -d theirs.txt > $SRC/before
			sync theirs.txt
			getfattr -d theirs.txt > $SRC/after
			diff $SRC/before $SRC/after`)
		if got := s.tags(t, bucket, "theirs.txt"); !maps.Equal(got, map[string]string{"team": "green", "ours": "x y"}) {
			t.Errorf("tags: %v", got)
		}
		got := s.head(t, bucket, "theirs.txt")
		if got.Metadata["colour"] != "red" || got.Metadata["shape"] != "round" || got.ContentType != "text/x-theirs" || got.ContentLanguage != "de" ||
			got.ContentDisposition != "inline" || got.ContentEncoding != "identity" || (got.CacheControl != "") != (s.name == "versitygw") {
			t.Errorf("head: %+v", got)
		}
		if got := s.head(t, bucket, "written.txt"); got.Metadata["b"] != "2" || got.Metadata["xattr-c"] != "3" || got.CacheControl != "max-age=60" {
			t.Errorf("written: %+v", got)
		}
		if got := s.tags(t, bucket, "written.txt"); got["a"] != "1" {
			t.Errorf("tags: %v", got)
		}
		if string(s.get(t, bucket, "theirs.txt")) != "data" {
			t.Error("other bytes")
		}
	})
}

// One request stores a file with all that was set while it was written.
func TestXattrsTravelWithTheUpload(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "xattr.put")
		bucket := s.newBucket(t)
		p := newProxy(t, s)
		m := newMount(t, mountOptions{store: s, endpoint: p.endpoint, source: "s3://" + bucket, args: []string{"--posix=off"}})
		w := inMount(t, m)
		w.sh(`echo data > $SRC/f
			setfattr -n user.s3.tag.a -v 1 $SRC/f
			setfattr -n user.own -v 2 $SRC/f
			ls > /dev/null`)
		p.take()
		w.sh(`cp --preserve=xattr $SRC/f f`)
		cost := p.take()
		delete(cost.counts, "GETBucket?tagging") // the limits of the bucket, once per --metadata-ttl
		if cost.counts["PutObject if-none-match=*"] != 1 || len(cost.counts) != 1 {
			t.Errorf("cp --preserve=xattr cost %v", cost)
		}
		if got := s.tags(t, bucket, "f"); got["a"] != "1" {
			t.Errorf("tags: %v", got)
		}
		w.sh(`sync f`)
		for operation, count := range p.take().counts {
			if operation != "GetObject if-none-match" { // sync(1) opens it
				t.Errorf("afterwards: %d %s", count, operation)
			}
		}
	})
}

func TestXattrValues(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "xattr.metadata")
		bucket := s.newBucket(t)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		w := inMount(t, m)
		w.sh(`echo data > f`)
		all := make([]byte, 256)
		for i := range all {
			all[i] = byte(i)
		}
		values := map[string]string{
			"user.empty": "", "user.every": string(all), "user.lines": "a\nb\r\n", "user.blanks": "  x\t", "user.UPPER_case.x": "Grüße", "user.größe": "1",
			"user.base": "base64:eA==", "user.long": strings.Repeat("0123456789", 60),
		}
		for name, value := range values {
			w.setXattr("f", name, value)
		}
		look := func(when string) {
			for name, want := range values {
				if got := w.xattr("f", name); got != want {
					t.Errorf("%s: %s is %q, want %q", when, name, got, want)
				}
			}
		}
		look("at once")
		m.unmount()
		w = inMount(t, m.again())
		look("after a remount")
		// Limits, before anything is changed.
		before := w.dump("f")
		for _, c := range []struct {
			name, value string
			want        error
		}{
			{"user.more", strings.Repeat("x", 3000), unix.ENOSPC},
			{"user.s3.meta.more", strings.Repeat("x", 3000), unix.ENOSPC},
			{"user.s3.tag.t", strings.Repeat("x", 257), unix.E2BIG},
			{"user.s3.tag." + strings.Repeat("k", 129), "x", unix.E2BIG},
			{"user.s3.tag.t", "no\x00text", unix.EINVAL},
			{"user.s3.unknown", "x", unix.EINVAL},
			{"user.s3.etag", "x", unix.EPERM},
			{"user.s3.legal-hold", "on", unix.EOPNOTSUPP},
			{"user.s3.annotation.x", "x", unix.EOPNOTSUPP},
			{"security.selinux", "x", unix.EOPNOTSUPP},
		} {
			if err := unix.Setxattr(w.path("f"), c.name, []byte(c.value), 0); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
		}
		if after := w.dump("f"); after != before {
			t.Errorf("refused changes have changed %s to %s", before, after)
		}
		if string(s.get(t, bucket, "f")) != "data\n" {
			t.Error("other bytes")
		}
	})
}

// Programs that set different tags of one file at once lose none.
func TestConcurrentTags(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "xattr.tags")
		bucket := s.newBucket(t)
		s.put(t, bucket, "f", []byte("data"))
		w := inMount(t, newMount(t, mountOptions{store: s, source: "s3://" + bucket}))
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				for round := range 3 {
					w.setXattr("f", fmt.Sprintf("user.s3.tag.t%d", i), fmt.Sprint(round))
				}
			})
		}
		all.Wait()
		if err := unix.Setxattr(w.path("f"), "user.s3.tag.t10", []byte("x"), 0); !errors.Is(err, unix.ENOSPC) {
			t.Errorf("the 11th tag: %v", err)
		}
		w.sh(`sync f`)
		got := s.tags(t, bucket, "f")
		if len(got) != 10 || slices.ContainsFunc(slices.Collect(maps.Values(got)), func(v string) bool { return v != "2" }) {
			t.Errorf("tags: %v", got)
		}
	})
}

func TestFactsAsXattrs(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "xattr.stat", "xattr.url", "xattr.public-url", "xattr.upload-state")
		bucket := s.newVersionedBucket(t)
		w := inMount(t, newMount(t, mountOptions{store: s, source: "s3://" + bucket}))
		small, big := bytesOf(1, 5000), bytesOf(2, 20*mib)
		w.writeScratch("small", small, 0o644)
		w.writeScratch("big", big, 0o644)
		w.sh(`cp $SRC/small small
			cp $SRC/big big
			setfattr -n user.s3.tag.a -v 1 small
			sync small`)
		seen := s.head(t, bucket, "small")
		at, err := time.Parse(time.RFC3339Nano, w.xattr("small", "user.s3.last-modified"))
		if err != nil {
			t.Error(err)
		}
		if theirs, err := time.Parse(time.RFC3339, seen.LastModified); err != nil || theirs.Unix() != at.Unix() {
			t.Errorf("last-modified %v, the other client says %v (%v)", at, seen.LastModified, err)
		}
		if got := w.xattr("small", "user.s3.etag"); got != strings.Trim(seen.ETag, `"`) {
			t.Errorf("etag %q, want %q", got, seen.ETag)
		}
		if got := w.xattr("small", "user.s3.version-id"); got != seen.VersionId {
			t.Errorf("version %q, want %q", got, seen.VersionId)
		}
		if got := w.xattr("small", "user.s3.checksum.crc64nvme"); got == "" || got != seen.ChecksumCRC64NVME {
			t.Errorf("checksum %q, want %q", got, seen.ChecksumCRC64NVME)
		}
		if got := w.xattr("big", "user.s3.parts"); got != "2" && got != "3" && got != "4" {
			t.Errorf("parts: %q", got)
		}
		var everything struct {
			Size int
			ETag string
			Tags map[string]string
		}
		if err := json.Unmarshal([]byte(w.xattr("small", "user.s3")), &everything); err != nil || everything.Size != len(small) || everything.Tags["a"] != "1" {
			t.Errorf("user.s3: %+v, %v", everything, err)
		}
		if got := w.xattr("small", "user.s3.versions"); strings.Count(strings.TrimSpace(got), "\n") != 0 || !strings.Contains(got, seen.VersionId) {
			t.Errorf("versions: %s", got)
		}
		if got := w.xattr("small", "user.s3.upload-state"); got != "stored" {
			t.Errorf("upload-state: %q", got)
		}
		file, err := os.Create(w.path("open"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteString("x"); err != nil {
			t.Error(err)
		}
		if got := w.xattr("open", "user.s3.upload-state"); got != "staged" {
			t.Errorf("upload-state of a file that is being written: %q", got)
		}
		if err := file.Close(); err != nil {
			t.Error(err)
		}
		if got := w.xattr("open", "user.s3.upload-state"); got != "stored" {
			t.Errorf("upload-state of a file that was closed: %q", got)
		}
		if got := fetch(t, w.xattr("big", "user.s3.url"), http.StatusOK); digest(got) != digest(big) {
			t.Errorf("the link gives %d other bytes", len(got))
		}
		public := w.xattr("small", "user.s3.public-url")
		fetch(t, public, http.StatusForbidden)
		policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::%s/*"}]}`, bucket)
		s.boto(t, "put_bucket_policy", map[string]any{"Bucket": bucket, "Policy": policy}, nil)
		if got := fetch(t, public, http.StatusOK); string(got) != string(small) {
			t.Errorf("the public link gives %d other bytes", len(got))
		}
	})
}

// fetch gets a URL without credentials.
func fetch(t *testing.T, url string, want int) []byte {
	t.Helper()
	reply, err := http.Get(url)
	if err != nil {
		t.Error(err)
		return nil
	}
	defer reply.Body.Close()
	data, err := io.ReadAll(reply.Body)
	if err != nil || reply.StatusCode != want {
		t.Errorf("%s: %s, %v", url, reply.Status, err)
	}
	return data
}

func TestLocksAsXattrs(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "xattr.retention", "xattr.legal-hold", "xattr.bucket.object-lock", "xattr.put")
		bucket := s.newLockBucket(t)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket, args: []string{"--metadata-ttl=1s"}, noisy: "locked by retention|AccessDenied"})
		w := inMount(t, m)
		until := time.Now().Add(48 * time.Hour).UTC().Truncate(time.Second)
		w.sh(fmt.Sprintf(`exec 3> written
			echo data >&3
			setfattr -n user.s3.retention -v "GOVERNANCE %[1]s" written
			setfattr -n user.s3.legal-hold -v on written
			exec 3>&-
			echo data > stored
			setfattr -n user.s3.retention.until -v %[1]s stored
			setfattr -n user.s3.legal-hold -v on stored
			setfattr -n user.s3.legal-hold -v off stored
			setfattr -n user.s3.tag.a -v 1 stored
			sync stored
			fails setfattr -x user.s3.retention stored 2>/dev/null
			fails setfattr -n user.s3.meta.a -v 1 stored 2>/dev/null
			getfattr -d stored`, until.Format(time.RFC3339)))
		for key, hold := range map[string]string{"written": "ON", "stored": "OFF"} {
			var retention struct {
				Retention struct{ Mode, RetainUntilDate string }
			}
			var legal struct{ LegalHold struct{ Status string } }
			s.boto(t, "get_object_retention", map[string]any{"Bucket": bucket, "Key": key}, &retention)
			s.boto(t, "get_object_legal_hold", map[string]any{"Bucket": bucket, "Key": key}, &legal)
			at, err := time.Parse(time.RFC3339, retention.Retention.RetainUntilDate)
			if err != nil || retention.Retention.Mode != "GOVERNANCE" || !at.Equal(until) || legal.LegalHold.Status != hold {
				t.Errorf("%s: %+v %+v %v, want until %v", key, retention, legal, err, until)
			}
		}
		s.boto(t, "put_object_legal_hold", map[string]any{"Bucket": bucket, "Key": "stored", "LegalHold": map[string]string{"Status": "ON"}}, nil)
		w.eventually("another client's hold", func() bool {
			hold, _ := readXattr(w.path("stored"), "user.s3.legal-hold")
			return hold == "on"
		})
		if got := w.xattr("written", "user.s3.retention.mode"); got != "GOVERNANCE" {
			t.Errorf("mode: %q", got)
		}
		if got := w.xattr("", "user.s3.bucket.object-lock"); got != "on" {
			t.Errorf("object lock of the bucket: %q", got)
		}
		s.boto(t, "put_object_lock_configuration", map[string]any{"Bucket": bucket, "ObjectLockConfiguration": map[string]any{"ObjectLockEnabled": "Enabled",
			"Rule": map[string]any{"DefaultRetention": map[string]any{"Mode": "GOVERNANCE", "Days": 3}}}}, nil)
		if got := w.xattr("", "user.s3.bucket.object-lock"); got != "on GOVERNANCE 3d" {
			t.Errorf("object lock of the bucket: %q", got)
		}
		s.boto(t, "put_object_legal_hold", map[string]any{"Bucket": bucket, "Key": "written", "LegalHold": map[string]string{"Status": "OFF"}}, nil)
	})
}

func TestBucketsAsXattrs(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "xattr.bucket.tags", "xattr.bucket.versioning", "xattr.bucket.facts")
		bucket := s.newBucket(t)
		w := inMount(t, newMount(t, mountOptions{store: s, source: "s3://"}))
		w.setXattr(bucket, "user.s3.tag.cost-centre", "47 11")
		w.setXattr(bucket, "user.s3.tag.b", "2")
		if got := s.tags(t, bucket, ""); !maps.Equal(got, map[string]string{"cost-centre": "47 11", "b": "2"}) {
			t.Errorf("tags of the bucket: %v", got)
		}
		s.boto(t, "put_bucket_tagging", map[string]any{"Bucket": bucket, "Tagging": map[string]any{"TagSet": []map[string]string{{"Key": "c", "Value": "3"}}}}, nil)
		if got := w.xattr(bucket, "user.s3.tag.c"); got != "3" {
			t.Errorf("another client's tag: %q", got)
		}
		if err := unix.Removexattr(w.path(bucket), "user.s3.tag.c"); err != nil {
			t.Error(err)
		}
		if err := s.tryBoto("get_bucket_tagging", map[string]any{"Bucket": bucket}, nil); err == nil || !strings.Contains(err.Error(), "NoSuchTagSet") {
			t.Errorf("tags of the bucket are left: %v", err)
		}
		if got := w.xattr(bucket, "user.s3.bucket.versioning"); got != "Off" {
			t.Errorf("versioning: %q", got)
		}
		w.setXattr(bucket, "user.s3.bucket.versioning", "Enabled")
		var versioning struct{ Status string }
		s.boto(t, "get_bucket_versioning", map[string]any{"Bucket": bucket}, &versioning)
		if versioning.Status != "Enabled" || w.xattr(bucket, "user.s3.bucket.versioning") != "Enabled" {
			t.Errorf("versioning: %+v", versioning)
		}
		if got := w.xattr(bucket, "user.s3.bucket.region"); got != region {
			t.Errorf("region: %q", got)
		}
		at, err := time.Parse(time.RFC3339Nano, w.xattr(bucket, "user.s3.bucket.created"))
		if err != nil || time.Since(at) > time.Hour {
			t.Errorf("created: %v, %v", at, err)
		}
		if got, err := readXattr(w.path(bucket), "user.s3.bucket.public"); err == nil && got != "no" || err != nil && !errors.Is(err, unix.ENODATA) {
			t.Errorf("public: %q, %v", got, err)
		}
		w.setXattr(bucket, "user.note", "kept in the marker")
		if got := w.dump(bucket); !strings.Contains(got, "user.note=") {
			t.Errorf("listed: %s", got)
		}
		if err := unix.Setxattr(filepath.Dir(w.path(bucket)), "user.x", nil, 0); !errors.Is(err, syscall.EOPNOTSUPP) {
			t.Errorf("the list of buckets: %v", err)
		}
	})
}
