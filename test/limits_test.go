package test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Limits of a bucket, as programs meet them. The other client sets and reads the tags, and looks what is in the bucket.

const somePNG = "\x89PNG\r\n\x1a\n\x00\x00\x00\x00"

// limitNoise is what the log says of refusals.
const limitNoise = `not allowed in the bucket|the bucket takes files of up to`

func (s *store) bucketTagging(t testing.TB, bucket string) map[string]string {
	t.Helper()
	var reply struct{ TagSet []struct{ Key, Value string } }
	s.boto(t, "get_bucket_tagging", map[string]any{"Bucket": bucket}, &reply)
	tags := map[string]string{}
	for _, tag := range reply.TagSet {
		tags[tag.Key] = tag.Value
	}
	return tags
}

func (s *store) tagBucket(t testing.TB, bucket string, tags ...string) {
	t.Helper()
	var set []map[string]any
	for i := 0; i < len(tags); i += 2 {
		set = append(set, map[string]any{"Key": tags[i], "Value": tags[i+1]})
	}
	s.boto(t, "put_bucket_tagging", map[string]any{"Bucket": bucket, "Tagging": map[string]any{"TagSet": set}}, nil)
}

// holdsOnly wants these objects in a bucket, and no unfinished upload.
func (s *store) holdsOnly(t testing.TB, bucket string, want ...string) {
	t.Helper()
	got := s.snapshot(t, bucket, "")
	for _, key := range want {
		if _, ok := got[key]; !ok {
			t.Errorf("the other client does not see %s", key)
		}
		delete(got, key)
	}
	for key := range got {
		t.Errorf("the other client sees %s", key)
		if n := s.unfinished(t, bucket, key); n > 0 {
			t.Errorf("%d uploads of %s are not finished", n, key)
		}
	}
}

func mustBe(t testing.TB, what string, err, want error) {
	t.Helper()
	if want == nil && err != nil || want != nil && !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func save(name, data string) error { return os.WriteFile(name, []byte(data), 0o644) }

// eventuallyIs repeats what another mount has to hear of first.
func eventuallyIs(t testing.TB, what string, want error, try func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err = try(); want == nil && err == nil || want != nil && errors.Is(err, want) {
			return
		}
	}
	t.Errorf("%s: %v, want %v", what, err, want)
}

func TestLimitsOfBuckets(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.bucket-limits")
		bucket := newName()
		m := newMount(t, mountOptions{store: s, source: "s3://", noisy: limitNoise})
		m.mustCtl("bucket", "create", "--file-size-limit", "20KiB", "--allowed-mime-types", "image/*,application/pdf", "--versioning", m.in(bucket))
		s.hasDocument(t, "get_bucket_versioning", bucket, `"Enabled"`)
		if tags := s.bucketTagging(t, bucket); len(tags) != 2 || tags["objmount-file-size-limit"] != "20480" || tags["objmount-allowed-mime-types"] != "application/pdf image/" {
			t.Errorf("the other client sees the tags %q", tags)
		}
		if out := m.mustCtl("bucket", "show", m.in(bucket)); !strings.Contains(out, "\nsize limit:   20KiB\n") || !strings.Contains(out, "\ntypes:        application/pdf, image/*\n") {
			t.Errorf("shown:\n%s", out)
		}
		in := func(name string) string { return m.in(bucket + "/" + name) }
		mustBe(t, "a picture", save(in("a.png"), somePNG), nil)
		mustBe(t, "text by its name", save(in("a.txt"), "text"), unix.EPERM)
		mustBe(t, "text by its content", save(in("b.png"), "some text"), unix.EPERM)
		mustBe(t, "too much", save(in("c.png"), somePNG+strings.Repeat("x", 30<<10)), unix.EFBIG)
		if got, err := os.ReadFile(in("c.png")); err != nil || len(got) != 20<<10 { // what a program does that ignores the error
			t.Errorf("%d bytes were written up to the limit, %v", len(got), err)
		}
		if out := m.mustCtl("pending", "list", m.in(bucket)); !strings.Contains(out, "refused") || !strings.Contains(out, "b.png") {
			t.Errorf("pending:\n%s", out)
		}
		s.holdsOnly(t, bucket, "a.png", "c.png")
		mustBe(t, "remove", os.Remove(in("b.png")), nil)
		if out, err := exec.Command("cp", "/etc/passwd", in("passwd.pdf")).CombinedOutput(); err == nil || !strings.Contains(string(out), "Operation not permitted") {
			t.Errorf("cp says %q, %v", out, err)
		}
		mustBe(t, "remove", os.Remove(in("passwd.pdf")), nil)
		if err := save(m.dir+"/"+s.newBucket(t)+"/anything.txt", "text"); err != nil {
			t.Errorf("a bucket without limits: %v", err)
		}

		out := m.mustCtl("bucket", "update", "--file-size-limit", "none", "--allowed-mime-types", "any", m.in(bucket))
		if strings.Contains(out, "limit") || !strings.Contains(out, "\nversioning:   Enabled\n") {
			t.Errorf("update prints:\n%s", out)
		}
		mustBe(t, "anything", save(in("big.txt"), strings.Repeat("x", 30<<10)), nil)
		s.holdsOnly(t, bucket, "a.png", "c.png", "big.txt")
		m.mustCtl(m.bare("bucket", "update", "--versioning=false", "--file-size-limit", "10", "s3://"+bucket)...)
		s.hasDocument(t, "get_bucket_versioning", bucket, `"Suspended"`)
		m.failsCtl(4, "takes files of up to 10 bytes", m.bare("object", "copy", "s3://"+bucket+"/big.txt", "s3://"+bucket+"/copy.txt")...)
		m.failsCtl(4, "takes files of up to 10 bytes", "object", "put", in("put.txt"), m.cmd.Path)
		if a := m.ctl("presign", "put", in("link.txt")); a.code != 0 || !strings.Contains(a.problems, "mounts store only files of up to 10 bytes") {
			t.Errorf("presign: %+v", a)
		}
		if got, err := os.ReadFile(in("big.txt")); err != nil || len(got) != 30<<10 {
			t.Errorf("what is larger already: %d bytes, %v", len(got), err)
		}
		s.holdsOnly(t, bucket, "a.png", "c.png", "big.txt")
	})
}

