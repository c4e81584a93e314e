package test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// documentFile writes a document for a command to read.
func documentFile(t testing.TB, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "document")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// hasDocument asks the other client for a document and looks for a text in the answer; none: there must be no document.
func (s *store) hasDocument(t testing.TB, method, bucket, want string) {
	t.Helper()
	var reply any
	err := s.tryBoto(method, map[string]any{"Bucket": bucket}, &reply)
	if want == "" {
		if err == nil {
			t.Errorf("%s still answers %v", method, reply)
		}
		return
	}
	text, _ := json.Marshal(reply)
	if err != nil || !strings.Contains(string(text), want) {
		t.Errorf("%s answers %s (%v), want %s", method, text, err, want)
	}
}

// goesRound sets a document from a file, reads it, sets what was read through the mount, compares and deletes it.
func (m *mount) goesRound(noun, file string, check func(there bool)) {
	m.t.Helper()
	m.failsCtl(1, "has no "+noun+" document", noun, "get", ".")
	m.mustCtl(noun, "set", "--dry-run", ".", file)
	m.failsCtl(1, "has no "+noun, noun, "get", ".")
	m.mustCtl(noun, "set", ".", file)
	check(true)
	got := m.mustCtl(noun, "get", ".")
	m.mustCtl(noun, "set", ".", documentFile(m.t, got))
	check(true)
	if out := m.mustCtl(noun, "diff", ".", documentFile(m.t, got)); out != "" {
		m.t.Errorf("%s differs from itself:\n%s", noun, out)
	}
	m.failsCtl(2, "line 2: ", noun, "set", ".", documentFile(m.t, "{\n\"Nonsense\": 1}"))
	check(true)
	m.mustCtl(noun, "delete", ".")
	m.mustCtl(noun, "delete", ".") // there is none any more
	check(false)
	m.failsCtl(1, "has no "+noun, noun, "get", ".")
}

func (s *store) anonymousGet(t testing.TB, path string) int {
	t.Helper()
	resp, err := http.Get(s.endpoint + path)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func TestCtlPolicy(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.policy")
		bucket := s.newBucket(t)
		s.put(t, bucket, "pub/f", []byte("x"))
		s.put(t, bucket, "private", []byte("x"))
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		open := func(want map[string]int) {
			t.Helper()
			for path, status := range want {
				if got := s.anonymousGet(t, "/"+bucket+path); got != status {
					t.Errorf("everybody gets %d of %s, want %d", got, path, status)
				}
			}
		}
		policy := `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::` + bucket + `/pub/*"}}`
		m.goesRound("policy", documentFile(t, policy), func(there bool) {
			t.Helper()
			want := map[bool]string{true: "pub/*"}[there]
			s.hasDocument(t, "get_bucket_policy", bucket, want)
			open(map[string]int{"/pub/f": map[bool]int{true: 200, false: 403}[there], "/private": 403})
		})
		m.mustCtl("policy", "set", "--anonymous", "read", "--prefix", "pub/", ".")
		open(map[string]int{"/pub/f": 200, "/private": 403, "?list-type=2&prefix=pub/": 200, "?list-type=2": 403})
		m.mustCtl(m.bare("policy", "set", "--anonymous", "read", "s3://"+bucket)...)
		open(map[string]int{"/pub/f": 200, "/private": 200, "?list-type=2": 200})
		m.mustCtl("policy", "set", "--anonymous", "none", ".")
		open(map[string]int{"/pub/f": 200, "/private": 403})
		m.mustCtl("policy", "set", "--anonymous", "none", "--prefix", "pub/", ".")
		s.hasDocument(t, "get_bucket_policy", bucket, "")
		open(map[string]int{"/pub/f": 403})
		m.failsCtl(2, "read, read-write or none", "policy", "set", "--anonymous", "all", ".")
		write(t, m.in("file"), "x")
		m.failsCtl(2, "the bucket is s3://"+bucket, "policy", "get", "file")
	})
}

func TestCtlLifecycle(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		bucket := s.newBucket(t)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		file := documentFile(t, `{"Rules": [{"ID": "tmp", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 3}}]}`)
		if s.name == "versitygw" {
			m.failsCtl(13, "is not known to have the lifecycle document", "lifecycle", "set", ".", file)
			m.failsCtl(13, "is not known to have the lifecycle document", m.bare("lifecycle", "get", "s3://"+bucket)...)
			return
		}
		covers(t, s, "ctl.lifecycle")
		m.goesRound("lifecycle", file, func(there bool) {
			t.Helper()
			s.hasDocument(t, "get_bucket_lifecycle_configuration", bucket, map[bool]string{true: `"Expiration":{"Days":3}`}[there])
		})
		xml := documentFile(t, "<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter><Prefix>old/</Prefix></Filter>\n<Expiration><Days>5</Days></Expiration></Rule></LifecycleConfiguration>")
		m.mustCtl("lifecycle", "set", ".", xml)
		s.hasDocument(t, "get_bucket_lifecycle_configuration", bucket, `"Expiration":{"Days":5}`)
		if out := m.mustCtl("lifecycle", "diff", ".", file); !strings.Contains(out, "\n-                \"Prefix\": \"old/\"\n") || !strings.Contains(out, "\n+                \"Days\": 3\n") {
			t.Errorf("diff:\n%s", out)
		}
	})
}

