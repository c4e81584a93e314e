package ctl

import (
	"context"
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/backend"
	"github.com/objmount/objmount/backend/mem"
)

// query is that of a URL, without what only a signature has.
func (p Presigned) query(t *testing.T) url.Values {
	t.Helper()
	u, err := url.Parse(p.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

func TestPresignedRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.put(0, "d/f", "old")
	w.put(1, "d/f", "new")
	for _, test := range []struct {
		r    PresignRequest
		want Presigned
	}{
		{PresignRequest{Target: target("d/f"), Method: "GET"}, Presigned{URL: "?X-Amz-Expires=3600", Expires: hour(2)}},
		{
			PresignRequest{Target: target("d/f"), Method: "HEAD", VersionID: old, Expires: 7 * 24 * 3600, Query: map[string]string{"response-content-type": "a/b"}},
			Presigned{URL: "?X-Amz-Expires=604800&response-content-type=a%2Fb&versionId=" + url.QueryEscape(old), Expires: hour(1 + 7*24)},
		},
		{PresignRequest{Target: target("d/f"), Method: "DELETE", Expires: 1}, Presigned{URL: "?X-Amz-Expires=1", Expires: hour(1).Add(time.Second)}},
		{
			PresignRequest{Target: target("d/new"), Method: "PUT", Headers: map[string]string{"Content-Type": "a/b"}},
			Presigned{URL: "?X-Amz-Expires=3600", Expires: hour(2), Headers: map[string]string{"Content-Type": "a/b"}},
		},
		{
			PresignRequest{Target: target("d/new"), Method: "POST", Unchecked: true, Query: map[string]string{"uploads": ""}},
			Presigned{URL: "?X-Amz-Expires=3600&uploads=", Expires: hour(2)},
		},
		{PresignRequest{Target: target("gone"), Method: "GET", VersionID: "v"}, Presigned{URL: "?X-Amz-Expires=3600&versionId=v", Expires: hour(2)}},
	} {
		a := w.run("presign/url", test.r)
		got := item[Presigned](t, a)
		query := got.query(t)
		query.Del("X-Amz-Date")
		address, _, _ := strings.Cut(got.URL, "?")
		if want := "https://mem.invalid/b/" + string(test.r.Path); address != want {
			t.Errorf("%s is not %s", address, want)
		}
		got.URL = "?" + query.Encode()
		if test.want.Method = test.r.Method; test.want.Headers == nil {
			test.want.Headers = map[string]string{}
		}
		if diff := cmp.Diff(test.want, got); diff != "" || len(a.notes) > 0 {
			t.Errorf("%+v: %q\n%s", test.r, a.notes, diff)
		}
	}
	for _, test := range []struct {
		r    PresignRequest
		kind Kind
		text string
	}{
		{PresignRequest{Target: target("gone"), Method: "GET"}, KindNotFound, "nothing is at s3://b/gone"},
		{PresignRequest{Target: target("gone"), Method: "DELETE"}, KindNotFound, "nothing is at s3://b/gone"},
		{PresignRequest{Target: target("d"), Method: "GET"}, KindInvalid, "is a directory"},
		{PresignRequest{Target: target("e/"), Method: "PUT"}, KindInvalid, "is a directory"},
		{PresignRequest{Target: target("d/f"), Method: "PATCH"}, KindInvalid, "S3 has GET"},
		{PresignRequest{Target: target("d/f"), Method: "GET", Expires: 7*24*3600 + 1}, KindInvalid, "to 7 days"},
		{PresignRequest{Target: target("d/f"), Method: "GET", Expires: -1}, KindInvalid, "to 7 days"},
		{PresignRequest{Target: target("d/f"), Method: "PUT", Headers: map[string]string{"Host": "x"}}, KindInvalid, "Host cannot be signed"},
	} {
		w.run("presign/url", test.r).wants(t, test.kind, test.text)
	}
}

// TestPresignedSaysWhatItIsWorth: shorter than asked for, of what is not stored yet, or of another time.
func TestPresignedSaysWhatItIsWorth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(0, "f", "x")
	w.store.Configure(func(s *mem.Settings) { s.CredentialsEnd = hour(1) })
	a := w.run("presign/url", PresignRequest{Target: target("f"), Method: "GET", Expires: 7200})
	if got := item[Presigned](t, a); !got.Expires.Equal(hour(1)) || len(a.notes) != 1 || !strings.Contains(a.notes[0], "until 2026-11-01T01:00:00Z only: the credentials") {
		t.Errorf("%+v, %q", got, a.notes)
	}
	if a := w.run("presign/url", PresignRequest{Target: target("f"), Method: "GET", Expires: 1800}); a.err != nil || len(a.notes) > 0 {
		t.Errorf("%v, %q", a.err, a.notes)
	}
	w.tree.unsent, w.tree.settled = 1, 0
	if a := w.run("presign/url", PresignRequest{Target: target("f"), Method: "GET", Expires: 1800}); a.err != nil || len(a.notes) != 1 || w.tree.settled != 1 {
		t.Errorf("what is not stored: %v, %q, settled %d", a.err, a.notes, w.tree.settled)
	}
	if a := w.run("presign/url", PresignRequest{Target: target("f"), Method: "PUT", Expires: 1800}); a.err != nil || len(a.notes) > 0 || w.tree.settled != 1 {
		t.Errorf("PUT: %v, %q, settled %d", a.err, a.notes, w.tree.settled)
	}
	w.verbs.Signer = signsWithASession{w.store}
	if a := w.run("presign/url", PresignRequest{Target: target("f"), Method: "PUT", Expires: 60}); len(a.notes) != 1 || !strings.Contains(a.notes[0], "temporary credentials whose end is not known") {
		t.Errorf("%v, %q", a.err, a.notes)
	}
	w.verbs.Signer = signsWithAKey{w.store}
	if a := w.run("presign/url", PresignRequest{Target: target("f"), Method: "PUT", Expires: 60}); len(a.notes) != 1 || !strings.Contains(a.notes[0], "(SSE-C), which has to be sent") {
		t.Errorf("%v, %q", a.err, a.notes)
	}
	w.verbs.Signer = backend.Unsupported{}
	w.run("presign/url", PresignRequest{Target: target("f"), Method: "GET"}).wants(t, KindUnsupported, "Presign")
	w.verbs.ReadOnly, w.verbs.Signer = true, nil
	w.run("presign/url", PresignRequest{Target: target("f"), Method: "PUT"}).wants(t, KindPermission, "read-only")
	w.run("presign/post", PresignPostRequest{Target: target("f")}).wants(t, KindPermission, "read-only")
	if a := w.run("presign/url", PresignRequest{Target: target("f"), Method: "GET"}); a.err != nil {
		t.Error(a.err)
	}
}

