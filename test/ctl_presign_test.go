package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// presigned is what objmount ctl presign --json prints.
type presigned struct {
	URL     string            `json:"url"`
	Method  string            `json:"method"`
	Expires time.Time         `json:"expires_at"`
	Headers map[string]string `json:"headers"`
	Fields  map[string]string `json:"fields"`
}

// presign signs, and checks what is printed.
func (m *mount) presign(lasts time.Duration, args ...string) presigned {
	m.t.Helper()
	before := time.Now()
	out := m.mustCtl(args...)
	all := jsonLines[presigned](m.t, out)
	if len(all) != 1 {
		m.t.Fatalf("%q printed %q", args, out)
	}
	var names map[string]json.RawMessage
	if err := json.Unmarshal([]byte(out), &names); err != nil {
		m.t.Fatal(err)
	}
	for name := range names {
		if !strings.Contains("url method expires_at headers fields", name) {
			m.t.Errorf("%q printed %q, too", args, name)
		}
	}
	p := all[0]
	if p.Expires.Before(before.Add(lasts-2*time.Second)) || p.Expires.After(time.Now().Add(lasts)) || p.Headers == nil {
		m.t.Errorf("%q: %+v", args, p)
	}
	return p
}

// do makes a signed request with nothing but what was printed.
func (p presigned) do(t testing.TB, body string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), p.Method, p.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range p.Headers {
		req.Header.Set(name, value)
	}
	return answered(t, req)
}

// upload sends the form, with some fields changed.
func (p presigned) upload(t testing.TB, changed map[string]string, content string) int {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for name, value := range p.Fields {
		if other, ok := changed[name]; ok {
			value = other
		}
		_ = form.WriteField(name, value) // into memory
	}
	file, err := form.CreateFormFile("file", "name")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(file, content)
	_ = form.Close()
	req, err := http.NewRequestWithContext(t.Context(), p.Method, p.URL, &body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", form.FormDataContentType())
	status, _, _ := answered(t, req)
	return status
}

func answered(t testing.TB, req *http.Request) (int, string, http.Header) {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text), resp.Header
}

// noSecrets: what was signed is in no line of the log.
func (m *mount) noSecrets() {
	m.t.Helper()
	for _, line := range m.log.lines() {
		if strings.Contains(strings.ToLower(line), "x-amz-signature") || strings.Contains(line, secretKey) {
			m.t.Errorf("logged: %s", line)
		}
	}
}

func TestCtlPresignsRequests(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.presign", "ctl.presign-json", "ctl.signed-urls")
		bucket := s.newVersionedBucket(t)
		old := s.putVersion(t, bucket, "f", "old", nil)
		s.putVersion(t, bucket, "f", "new", nil)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket, args: []string{"--log-level=debug"}})

		write(t, m.in("ä b+"), "ours") // and of the mount: stored before it is signed
		get := m.presign(7*24*time.Hour, "presign", "get", "--json", "--expires", "7d", "--response-content-type", "text/x-answer",
			"--response-content-disposition", `attachment; filename="a b"`, "--response-cache-control", "no-store", "--response-content-language", "de",
			"--response-content-encoding", "x-none", "--response-expires", "Thu, 01 Dec 2033 16:00:00 GMT", "ä b+")
		status, text, header := get.do(t, "")
		if status != http.StatusOK || text != "ours" || header.Get("Content-Type") != "text/x-answer" || header.Get("Content-Disposition") != `attachment; filename="a b"` ||
			header.Get("Cache-Control") != "no-store" || header.Get("Content-Language") != "de" || header.Get("Content-Encoding") != "x-none" || !strings.Contains(header.Get("Expires"), "2033") {
			t.Errorf("GET: %d %q %v", status, text, header)
		}
		if status, text, _ := m.presign(time.Hour, "presign", "get", "--json", "--version-id", old, "f").do(t, ""); status != http.StatusOK || text != "old" {
			t.Errorf("GET of a version: %d %q", status, text)
		}
		if status, _, header := m.presign(time.Hour, "presign", "head", "--json", "f").do(t, ""); status != http.StatusOK || header.Get("Content-Length") != "3" {
			t.Errorf("HEAD: %d %v", status, header)
		}
		put := m.presign(15*time.Minute, "presign", "put", "--json", "--expires", "15m", "--content-type", "text/x-put", "--cache-control", "no-cache",
			"--metadata", "By=guest", "--tag", "stage=raw data", "dir/new")
		bad := put
		bad.Headers = nil
		if status, _, _ := bad.do(t, "theirs"); status < 400 || status >= 500 {
			t.Errorf("PUT without its headers: %d", status)
		}
		if status, text, _ := put.do(t, "theirs"); status != http.StatusOK {
			t.Errorf("PUT: %d %s", status, text)
		}
		if got := s.head(t, bucket, "dir/new"); got.ContentType != "text/x-put" || got.CacheControl != "no-cache" || got.Metadata["by"] != "guest" ||
			string(s.get(t, bucket, "dir/new")) != "theirs" || s.tags(t, bucket, "dir/new")["stage"] != "raw data" {
			t.Errorf("stored: %+v", got)
		}
		if status, _, _ := m.presign(time.Hour, "presign", "put", "--json", "--new", "f").do(t, "lost"); status != http.StatusPreconditionFailed {
			t.Errorf("PUT over what is there: %d", status)
		}
		tagging := m.presign(time.Hour, m.bare("presign", "any", "--json", "--method", "GET", "--query", "tagging", "s3://"+bucket+"/dir/new")...)
		if status, text, _ := tagging.do(t, ""); status != http.StatusOK || !strings.Contains(text, "<Key>stage</Key>") {
			t.Errorf("GET ?tagging: %d %s", status, text)
		}
		if status, text, _ := m.presign(time.Hour, "presign", "delete", "--json", "--version-id", old, "f").do(t, ""); status != http.StatusNoContent {
			t.Errorf("DELETE: %d %s", status, text)
		}
		if left := s.versions(t, bucket, "f"); len(left) != 1 || left[old].VersionID != "" {
			t.Errorf("left: %v", left)
		}
		// Only plain URLs, one a line, and what is wrong.
		if out := m.mustCtl("presign", "get", "f", "dir/new"); strings.Count(out, "\n") != 2 || strings.Count(out, "http") != 2 {
			t.Errorf("printed %q", out)
		}
		if a := m.ctl("presign", "put", "--content-type", "a/b", "other"); a.code != 0 || !strings.Contains(a.problems, "has to have these headers: Content-Type: a/b") {
			t.Errorf("%+v", a)
		}
		m.failsCtl(1, "nothing is at", "presign", "get", "gone")
		m.failsCtl(2, "is a directory", "presign", "get", "dir")
		m.noSecrets()
	})
}

