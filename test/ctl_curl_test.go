package test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// curlExamples are the commands of docs/ctl.md that ask a mount's socket, in their order.
func curlExamples(t testing.TB) []string {
	t.Helper()
	text, err := os.ReadFile("../docs/ctl.md")
	must(t, err)
	var all []string
	for line := range strings.Lines(string(text)) {
		if command, found := strings.CutPrefix(strings.TrimSpace(line), "$ curl --unix-socket "); found {
			all = append(all, command)
		}
	}
	return all
}

// TestCurlExamplesWork runs each as it is written, but for the name of the socket, one after the other in a mount that has what
// they are about.
func TestCurlExamplesWork(t *testing.T) {
	t.Parallel()
	examples := curlExamples(t)
	if len(examples) < 12 {
		t.Fatalf("only %d examples were found", len(examples))
	}
	onEachStore(t, func(t *testing.T, s *store) {
		covers(t, s, "ctl.object-io", "ctl.stat", "ctl.list", "ctl.compose", "ctl.object-delete")
		bucket := s.newVersionedBucket(t)
		for key, content := range map[string]string{"report.txt": "draft\n", "photos/a": "a", "photos/b": "b", "people.csv": "name,city\nAnna,Oslo\n"} {
			s.putVersion(t, bucket, key, content, nil)
		}
		m := newMount(t, mountOptions{store: s, source: "s3://" + bucket})
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, "new.txt"), []byte("final\n"), 0o600))
		sockets, err := filepath.Glob(filepath.Join(m.options.state, "objmount", "*.sock"))
		if err != nil || len(sockets) != 1 {
			t.Fatalf("%v, %v", sockets, err)
		}
		for _, example := range examples {
			socket, rest, _ := strings.Cut(example, " ")
			if socket != "/run/objmount/1234.sock" {
				t.Errorf("another socket: %s", example)
			}
			cmd := exec.Command("sh", "-c", `curl --silent --show-error --write-out '\n%{http_code}' --unix-socket "$0" `+rest, sockets[0])
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%s: %v\n%s", example, err, out)
				continue
			}
			cut := strings.LastIndexByte(string(out), '\n')
			answer, status := string(out[:cut]), string(out[cut+1:])
			want := "200"
			if s.name == "versitygw" && strings.HasSuffix(rest, "/v1/select") { // it has no queries
				want = "501"
			}
			if status != want || want == "200" && strings.Contains(answer, `"error"`) && !strings.HasSuffix(rest, "/openapi.json") {
				t.Errorf("%s: %s\n%s", example, status, answer)
			}
			if !strings.HasSuffix(rest, "/openapi.json") {
				for line := range strings.Lines(answer) {
					if !json.Valid([]byte(line)) {
						t.Errorf("%s: no JSON: %s", example, line)
					}
				}
			}
		}
		want := map[string]string{"report.txt": "draft\n", "new.txt": "final\n", "copy.txt": "draft\n", "all.txt": "draft\nfinal\n", "people.csv": "name,city\nAnna,Oslo\n"}
		for key := range s.snapshot(t, bucket, "") {
			if got := string(s.get(t, bucket, key)); got != want[key] {
				t.Errorf("%s is %q, want %q", key, got, want[key])
			}
			delete(want, key)
		}
		if len(want) > 0 {
			t.Errorf("missing: %v", want)
		}
		if head := s.head(t, bucket, "new.txt"); head.ContentType != "text/plain" || head.Metadata["by"] != "curl" {
			t.Errorf("%+v", head)
		}
	})
}
