package s3

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
)

// TestRepeats: how often a request is sent when every answer is the same failure.
func TestRepeats(t *testing.T) {
	t.Parallel()
	const attempts = 3
	const always, refusedOnly, never = "always", "refused only", "never"
	policy := map[string]string{
		"Head": always, "Get": always, "List": always, "ListParts": always, "ListUploads": always, "ListBuckets": always, "HeadBucket": always,
		"UploadPart": always, "CopyPart": always, "Abort": always, "Put": always, "Delete": always, "DeleteMany": always,
		"HeadIfMatch": always, "GetVersion": always,
		"CreateUpload": refusedOnly, "DeleteBucket": refusedOnly, "CreateBucket": refusedOnly,
		"PutIfMatch": never, "PutIfNoneMatch": never, "Copy": never, "DeleteIfMatch": never,
		"Complete": never, "CompleteIfMatch": never, "CompleteIfNoneMatch": never,
	}
	failures := map[string]struct {
		answer  func(http.ResponseWriter)
		refused bool
		kind    map[bool]backend.Kind // by whether it is a write
	}{
		"SlowDown": {func(w http.ResponseWriter) { fail(w, 503, "SlowDown", "Please reduce your request rate.") }, true,
			map[bool]backend.Kind{true: backend.KindTransient, false: backend.KindTransient}},
		"InternalError": {func(w http.ResponseWriter) { fail(w, 500, "InternalError", "") }, false,
			map[bool]backend.Kind{true: backend.KindUnknown, false: backend.KindTransient}},
		"lost reply": {drop, false,
			map[bool]backend.Kind{true: backend.KindUnknown, false: backend.KindTransient}},
	}
	reads := map[string]bool{"UploadPart": true, "CopyPart": true, "Abort": true, "CreateUpload": true}
	for name := range operations {
		if policy[name] == "" {
			t.Errorf("no policy for %s", name)
		}
	}
	for op, want := range policy {
		for name, failure := range failures {
			t.Run(op+"/"+name, func(t *testing.T) {
				t.Parallel()
				store, f := newFake(t, Config{MaxAttempts: attempts}, func(_ int, w http.ResponseWriter, r *http.Request) {
					if op == "CreateBucket" && r.Method == http.MethodHead {
						w.WriteHeader(http.StatusNotFound)
						return
					}
					failure.answer(w)
				})
				err := operations[op](t.Context(), store)
				expected := 1
				if want == always || want == refusedOnly && failure.refused {
					expected = attempts
				}
				sent := 0
				for _, r := range f.requests() {
					if op != "CreateBucket" || r.method == http.MethodPut {
						sent++
					}
				}
				// net/http itself repeats a GET whose connection was lost while idle.
				if sent != expected {
					t.Errorf("sent %d times, want %d", sent, expected)
				}
				write := !reads[op] && !strings.HasPrefix(op, "Head") && !strings.HasPrefix(op, "Get") && !strings.HasPrefix(op, "List")
				if got := failure.kind[write]; !backend.IsKind(err, got) {
					t.Errorf("got %v, want %v", err, got)
				}
			})
		}
	}
}

// TestRepeatsEndInTime: what MaxAttempts would allow is not sent any more when Config.RepeatFor is over.
func TestRepeatsEndInTime(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"Head", "UploadPart", "ListBuckets", "ListParts"} { // two are sent by the SDK
		for limit, most := range map[time.Duration]int{0: 2, time.Second: 12} {
			cfg := Config{MaxAttempts: 100, FirstByteTimeout: 100 * time.Millisecond, RepeatFor: func() time.Duration { return limit }}
			store, f := newFake(t, cfg, func(_ int, w http.ResponseWriter, _ *http.Request) { fail(w, 503, "SlowDown", "") })
			if err := operations[op](t.Context(), store); !backend.IsKind(err, backend.KindTransient) {
				t.Errorf("%s: %v", op, err)
			}
			if n := len(f.requests()); n > most || limit > 0 && n < 3 {
				t.Errorf("%s within %v: sent %d times", op, limit, n)
			}
		}
	}
}