// TestLimitsOfOtherClients: a bucket's limits are those of every mount, whoever sets them.
func TestLimitsOfOtherClients(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.bucket-limits")
		bucket := s.newBucket(t)
		options := mountOptions{store: s, source: "s3://" + bucket, args: []string{"--metadata-ttl=1s"}, noisy: limitNoise}
		one := newMount(t, options)
		options.args = append(options.args, "--commit=background")
		two := newMount(t, options)
		mustBe(t, "before", save(one.in("a.txt"), "text"), nil)
		mustBe(t, "before", save(two.in("b.txt"), "text"), nil)
		s.tagBucket(t, bucket, "objmount-allowed-mime-types", "image/", "of", "others")
		for _, m := range []*mount{one, two} {
			eventuallyIs(t, "the tags of another client", unix.EPERM, func() error { return save(m.in("c.txt"), "text") })
		}
		if err := unix.Setxattr(one.dir, "user.s3.bucket.allowed-mime-types", []byte("text/*,image/*"), 0); err != nil {
			t.Fatal(err)
		}
		if err := unix.Setxattr(one.dir, "user.s3.bucket.file-size-limit", []byte("100"), 0); err != nil {
			t.Fatal(err)
		}
		if tags := s.bucketTagging(t, bucket); tags["of"] != "others" || tags["objmount-file-size-limit"] != "100" || tags["objmount-allowed-mime-types"] != "image/ text/" {
			t.Errorf("the other client sees the tags %q", tags)
		}
		mustBe(t, "too much", save(one.in("d.txt"), strings.Repeat("x", 101)), unix.EFBIG)
		eventuallyIs(t, "the other mount", unix.EFBIG, func() error { return save(two.in("e.txt"), strings.Repeat("x", 101)) })
		// Limits stay when other tags are set, and go by name.
		one.mustCtl("tags", "set", "--replace", ".", "team=storage")
		one.mustCtl("tags", "delete", ".")
		if tags := s.bucketTagging(t, bucket); len(tags) != 2 {
			t.Errorf("the other client sees the tags %q", tags)
		}
		one.mustCtl("tags", "delete", ".", "objmount-file-size-limit")
		mustBe(t, "no limit any more", save(one.in("d.txt"), strings.Repeat("x", 101)), nil)
	})
}

// TestProgramsWithLimits: what programs do that write under other names first.
func TestProgramsWithLimits(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		bucket := s.newBucket(t)
		s.tagBucket(t, bucket, "objmount-allowed-mime-types", "image/ text/csv", "objmount-file-size-limit", "20000000")
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket, noisy: limitNoise})
		local := t.TempDir()
		for name, data := range map[string]string{"data.csv": "1,2\n", "photo.png": somePNG, "run.exe": "MZ", "fake.png": "MZ\x00\x00"} {
			if err := save(local+"/"+name, data); err != nil {
				t.Fatal(err)
			}
		}
		run := func(fails bool, args ...string) {
			t.Helper()
			if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); (err != nil) != fails {
				t.Errorf("%q: %v\n%s", args, err, out)
			}
		}
		run(false, "rsync", "-r", local+"/data.csv", local+"/photo.png", m.in(""))
		run(false, "rsync", "--inplace", local+"/data.csv", m.in("inplace.csv"))
		run(true, "rsync", local+"/run.exe", m.in(""))
		run(true, "cp", local+"/fake.png", m.in(""))
		run(false, "rm", m.in("fake.png"))
		run(false, "tar", "-C", local, "-cf", local+"/all.tar", "data.csv", "photo.png")
		run(false, "mkdir", m.in("d"))
		run(false, "tar", "-C", m.in("d"), "--no-same-owner", "-xf", local+"/all.tar")
		run(false, "mv", m.in("d/data.csv"), m.in("d/moved.csv"))
		run(true, "mv", "-n", "--no-copy", m.in("d/moved.csv"), m.in("d/moved.png"))
		// A large file of a type that is not allowed: nothing goes up while it is written.
		file, err := os.Create(m.in("large.png"))
		if err != nil {
			t.Fatal(err)
		}
		for range 18 {
			if _, err := file.Write(bytes.Repeat([]byte("text"), 256<<10)); err != nil {
				t.Fatal(err)
			}
		}
		if n := s.unfinished(t, bucket, "large.png"); n != 0 {
			t.Errorf("%d uploads of a file that is refused", n)
		}
		mustBe(t, "close", file.Close(), unix.EPERM)
		run(false, "rm", m.in("large.png"))
		s.holdsOnly(t, bucket, ".objmount-dir", "data.csv", "photo.png", "inplace.csv", "d/", "d/photo.png", "d/moved.csv")
	})
}