// TestCtlPresignsThePast: the URL is of what the mount shows, and changes nothing.
func TestCtlPresignsThePast(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		bucket := s.newVersionedBucket(t)
		s.putVersion(t, bucket, "f", "then", nil)
		at := apart()
		s.putVersion(t, bucket, "f", "now", nil)
		past := newMount(t, mountOptions{store: s, source: "s3://" + bucket, args: []string{"--at", at.Format(time.RFC3339Nano)}})
		if status, text, _ := past.presign(time.Hour, "presign", "get", "--json", "f").do(t, ""); status != http.StatusOK || text != "then" {
			t.Errorf("GET: %d %q", status, text)
		}
		for _, verb := range []string{"put", "delete", "post"} {
			past.failsCtl(4, "read-only", "presign", verb, "f")
		}
	})
}

func TestCtlPresignExpires(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.presign")
		bucket := s.newBucket(t)
		s.put(t, bucket, "f", []byte("x"))
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		short := m.presign(time.Second, "presign", "get", "--json", "--expires", "1s", "f")
		inMount(t, m).eventually("a URL of a second expires", func() bool {
			status, _, _ := short.do(t, "")
			return status == http.StatusForbidden || status == http.StatusBadRequest
		})
		// Credentials that end earlier than was asked for.
		dir := t.TempDir()
		ends := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
		config := filepath.Join(dir, "config")
		write(t, config, fmt.Sprintf("[default]\ncredential_process = echo '{\"Version\":1,\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"%s\",\"Expiration\":\"%s\"}'\n",
			accessKey, secretKey, ends.Format(time.RFC3339)))
		var problems bytes.Buffer
		cmd := exec.Command(m.cmd.Path, append([]string{"ctl"}, m.bare("presign", "get", "--json", "--expires", "7d", "s3://"+bucket+"/f")...)...)
		cmd.Env = append(m.environment(), "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_CONFIG_FILE="+config)
		cmd.Stderr = &problems
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, problems.String())
		}
		p := jsonLines[presigned](t, string(out))[0]
		if late := p.Expires.Sub(ends); late > 0 || late < -2*time.Second || !strings.Contains(problems.String(), "only: the credentials that it is signed with end then") {
			t.Errorf("%v, not %v: %s", p.Expires, ends, problems.String())
		}
		if status, text, _ := p.do(t, ""); status != http.StatusOK || text != "x" {
			t.Errorf("%d %s", status, text)
		}
	})
}