// TestRepeatSendsAll: a repeat has the whole body again.
func TestRepeatSendsAll(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("0123456789", 50_000)
	store, f := newFake(t, Config{}, func(n int, w http.ResponseWriter, r *http.Request) {
		switch n {
		case 1:
			drop(w)
		case 2:
			fail(w, 503, "SlowDown", "")
		default:
			ok(n, w, r)
		}
	})
	if _, err := store.Put(t.Context(), putOf(content, backend.Condition{})); err != nil {
		t.Fatal(err)
	}
	all := f.requests()
	if len(all) != 3 {
		t.Fatalf("%d requests, want 3", len(all))
	}
	for i, r := range all {
		if r.body != content {
			t.Errorf("attempt %d had %d bytes", i+1, len(r.body))
		}
	}
}

// brokenBody fails after some bytes.
type brokenBody struct{ io.ReadSeeker }

var errDisk = errors.New("the disk is on fire")

func (b brokenBody) Read(p []byte) (int, error) {
	n, err := b.ReadSeeker.Read(p)
	if errors.Is(err, io.EOF) {
		err = errDisk
	}
	return n, err
}

// TestBrokenSource: a failure of the caller's own reader is told as such and not repeated.
func TestBrokenSource(t *testing.T) {
	t.Parallel()
	store, f := newFake(t, Config{}, ok)
	in := putOf("content", backend.Condition{})
	in.Body, in.Size = brokenBody{strings.NewReader("content")}, 100_000
	_, err := store.Put(t.Context(), in)
	if !errors.Is(err, errDisk) || !backend.IsKind(err, backend.KindOther) {
		t.Errorf("got %v", err)
	}
	in.Body = strings.NewReader("shorter than it says")
	if _, err := store.Put(t.Context(), in); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("short body: %v", err)
	}
	if n := len(f.requests()); n > 2 { // the fake sees the beginnings
		t.Errorf("%d requests", n)
	}
}

// TestBodyIsLeftAlone: nothing of a body is read after the method has returned.
func TestBodyIsLeftAlone(t *testing.T) {
	t.Parallel()
	p := newPayload(strings.NewReader("0123456789"), 10)
	var b [4]byte
	if n, err := p.Read(b[:]); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	p.release()
	if n, err := p.Read(b[:]); n != 0 || !errors.Is(err, errReleased) {
		t.Errorf("%d bytes, %v", n, err)
	}
	if p.failure() != nil {
		t.Error("the end of a request is no failure of the body")
	}
}