// signsWithASession has credentials of a session that nobody knows the end of.
type signsWithASession struct{ backend.Presigner }

func (s signsWithASession) Presign(ctx context.Context, in backend.PresignInput) (backend.Presigned, error) {
	signed, err := s.Presigner.Presign(ctx, in)
	signed.Uncertain = true
	return signed, err
}

// signsWithAKey is the store of an object that has a key of its own.
type signsWithAKey struct{ backend.Presigner }

func (s signsWithAKey) Presign(ctx context.Context, in backend.PresignInput) (backend.Presigned, error) {
	signed, err := s.Presigner.Presign(ctx, in)
	signed.WithKey = true
	return signed, err
}

func TestPresignedForms(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(0, "d/f", "x")
	for _, test := range []struct {
		r         PresignPostRequest
		key, says string
	}{
		{PresignPostRequest{Target: target("d/f")}, "d/f", `[{"bucket":"b"},{"key":"d/f"},`},
		{PresignPostRequest{Target: target("new")}, "new", `{"key":"new"}`},
		{PresignPostRequest{Target: target("d")}, "d/${filename}", `["starts-with","$key","d/"]`},
		{PresignPostRequest{Target: Target{Path: "new", Directory: true}}, "new/${filename}", `["starts-with","$key","new/"]`},
		{PresignPostRequest{Target: target("")}, "${filename}", `["starts-with","$key",""]`},
		{PresignPostRequest{Target: target("d"), KeyPrefix: "img-"}, "d/img-${filename}", `["starts-with","$key","d/img-"]`},
		{PresignPostRequest{Target: target("new"), KeyPrefix: "a"}, "new/a${filename}", `["starts-with","$key","new/a"]`},
		{PresignPostRequest{Target: target("new"), Length: &LengthRange{0, 5}}, "new", `["content-length-range",0,5]`},
		{PresignPostRequest{Target: target("new"), Exact: map[string]string{"x-amz-meta-a": "b"}}, "new", `{"x-amz-meta-a":"b"}`},
		{PresignPostRequest{Target: target("new"), StartsWith: map[string]string{"Content-Type": "image/"}}, "new", `["starts-with","$Content-Type","image/"]`},
	} {
		got := item[Presigned](t, w.run("presign/post", test.r))
		policy, err := base64.StdEncoding.DecodeString(got.Fields["policy"])
		if err != nil || !strings.Contains(string(policy), test.says) || got.Fields["key"] != test.key || got.Method != "POST" || got.URL != "https://mem.invalid/b" {
			t.Errorf("%+v: %+v\n%s", test.r, got, policy)
		}
	}
	w.run("presign/post", PresignPostRequest{Target: target("d/f"), KeyPrefix: "a"}).wants(t, KindInvalid, "is a file")
	w.run("presign/post", PresignPostRequest{Target: target("f"), Exact: map[string]string{"policy": "a"}}).wants(t, KindInvalid, "field policy")
	w.run("presign/post", PresignPostRequest{Target: target("f"), Expires: 999999}).wants(t, KindInvalid, "to 7 days")
}
