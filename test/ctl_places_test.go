package test

import (
	"strings"
	"testing"
	"time"
)

// TestCtlBucketDocumentsEverywhere asks mounts of a prefix, of the past and without the right to write for what is the bucket's.
func TestCtlBucketDocumentsEverywhere(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.policy", "ctl.bucket-show", "ctl.versioning")
		bucket := s.newVersionedBucket(t)
		s.putVersion(t, bucket, "top/f", "x", nil)
		then := pause().Format(time.RFC3339Nano)
		policy := `{"Version": "2012-10-17", "Statement": [{"Sid": "one", "Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::` + bucket + `/*"]}]}`
		s.boto(t, "put_bucket_policy", map[string]any{"Bucket": bucket, "Policy": policy}, nil)
		for name, test := range map[string]struct {
			source, refused string
			code            int
			args            []string
		}{
			"prefix":             {"s3://" + bucket + "/top/", "to change it, name it: s3://" + bucket, 2, nil},
			"past":               {"s3://" + bucket, "it is mounted read-only", 4, []string{"--at", then}},
			"read-only":          {"s3://" + bucket, "it is mounted read-only", 4, []string{"--read-only"}},
			"prefix of the past": {"s3://" + bucket + "/top/", "it is mounted read-only", 4, []string{"--at", then}},
		} {
			t.Run(name, func(t *testing.T) {
				m := newMount(t, mountOptions{store: s, source: test.source, args: test.args})
				if out := m.mustCtl("policy", "get", "."); !strings.Contains(out, `"one"`) {
					t.Errorf("the policy: %s", out)
				}
				if out := m.mustCtl("policy", "get", m.dir+"/"); !strings.Contains(out, `"one"`) {
					t.Errorf("the policy: %s", out)
				}
				if out := m.mustCtl("bucket", "show", "."); !strings.Contains(out, bucket) {
					t.Errorf("the bucket: %s", out)
				}
				if out := m.mustCtl("versioning", "get", "."); !strings.Contains(out, "Enabled") {
					t.Errorf("versions: %s", out)
				}
				m.failsCtl(test.code, test.refused, "policy", "delete", ".")
				m.failsCtl(test.code, test.refused, "versioning", "suspend", ".")
			})
		}
		var reply struct{ Policy string }
		s.boto(t, "get_bucket_policy", map[string]any{"Bucket": bucket}, &reply)
		if !strings.Contains(reply.Policy, "GetObject") {
			t.Errorf("the policy now: %s", reply.Policy)
		}
	})
}

// TestCtlBucketEmptyEndsUploads that nobody has finished.
func TestCtlBucketEmptyEndsUploads(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.bucket-empty")
		bucket := s.newBucket(t)
		s.put(t, bucket, "f", []byte("x"))
		begin := func(key string) {
			var reply struct{ UploadId string }
			s.boto(t, "create_multipart_upload", map[string]any{"Bucket": bucket, "Key": key}, &reply)
			s.boto(t, "upload_part", map[string]any{"Bucket": bucket, "Key": key, "UploadId": reply.UploadId, "PartNumber": 1, "Body": botoBytes([]byte("part"))}, nil)
		}
		keys := []string{"a", "a", "d/ä b+c%25", "d/e/f"}
		for _, key := range keys {
			begin(key)
		}
		listed := s.unfinished(t, bucket, "")
		if listed != len(keys) {
			t.Errorf("the other client lists %d uploads", listed)
		}
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		type summary struct {
			Result struct{ Done, Uploads int }
		}
		for i, args := range [][]string{{"bucket", "empty", "--json", "--dry-run", "."}, {"bucket", "empty", "--json", "--yes", "."}} {
			lines := jsonLines[summary](t, m.mustCtl(args...))
			if sum := lines[len(lines)-1].Result; sum.Done != 1 || sum.Uploads != listed {
				t.Errorf("%q: %+v, want %d uploads", args, sum, listed)
			}
			left := s.unfinished(t, bucket, "a") + s.unfinished(t, bucket, "d/ä b+c%25") + s.unfinished(t, bucket, "d/e/f")
			if want := len(keys) - i*listed; left != want {
				t.Errorf("%q: %d uploads left, want %d", args, left, want)
			}
		}
		begin("g")
		if a := m.ctl(m.bare("bucket", "empty", "--yes", "s3://"+bucket)...); a.code != 0 || !strings.Contains(a.out, "removed: 0 objects (0 B) and 1 unfinished upload\n") {
			t.Errorf("%+v", a)
		}
	})
}
