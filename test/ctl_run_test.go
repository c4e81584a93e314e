package test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// ctlAnswer is what objmount ctl printed, and its exit code.
type ctlAnswer struct {
	out, problems string
	code          int
}

// ctl runs objmount ctl with the working directory at the root of the mount.
func (m *mount) ctl(args ...string) ctlAnswer { return m.ctlIn(m.dir, args...) }

func (m *mount) ctlIn(dir string, args ...string) ctlAnswer {
	m.t.Helper()
	return m.ctlAs(dir, nil, args)
}

// ctlNoticed is ctl that calls then, once, when standard output or standard error says something.
func (m *mount) ctlNoticed(text string, then func(), args ...string) ctlAnswer {
	m.t.Helper()
	once := sync.OnceFunc(then)
	return m.ctlInto(m.dir, nil, args, &noticing{text: text, then: once}, &noticing{text: text, then: once})
}

// noticing is a buffer that calls a function once it has a text.
type noticing struct {
	said bytes.Buffer // not embedded: its ReadFrom would pass Write by
	text string
	then func()
}

// Write implements io.Writer.
func (n *noticing) Write(p []byte) (int, error) {
	count, err := n.said.Write(p)
	if n.text != "" && strings.Contains(n.said.String(), n.text) {
		n.then()
	}
	return count, err
}

// ctlWith is ctl with more in its environment.
func (m *mount) ctlWith(environment []string, args ...string) ctlAnswer {
	m.t.Helper()
	return m.ctlAs(m.dir, environment, args)
}

func (m *mount) ctlAs(dir string, more, args []string) ctlAnswer {
	m.t.Helper()
	return m.ctlInto(dir, more, args, &noticing{}, &noticing{})
}

func (m *mount) ctlInto(dir string, more, args []string, out, problems *noticing) ctlAnswer {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), unmountTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, m.cmd.Path, append([]string{"ctl"}, args...)...)
	cmd.Dir, cmd.Env = dir, append(m.environment(), more...)
	cmd.Stdout, cmd.Stderr = out, problems
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.t.Fatalf("objmount ctl %q: %v", args, err)
	}
	return ctlAnswer{out.said.String(), problems.said.String(), cmd.ProcessState.ExitCode()}
}

// mustCtl is ctl for what must succeed; it returns standard output.
func (m *mount) mustCtl(args ...string) string {
	m.t.Helper()
	a := m.ctl(args...)
	if a.code != 0 {
		m.t.Fatalf("objmount ctl %q: exit code %d\n%s%s", args, a.code, a.out, a.problems)
	}
	return a.out
}

// failsCtl wants an exit code, and a line of standard error that has a text.
func (m *mount) failsCtl(code int, text string, args ...string) ctlAnswer {
	m.t.Helper()
	a := m.ctl(args...)
	if a.code != code || !strings.Contains(a.problems, text) {
		m.t.Errorf("objmount ctl %q: exit code %d, want %d with %q\n%s%s", args, a.code, code, text, a.out, a.problems)
	}
	return a
}

// bare are the arguments for a path that needs no mount.
func (m *mount) bare(args ...string) []string {
	return append([]string{args[0], args[1], "--endpoint-url", m.options.store.endpoint, "--region", region}, args[2:]...)
}

// jsonLines decodes lines of JSON.
func jsonLines[T any](t testing.TB, text string) []T {
	t.Helper()
	var all []T
	for line := range strings.Lines(text) {
		var v T
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, v)
	}
	return all
}

// listedVersion is a version as boto3 and as objmount ctl versions list --json name its parts.
type listedVersion struct {
	Key          string `json:"key"`
	VersionID    string `json:"version_id"`
	Size         int64  `json:"size"`
	Latest       bool   `json:"latest"`
	DeleteMarker bool   `json:"delete_marker"`
	ETag         string `json:"etag"`
}

// versions are all versions and delete markers below a prefix as the other client lists them, by id.
func (s *store) versions(t testing.TB, bucket, prefix string) map[string]listedVersion {
	t.Helper()
	var reply struct {
		Versions      []map[string]any
		DeleteMarkers []map[string]any
	}
	s.boto(t, "list_object_versions", map[string]any{"Bucket": bucket, "Prefix": prefix}, &reply)
	all := map[string]listedVersion{}
	add := func(entries []map[string]any, marker bool) {
		for _, e := range entries {
			v := listedVersion{DeleteMarker: marker}
			v.Key, _ = e["Key"].(string)
			v.VersionID, _ = e["VersionId"].(string)
			v.Latest, _ = e["IsLatest"].(bool)
			size, _ := e["Size"].(float64)
			v.Size = int64(size)
			etag, _ := e["ETag"].(string)
			v.ETag = strings.Trim(etag, `"`)
			all[v.VersionID] = v
		}
	}
	add(reply.Versions, false)
	add(reply.DeleteMarkers, true)
	return all
}

// versionsByCtl are the same as objmount lists them.
func versionsByCtl(t testing.TB, text string) map[string]listedVersion {
	t.Helper()
	all := map[string]listedVersion{}
	for _, v := range jsonLines[listedVersion](t, text) {
		all[v.VersionID] = v
	}
	return all
}

// putVersion stores a version with properties as another client does, and returns its id.
func (s *store) putVersion(t testing.TB, bucket, key, content string, more map[string]any) string {
	t.Helper()
	args := map[string]any{"Bucket": bucket, "Key": key, "Body": botoBytes([]byte(content))}
	for k, v := range more {
		args[k] = v
	}
	var reply struct{ VersionId string }
	s.boto(t, "put_object", args, &reply)
	return reply.VersionId
}

// in is a path in the mount.
func (m *mount) in(path string) string { return filepath.Join(m.dir, path) }