// TestExplanations: requests that are made only to explain an error.
func TestExplanations(t *testing.T) {
	t.Parallel()
	t.Run("HeadBucket asks a listing", func(t *testing.T) {
		t.Parallel()
		for status, code := range map[int]string{403: "SignatureDoesNotMatch", 404: "XAdminUserNotFound", 400: "ExpiredToken"} {
			store, f := newFake(t, Config{}, func(_ int, w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodHead {
					w.WriteHeader(status)
				} else {
					fail(w, status, code, "")
				}
			})
			if err := store.HeadBucket(t.Context(), "bucket"); !backend.IsKind(err, backend.KindCredentials) || len(f.requests()) != 2 {
				t.Errorf("%s: %v after %d requests", code, err, len(f.requests()))
			}
		}
	})
	t.Run("HeadBucket may be forbidden", func(t *testing.T) {
		t.Parallel()
		store, _ := newFake(t, Config{}, func(_ int, w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				w.WriteHeader(http.StatusForbidden)
			} else {
				io.WriteString(w, `<ListBucketResult></ListBucketResult>`)
			}
		})
		if err := store.HeadBucket(t.Context(), "bucket"); err != nil {
			t.Errorf("a bucket that can be listed: %v", err)
		}
	})
	for name, c := range map[string]struct {
		copyStatus, headStatus int
		cond                   backend.Condition
		want                   backend.Kind
	}{
		"destination exists":  {412, 200, backend.Condition{IfNoneMatch: true}, backend.KindExist},
		"source changed":      {412, 412, backend.Condition{IfNoneMatch: true}, backend.KindChanged},
		"destination changed": {412, 200, backend.Condition{IfMatch: "d"}, backend.KindChanged},
		"destination gone":    {404, 200, backend.Condition{IfMatch: "d"}, backend.KindChanged},
		"source gone":         {404, 404, backend.Condition{IfMatch: "d"}, backend.KindNotExist},
	} {
		t.Run("Copy, "+name, func(t *testing.T) {
			t.Parallel()
			store, _ := newFake(t, Config{}, func(_ int, w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodHead {
					w.WriteHeader(c.headStatus)
				} else {
					fail(w, c.copyStatus, map[int]string{412: "PreconditionFailed", 404: "NoSuchKey"}[c.copyStatus], "")
				}
			})
			_, err := store.Copy(t.Context(), backend.CopyInput{Bucket: "bucket", Key: "key", Condition: c.cond,
				Source: backend.Source{Bucket: "bucket", Key: "from", ETag: "s"}})
			if !backend.IsKind(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestCreateBucketOnTheWire(t *testing.T) {
	t.Parallel()
	for region, want := range map[string]string{"us-east-1": "", "eu-west-3": "<LocationConstraint>eu-west-3</LocationConstraint>"} {
		store, f := newFake(t, Config{Region: region}, func(_ int, w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				w.WriteHeader(http.StatusNotFound)
			}
		})
		if err := store.CreateBucket(t.Context(), "bucket"); err != nil {
			t.Fatal(err)
		}
		all := f.requests()
		if len(all) != 2 || all[1].method != http.MethodPut || want == "" && all[1].body != "" || !strings.Contains(all[1].body, want) {
			t.Errorf("%s: %+v", region, all)
		}
	}
	store, f := newFake(t, Config{}, func(int, http.ResponseWriter, *http.Request) {})
	if err := store.CreateBucket(t.Context(), "bucket"); !backend.IsKind(err, backend.KindExist) || len(f.requests()) != 1 {
		t.Errorf("a bucket of one's own: %v after %d requests", err, len(f.requests()))
	}
}

// TestRegionIsLearned: a bucket in another region costs one refused request, once, however the
// store says so; an endpoint that knows no better is an error.
func TestRegionIsLearned(t *testing.T) {
	t.Parallel()
	for status, code := range map[int]string{301: "PermanentRedirect", 307: "TemporaryRedirect", 400: "AuthorizationHeaderMalformed"} {
		for _, op := range []string{"PutIfMatch", "CompleteIfMatch", "Head"} { // by both ways to the store
			hint := "eu-central-1"
			store, f := newFake(t, Config{Region: "us-east-1", MaxAttempts: 1}, func(n int, w http.ResponseWriter, r *http.Request) {
				if !strings.Contains(r.Header.Get("Authorization"), "/eu-central-1/") {
					w.Header().Set("X-Amz-Bucket-Region", hint)
					fail(w, status, code, "the region is wrong")
					return
				}
				ok(n, w, r)
				if r.Method == http.MethodPost {
					io.WriteString(w, `<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>`)
				}
			})
			for range 2 {
				if err := operations[op](t.Context(), store); err != nil {
					t.Fatalf("%d, %s: %v", status, op, err)
				}
			}
			all := f.requests()
			if len(all) != 3 || all[1].body != all[0].body || all[2].body != all[0].body || op == "PutIfMatch" && all[0].body != "content" {
				t.Errorf("%d, %s: %d requests, want 3: %+v", status, op, len(all), all)
			}
			lost, f := newFake(t, Config{Region: "us-east-1", MaxAttempts: 1}, func(_ int, w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Amz-Bucket-Region", "us-east-1")
				fail(w, status, code, "the region is wrong")
			})
			if err := operations[op](t.Context(), lost); err == nil || len(f.requests()) != 1 {
				t.Errorf("%d, %s without a way out: %v after %d requests", status, op, err, len(f.requests()))
			}
		}
	}
}