// TestCtlEdits: the editor is a command that changes the file.
func TestCtlEdits(t *testing.T) {
	t.Parallel()
	s := openStore(t, "versitygw")
	covers(t, s, "ctl.cors")
	bucket := s.newBucket(t)
	m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
	file := documentFile(t, `{"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["https://a.example"], "MaxAgeSeconds": 60}]}`)
	m.goesRound("cors", file, func(there bool) {
		t.Helper()
		s.hasDocument(t, "get_bucket_cors", bucket, map[bool]string{true: "https://a.example"}[there])
	})
	edit := func(editor string) ctlAnswer {
		t.Helper()
		return m.ctlWith([]string{"VISUAL=", "EDITOR=" + editor, "TMPDIR=" + t.TempDir()}, "cors", "edit", ".")
	}
	if a := edit("cp " + file); a.code != 0 { // a new document
		t.Errorf("%+v", a)
	}
	s.hasDocument(t, "get_bucket_cors", bucket, `"https://a.example"`)
	if a := edit("sed -i s/a.example/b.example/"); a.code != 0 {
		t.Errorf("%+v", a)
	}
	s.hasDocument(t, "get_bucket_cors", bucket, `"https://b.example"`)
	if a := edit("true"); a.code != 0 || !strings.Contains(a.problems, "nothing was changed") {
		t.Errorf("%+v", a)
	}
	if a := edit("false"); a.code != 1 || !strings.Contains(a.problems, "the editor false") {
		t.Errorf("%+v", a)
	}
	a := edit("sed -i s/AllowedOrigins/Origins/")
	if a.code != 2 || !strings.Contains(a.problems, "what was written is in ") || !strings.Contains(a.problems, `has "Origins", which is unknown there`) {
		t.Errorf("%+v", a)
	}
	_, name, _ := strings.Cut(a.problems, "what was written is in ")
	name, _, _ = strings.Cut(name, "\n")
	if text, err := os.ReadFile(name); err != nil || !strings.Contains(string(text), `"Origins"`) {
		t.Errorf("kept: %v\n%s", err, text)
	}
	s.hasDocument(t, "get_bucket_cors", bucket, `"https://b.example"`)
}

func TestCtlEncryption(t *testing.T) {
	t.Parallel()
	s := openStore(t, "minio")
	covers(t, s, "ctl.encryption")
	bucket := s.newBucket(t)
	m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
	file := documentFile(t, `{"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}`)
	m.goesRound("encryption", file, func(there bool) {
		t.Helper()
		s.hasDocument(t, "get_bucket_encryption", bucket, map[bool]string{true: "AES256"}[there])
	})
	m.mustCtl("encryption", "set", ".", file)
	write(t, m.in("f"), "secret")
	var head struct{ ServerSideEncryption string }
	s.boto(t, "head_object", map[string]any{"Bucket": bucket, "Key": "f"}, &head)
	if head.ServerSideEncryption != "AES256" {
		t.Errorf("a new file is stored with encryption %q", head.ServerSideEncryption)
	}
}

func TestCtlObjectLock(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.object-lock")
		bucket := s.newLockBucket(t)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		const none = "{\n    \"ObjectLockEnabled\": \"Enabled\"\n}\n"
		if out := m.mustCtl("lock", "get", "."); out != none {
			t.Errorf("a new bucket has\n%s", out)
		}
		m.mustCtl("lock", "set", ".", documentFile(t, `{"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 2}}}}`))
		s.hasDocument(t, "get_object_lock_configuration", bucket, `"Mode":"GOVERNANCE"`)
		m.mustCtl("lock", "set", ".", documentFile(t, m.mustCtl("lock", "get", ".")))
		id := s.putVersion(t, bucket, "f", "x", nil)
		m.failsCtl(12, "stays", "versions", "delete", "--yes", "--version-id", id, "f")
		m.mustCtl("lock", "delete", ".")
		if out := m.mustCtl(m.bare("lock", "get", "s3://"+bucket)...); out != none {
			t.Errorf("after delete:\n%s", out)
		}
		m.mustCtl("versions", "delete", "--yes", "--bypass-governance", "--version-id", id, "f")
		plain := s.newBucket(t)
		m.failsCtl(1, "has no lock document", m.bare("lock", "get", "s3://"+plain)...)
	})
}
