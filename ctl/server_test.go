package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/access"
)

// fakeMount answers what a test wants.
type fakeMount struct {
	status  Status
	steps   []Progress
	hold    bool  // Flush waits for the end of its context after the steps
	err     error // of every method
	mu      sync.Mutex
	unmount []UnmountOptions
	ended   chan error // what ended a held Flush
	verbs   *Verbs
}

func (m *fakeMount) Status(context.Context) (Status, error) { return m.status, m.err }

func (m *fakeMount) Flush(ctx context.Context, progress func(Progress)) error {
	for _, p := range m.steps {
		progress(p)
	}
	if m.hold {
		<-ctx.Done()
		m.ended <- ctx.Err()
		return ctx.Err()
	}
	return m.err
}

func (m *fakeMount) Unmount(_ context.Context, o UnmountOptions) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unmount = append(m.unmount, o)
	return m.err
}

func (m *fakeMount) Verbs() *Verbs { return m.verbs }

func start(t *testing.T, m Mount) (*Server, *Client) {
	t.Helper()
	s, err := Serve(filepath.Join(t.TempDir(), "run"), Info{Source: "s3://b", Mountpoint: "/mnt", Started: time.Unix(1, 0).UTC()}, m, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c := NewClient(s.Info())
	t.Cleanup(func() {
		c.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return s, c
}

func TestStatusCrossesTheSocket(t *testing.T) {
	t.Parallel()
	want := Status{
		Commit: "background", State: "mounted", Unguarded: []string{"delete"}, PendingBytes: 7, OpenFiles: 2, Inodes: 3, Passthrough: true,
		Capabilities: backend.Capabilities{Vendor: "mem", PutIfMatch: true, Limits: backend.S3Limits()},
		Pending:      []Pending{{ID: "1", Bucket: "b", Key: "k\xc3\xa4 \"", State: "waiting", Bytes: 10, Done: 3, Attempts: 2, LastError: "e", NextTry: time.Unix(9, 0).UTC()}},
		Kept:         []Kept{{ID: "2", Key: "x", State: "conflict", Size: 5, Reason: "lost"}},
		Staging:      Staging{Dir: "/s", Bytes: 1, Limit: 2, Files: 3, Quarantined: 4}, Cache: Cache{Dir: "/c", Hits: 1}, LogFile: "/l",
	}
	s, c := start(t, &fakeMount{status: want})
	got, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want.Mount = s.Info()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFlushStreamsProgress(t *testing.T) {
	t.Parallel()
	steps := []Progress{{1, 10, 2}, {5, 12, 2}, {12, 12, 0}}
	_, c := start(t, &fakeMount{steps: steps})
	var got []Progress
	if err := c.Flush(t.Context(), func(p Progress) { got = append(got, p) }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(steps, got); diff != "" {
		t.Error(diff)
	}
}

func TestErrorsKeepTheirKind(t *testing.T) {
	t.Parallel()
	for _, want := range []error{&Error{Kind: KindBusy, Message: "in use"}, &Error{Kind: KindTimeout, Message: "slow"}, errors.New("plain")} {
		_, c := start(t, &fakeMount{err: want})
		_, err := c.Status(t.Context())
		for name, got := range map[string]error{
			"status": err, "unmount": c.Unmount(t.Context(), UnmountOptions{}), "flush": c.Flush(t.Context(), func(Progress) {}),
		} {
			if got == nil || got.Error() != want.Error() || KindOf(got) != KindOf(want) {
				t.Errorf("%s: got %v (%s), want %v (%s)", name, got, KindOf(got), want, KindOf(want))
			}
		}
	}
}

func TestInterruptedFlushReachesTheMount(t *testing.T) {
	t.Parallel()
	m := &fakeMount{steps: []Progress{{1, 2, 1}}, hold: true, ended: make(chan error, 1)}
	_, c := start(t, m)
	ctx, cancel := context.WithCancel(t.Context())
	err := c.Flush(ctx, func(Progress) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the client got %v", err)
	}
	select {
	case err := <-m.ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the mount got %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("the mount did not notice that the client went away")
	}
	if len(m.unmount) != 0 {
		t.Error("an interrupted flush unmounted")
	}
}

func TestUnmountOptions(t *testing.T) {
	t.Parallel()
	m := &fakeMount{}
	_, c := start(t, m)
	want := []UnmountOptions{{}, {Lazy: true}, {LeavePending: true}}
	for _, o := range want {
		if err := c.Unmount(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, m.unmount); diff != "" {
		t.Error(diff)
	}
}

// raw sends a request as any HTTP client would.
func raw(t *testing.T, c *Client, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://mount"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestBadRequestsAreRefused(t *testing.T) {
	t.Parallel()
	m := &fakeMount{}
	_, c := start(t, m)
	for _, test := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/v1/unmount", `{"lazi":true}`, 400},
		{"POST", "/v1/unmount", `{"lazy":`, 400},
		{"POST", "/v1/unmount", `{"lazy":"` + strings.Repeat("x", maxBody) + `"}`, 400},
		{"GET", "/v1/unmount", "", 405},
		{"POST", "/v1/status", "", 405},
		{"GET", "/v2/status", "", 404},
		{"POST", "/v1/unmount", "", 200},
	} {
		if status, text := raw(t, c, test.method, test.path, test.body); status != test.status {
			t.Errorf("%s %s %.20s: %d %s, want %d", test.method, test.path, test.body, status, text, test.status)
		}
	}
	if len(m.unmount) != 1 {
		t.Errorf("the mount saw %d unmounts, want 1", len(m.unmount))
	}
}

func TestOnlyOwnerAndRoot(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		peer, owner uint32
		want        bool
	}{{0, 0, true}, {0, 1000, true}, {1000, 1000, true}, {1000, 0, false}, {1001, 1000, false}, {1000, 1001, false}} {
		if got := allowed(test.peer, test.owner); got != test.want {
			t.Errorf("peer %d, owner %d: %v", test.peer, test.owner, got)
		}
	}
}

// TestPeerIsChecked makes the server believe that somebody else mounted. Root may do everything,
// so as root the test needs another user's process.
func TestPeerIsChecked(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	dir := filepath.Join(top, "run")
	s, err := serve(dir, Info{Mountpoint: "/mnt", UID: uint32(os.Geteuid()) + 4242}, &fakeMount{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(t.Context())
	c := NewClient(s.Info())
	defer c.Close()
	if os.Geteuid() != 0 {
		if _, err := c.Status(t.Context()); KindOf(err) != KindPermission {
			t.Errorf("got %v", err)
		}
		return
	}
	// What is tested is the second barrier, so take the first away.
	for name, mode := range map[string]os.FileMode{s.info.Socket: 0o666, dir: 0o755, top: 0o755, filepath.Dir(top): 0o755} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	if out := asOther(t, s.info.Socket); !strings.HasPrefix(out, "403 ") || !strings.Contains(out, `"permission"`) {
		t.Errorf("another user got %q", out)
	}
}

func TestSocketAndEntry(t *testing.T) {
	t.Parallel()
	s, _ := start(t, &fakeMount{})
	st, err := os.Stat(s.info.Socket)
	if err != nil {
		t.Fatal(err)
	}
	if st.Mode().Perm() != 0o600 {
		t.Errorf("the socket has mode %v", st.Mode().Perm())
	}
	got := List(t.Context(), filepath.Dir(s.info.Socket), filepath.Join(t.TempDir(), "missing"))
	if diff := cmp.Diff([]Info{s.Info()}, got); diff != "" {
		t.Error(diff)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Dir(s.info.Socket)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory of sockets is still there: %v", err)
	}
}

func TestLongSocketPath(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 30))
	s, err := Serve(dir, Info{Mountpoint: "/mnt"}, &fakeMount{status: Status{Commit: "close"}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(t.Context())
	c := NewClient(s.Info())
	defer c.Close()
	if st, err := c.Status(t.Context()); err != nil || st.Commit != "close" {
		t.Errorf("%+v, %v", st, err)
	}
}

func TestDescriptionMatchesRoutes(t *testing.T) {
	t.Parallel()
	s, c := start(t, &fakeMount{})
	status, text := raw(t, c, "GET", "/v1/openapi.json", "")
	if status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	var doc struct {
		Paths      map[string]map[string]any `json:"paths"`
		Components struct {
			Schemas map[string]struct {
				Properties map[string]any `json:"properties"`
			} `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	var described, served []string
	for path, methods := range doc.Paths {
		for method := range methods {
			described = append(described, strings.ToUpper(method)+" "+path)
		}
	}
	for pattern := range s.routes() {
		served = append(served, pattern)
	}
	slices.Sort(described)
	slices.Sort(served)
	if diff := cmp.Diff(served, described); diff != "" {
		t.Errorf("served and described differ:\n%s", diff)
	}
	types := map[string]any{
		"Status": Status{}, "Info": Info{}, "Pending": Pending{}, "Kept": Kept{}, "Staging": Staging{}, "Cache": Cache{}, "Remote": Remote{},
		"UnmountOptions": UnmountOptions{}, "FlushLine": line{}, "Error": Error{}, "Line": Line{}, "Step": Step{}, "Summary": Summary{},
		"Version": Version{}, "Done": Done{}, "Selector": Selector{}, "FileDiff": FileDiff{}, "PropertyDiff": PropertyDiff{},
		"Object": Object{}, "Existence": Existence{}, "Deleted": Deleted{}, "Stored": Stored{}, "Restoration": Restoration{}, "Failed": Failed{}, "Got": Got{}, "ComposeSource": ComposeSource{},
		"TreeDiff": TreeDiff{}, "Lock": Lock{}, "Tags": Tags{}, "Bucket": Bucket{}, "BucketDetails": BucketDetails{}, "BucketLock": BucketLock{}, "Versioning": Versioning{}, "Document": Document{},
		"DocumentDiff": DocumentDiff{}, "SelectResult": SelectResult{}, "Waiting": Waiting{}, "ConflictDiff": ConflictDiff{}, "Quarantined": Quarantined{}, "UnfinishedUpload": UnfinishedUpload{},
		"Presigned": Presigned{}, "LengthRange": LengthRange{}, "PolicyExplanation": PolicyExplanation{}, "AccessStatement": access.Statement{}, "Access": access.Access{},
		"ACL": ACL{}, "Grant": Grant{}, "PublicURL": PublicURL{}, "Reloaded": Reloaded{}, "Setting": Setting{},
	}
	for name, v := range verbs { // the schema of a request has the name of its type
		request := v.request()
		schema := reflect.TypeOf(request).Name()
		types[schema] = request
		if name == putVerb { // the body are the bytes, and the request is in a header
			put, _ := doc.Paths["/v1/"+name]["put"].(map[string]any)
			want := fmt.Sprintf(`[{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/%s"}}},"in":"header","name":%q,"required":true}]`, schema, requestHeader)
			if have, err := json.Marshal(put["parameters"]); err != nil || string(have) != want {
				t.Errorf("%s takes %s, described as %s (%v)", name, want, have, err)
			}
			continue
		}
		want := fmt.Sprintf(`{"application/json":{"schema":{"$ref":"#/components/schemas/%s"}}}`, schema)
		post, _ := doc.Paths["/v1/"+name]["post"].(map[string]any)
		body, _ := post["requestBody"].(map[string]any)
		if have, err := json.Marshal(body["content"]); err != nil || string(have) != want {
			t.Errorf("%s takes %s, described as %s (%v)", name, want, have, err)
		}
	}
	for name, v := range types {
		var have []string
		for property := range doc.Components.Schemas[name].Properties {
			have = append(have, property)
		}
		slices.Sort(have)
		if diff := cmp.Diff(jsonFields(v), have); diff != "" {
			t.Errorf("schema %s:\n%s", name, diff)
		}
	}
}

func TestEveryKindHasAStatus(t *testing.T) {
	t.Parallel()
	for _, k := range []Kind{KindOther, KindPermission, KindBusy, KindInvalid, KindGone, KindTimeout, KindFailed, KindConflict,
		KindNotFound, KindNoBucket, KindUnsupported, KindLocked, KindCredentials, KindUnreachable, KindPartial} {
		if httpStatus[k] < 207 {
			t.Errorf("%s has HTTP status %d", k, httpStatus[k])
		}
		if !strings.Contains(string(openAPI), `"`+string(k)+`"`) {
			t.Errorf("%s is not described", k)
		}
	}
}