func TestCtlPresignsForms(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.post-policy", "ctl.presign-json")
		bucket := s.newBucket(t)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket, args: []string{"--metadata-ttl=1s"}})
		form := m.presign(15*time.Minute, "presign", "post", "--json", "--expires", "15m", "--content-length-range", "2,1KiB", "--starts-with", "Content-Type=image/",
			"--exact", "x-amz-meta-by=a guest", "--key-prefix", "guest-", "in")
		fine := map[string]string{"key": "in/guest-1", "Content-Type": "image/png"}
		for what, wrong := range map[string]map[string]string{
			"key": {"key": "in/1"}, "Content-Type": {"Content-Type": "text/html"}, "x-amz-meta-by": {"x-amz-meta-by": "me"},
		} {
			changed := map[string]string{"key": fine["key"], "Content-Type": fine["Content-Type"]}
			changed[what] = wrong[what]
			if status := form.upload(t, changed, "image"); status < 400 || status >= 500 {
				t.Errorf("another %s: %d", what, status)
			}
		}
		for _, content := range []string{"1", strings.Repeat("x", 1025)} {
			if status := form.upload(t, fine, content); status < 400 || status >= 500 {
				t.Errorf("%d bytes: %d", len(content), status)
			}
		}
		if status := form.upload(t, fine, "image"); status != http.StatusNoContent {
			t.Fatalf("the form: %d", status)
		}
		if got := s.head(t, bucket, "in/guest-1"); got.ContentType != "image/png" || got.Metadata["by"] != "a guest" || string(s.get(t, bucket, "in/guest-1")) != "image" {
			t.Errorf("stored: %+v", got)
		}
		one := m.presign(time.Hour, m.bare("presign", "post", "--json", "s3://"+bucket+"/one")...)
		if status := one.upload(t, nil, "this"); status != http.StatusNoContent || string(s.get(t, bucket, "one")) != "this" {
			t.Errorf("a form for one key: %d", status)
		}
		if status := one.upload(t, map[string]string{"key": "two"}, "this"); status < 400 {
			t.Errorf("a form for another key: %d", status)
		}
		inMount(t, m).eventually("the upload", func() bool {
			data, err := os.ReadFile(m.in("in/guest-1"))
			return err == nil && string(data) == "image"
		})
		if out := m.mustCtl("presign", "post", "one"); !strings.Contains(out, "\nkey=one\n") || !strings.Contains(out, "\npolicy=") || !strings.HasPrefix(out, "http") {
			t.Errorf("printed %q", out)
		}
		m.noSecrets()
	})
}

// TestCtlPresignCurl runs the commands that are printed, in a directory of its own.
func TestCtlPresignCurl(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.presign", "ctl.post-policy")
		bucket := s.newBucket(t)
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		dir := t.TempDir()
		run := func(args ...string) string {
			t.Helper()
			command := m.mustCtl(args...)
			cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
			cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH")}
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%s%v\n%s", command, err, out)
			}
			return string(out)
		}
		const name = `it's "a" ü;b,c` // for the shell, for curl, for a URL
		write(t, filepath.Join(dir, name), "by curl")
		run("presign", "put", "--curl", "--content-type", "text/x-'curl'", "--metadata", "a=b c", "d/"+name)
		if got := s.head(t, bucket, "d/"+name); got.ContentType != "text/x-'curl'" || got.Metadata["a"] != "b c" || string(s.get(t, bucket, "d/"+name)) != "by curl" {
			t.Errorf("PUT stored %+v", got)
		}
		run("presign", "get", "--curl", "--file", "down", "d/"+name)
		if data, err := os.ReadFile(filepath.Join(dir, "down")); err != nil || string(data) != "by curl" {
			t.Errorf("GET: %q, %v", data, err)
		}
		if out := run("presign", "head", "--curl", "d/"+name); !strings.Contains(strings.ToLower(out), "content-length: 7") {
			t.Errorf("HEAD: %s", out)
		}
		if out := run("presign", "any", "--curl", "--method", "POST", "--query", "uploads", "big"); !strings.Contains(out, "<UploadId>") {
			t.Errorf("POST ?uploads: %s", out)
		}
		run("presign", "post", "--curl", "--file", name, "--starts-with", "Content-Type=text/", "--exact", "x-amz-meta-a=b;c", "posted/")
		if got := s.head(t, bucket, "posted/"+name); got.ContentType != "text/" || got.Metadata["a"] != "b;c" || string(s.get(t, bucket, "posted/"+name)) != "by curl" {
			t.Errorf("the form stored %+v", got)
		}
		run(m.bare("presign", "delete", "--curl", "s3://"+bucket+"/d/"+name)...)
		if left := s.snapshot(t, bucket, "d/"); len(left) > 0 {
			t.Errorf("DELETE left %v", left)
		}
	})
}
