package s3

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/objmount/objmount/backend"
)

// TestHeadTellsRoles: lock, restore and replication as HEAD and GET give them.
func TestHeadTellsRoles(t *testing.T) {
	t.Parallel()
	const restore = `ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"`
	store, _ := asAmazon(t, func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("X-Amz-Object-Lock-Mode", "COMPLIANCE")
		h.Set("X-Amz-Object-Lock-Retain-Until-Date", "2030-01-02T03:04:05.678Z")
		h.Set("X-Amz-Object-Lock-Legal-Hold", "ON")
		h.Set("X-Amz-Restore", restore)
		h.Set("X-Amz-Replication-Status", "PENDING")
		h.Set("X-Amz-Storage-Class", "DEEP_ARCHIVE")
		h.Set("Content-Length", "0")
	})
	head, err := store.Head(t.Context(), aKey, backend.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	body, err := store.Get(t.Context(), aKey, backend.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	lock := backend.ObjectLock{LegalHold: true, Retention: backend.Retention{Mode: backend.Compliance, Until: time.Date(2030, 1, 2, 3, 4, 5, 678e6, time.UTC)}}
	for what, obj := range map[string]backend.Object{"Head": head, "Get": body.Object} {
		if obj.Lock != lock || obj.Restore != restore || obj.Replication != "PENDING" || obj.StorageClass != "DEEP_ARCHIVE" {
			t.Errorf("%s: %+v", what, obj)
		}
	}
}

// TestRefusedRoles: what Amazon's and others' refusals mean.
func TestRefusedRoles(t *testing.T) {
	t.Parallel()
	get := func(ctx context.Context, s *Store) error {
		return errOf(s.Get(ctx, aKey, backend.GetOptions{VersionID: "v1"}))
	}
	remove := func(ctx context.Context, s *Store) error {
		return s.Delete(ctx, backend.DeleteInput{Bucket: "bucket", Key: "k", VersionID: "v1"})
	}
	const fine = backend.Kind(255)
	for _, c := range []struct {
		do            func(context.Context, *Store) error
		status        int
		code, message string
		want          backend.Kind
	}{
		{get, 403, "InvalidObjectState", "The operation is not valid for the object's storage class", backend.KindArchived},
		{get, 404, "NoSuchVersion", "", backend.KindNotExist},
		{get, 400, "InvalidArgument", "Invalid version id specified", backend.KindNotExist},
		{remove, 400, "InvalidArgument", "Invalid version id specified", fine},
		{remove, 403, "AccessDenied", "Access Denied because object protected by object lock.", backend.KindLocked},
		{remove, 400, "InvalidRequest", "Object is WORM protected and cannot be overwritten", backend.KindLocked},
		{remove, 403, "AccessDenied", "Access Denied", backend.KindPermission},
		{remove, 403, "ObjectLocked", "", backend.KindLocked},
		{roleOperations["Tags"].do, 404, "NoSuchTagSet", "", fine},
		{roleOperations["Tags"].do, 405, "MethodNotAllowed", "", backend.KindNotExist},
		{roleOperations["PutTags"].do, 405, "MethodNotAllowed", "", backend.KindNotExist},
		{roleOperations["PutTags"].do, 400, "InvalidTag", "", backend.KindInvalid},
		{roleOperations["Lock"].do, 404, "NoSuchObjectLockConfiguration", "", fine},
		{roleOperations["Lock"].do, 400, "InvalidRequest", "Bucket is missing Object Lock Configuration", fine},
		{roleOperations["Lock"].do, 400, "InvalidRequest", "another", backend.KindInvalid},
		{roleOperations["Lock"].do, 403, "AccessDenied", "", backend.KindPermission},
		{roleOperations["SetRetention"].do, 403, "AccessDenied", "Access Denied because object protected by object lock.", backend.KindLocked},
		{roleOperations["SetBucketVersioning"].do, 409, "InvalidBucketState", "An Object Lock configuration is present on this bucket", backend.KindInvalid},
		{roleOperations["SetACL of a bucket"].do, 400, "AccessControlListNotSupported", "The bucket does not allow ACLs", backend.KindUnsupported},
		{roleOperations["SetACL of a bucket"].do, 403, "AccessDenied", "", backend.KindPermission},
		{roleOperations["BucketLock"].do, 404, "ObjectLockConfigurationNotFoundError", "", fine},
		{roleOperations["BucketEncryption"].do, 404, "ServerSideEncryptionConfigurationNotFoundError", "", fine},
		{roleOperations["BucketPublic"].do, 404, "NoSuchBucketPolicy", "", fine},
		{roleOperations["BucketPublic"].do, 404, "NoSuchBucket", "", backend.KindNoBucket},
		{roleOperations["BucketTags"].do, 404, "NoSuchTagSet", "", fine},
		{roleOperations["Restore"].do, 409, "RestoreAlreadyInProgress", "", fine},
		{roleOperations["Restore"].do, 403, "InvalidObjectState", "Restore is not allowed for the object's current storage class", backend.KindInvalid},
		{roleOperations["Restore"].do, 503, "GlacierExpeditedRetrievalNotAvailable", "", backend.KindTransient},
		{roleOperations["Annotation"].do, 404, "NoSuchAnnotation", "", backend.KindNotExist},
		{roleOperations["PutAnnotation"].do, 400, "AnnotationLimitExceeded", "", backend.KindTooLarge},
		{roleOperations["PutAnnotation"].do, 415, "UnsupportedMediaType", "", backend.KindInvalid},
		{roleOperations["Select"].do, 405, "MethodNotAllowed", "The specified method is not allowed against this resource.", backend.KindUnsupported},
		{roleOperations["Select"].do, 400, "ParseUnexpectedToken", "Unexpected token found", backend.KindInvalid},
		{roleOperations["Select"].do, 404, "NoSuchKey", "", backend.KindNotExist},
		{roleOperations["Select"].do, 503, "SlowDown", "", backend.KindTransient},
		{roleOperations["Select"].do, 500, "NobodyKnows", "", backend.KindTransient},
	} {
		store, _ := asAmazon(t, func(w http.ResponseWriter, _ *http.Request) { fail(w, c.status, c.code, c.message) })
		err := c.do(t.Context(), store)
		if c.want == fine && err != nil || c.want != fine && !backend.IsKind(err, c.want) {
			t.Errorf("%d %s: %v", c.status, c.code, err)
		}
	}
}

// TestHeadOfNoVersion: a HEAD cannot say why it is refused; a GET does.
func TestHeadOfNoVersion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code, message string
		want          backend.Kind
	}{
		{"InvalidArgument", "Invalid version id specified", backend.KindNotExist},
		{"ExpiredToken", "The provided token has expired.", backend.KindCredentials},
	} {
		store, f := asAmazon(t, func(w http.ResponseWriter, _ *http.Request) { fail(w, http.StatusBadRequest, c.code, c.message) })
		_, err := store.Head(t.Context(), aKey, backend.GetOptions{VersionID: "nonsense"})
		if backend.KindOf(err) != c.want || len(f.requests()) != 2 {
			t.Errorf("%s: %v after %d requests", c.code, err, len(f.requests()))
		}
	}
}

// TestAnnotationValues: names and values that cannot be are refused here, and one that arrives is
// what its checksum says.
func TestAnnotationValues(t *testing.T) {
	t.Parallel()
	answer := "text"
	store, f := asAmazon(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("x-id") == "ListObjectAnnotations" {
			more := ""
			if r.URL.Query().Get("continuation-token") == "" {
				more = "<NextContinuationToken>t</NextContinuationToken>"
			}
			io.WriteString(w, `<ListObjectAnnotationsResult><Annotations><AnnotationEntry><AnnotationName>n`+r.URL.Query().Get("continuation-token")+
				`</AnnotationName><Size>4</Size></AnnotationEntry></Annotations>`+more+`</ListObjectAnnotationsResult>`)
			return
		}
		w.Header().Set(checksumHeader, checksumOf([]byte("text")))
		io.WriteString(w, answer)
	})
	ctx := t.Context()
	for name, c := range map[string]struct {
		name, value string
		want        backend.Kind
	}{
		"no name":    {"", "x", backend.KindInvalid},
		"aws":        {"AWS-x", "x", backend.KindInvalid},
		"s3":         {"s3.x", "x", backend.KindInvalid},
		"long name":  {strings.Repeat("n", 513), "x", backend.KindNameTooLong},
		"no value":   {"n", "", backend.KindInvalid},
		"not UTF-8":  {"n", "\xff", backend.KindInvalid},
		"long value": {"n", strings.Repeat("x", maxAnnotation+1), backend.KindTooLarge},
	} {
		if err := store.PutAnnotation(ctx, aKey, "", c.name, []byte(c.value)); !backend.IsKind(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(f.requests()); n > 0 {
		t.Errorf("%d requests", n)
	}
	if value, err := store.Annotation(ctx, aKey, "", "n"); err != nil || string(value) != "text" {
		t.Errorf("%q, %v", value, err)
	}
	answer = "tixt"
	if _, err := store.Annotation(ctx, aKey, "", "n"); !backend.IsKind(err, backend.KindCorrupt) {
		t.Error(err)
	}
	all, err := store.Annotations(ctx, aKey, "")
	if diff := cmp.Diff(map[string]int64{"n": 4, "nt": 4}, all); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

// TestEncryptionThatNeedsACopy: what UpdateObjectEncryption cannot do is not asked of it.
func TestEncryptionThatNeedsACopy(t *testing.T) {
	t.Parallel()
	store, f := asAmazon(t, says(""))
	for _, e := range []backend.Encryption{{}, {Algorithm: "AES256"}, {Algorithm: "aws:kms"}, {Algorithm: "aws:kms", KMSKeyID: "alias/x"}, {Algorithm: "aws:kms:dsse", KMSKeyID: "arn:x"}} {
		if err := store.UpdateEncryption(t.Context(), aKey, "", e); !backend.IsKind(err, backend.KindUnsupported) {
			t.Errorf("%+v: %v", e, err)
		}
	}
	if err := store.Restore(t.Context(), aKey, "", 0, ""); !backend.IsKind(err, backend.KindInvalid) {
		t.Error(err)
	}
	if n := len(f.requests()); n > 0 {
		t.Errorf("%d requests", n)
	}
}

// TestPresignedUntil: never longer than the credentials last; none without.
func TestPresignedUntil(t *testing.T) {
	t.Parallel()
	store, f := asAmazon(t, says(""))
	in := backend.PresignInput{Method: http.MethodGet, Object: aKey, Expires: time.Hour}
	for _, c := range []struct {
		left time.Duration
		want bool
	}{{10 * time.Minute, true}, {-time.Minute, false}} {
		keys := aws.Credentials{AccessKeyID: "id", SecretAccessKey: "secret", SessionToken: "session", CanExpire: true, Expires: time.Now().Add(c.left)}
		store.credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return keys, nil })
		signed, err := store.Presign(t.Context(), in)
		if !c.want {
			if !backend.IsKind(err, backend.KindCredentials) {
				t.Errorf("expired: %v", err)
			}
			continue
		}
		if err != nil || signed.Expires.After(keys.Expires) || keys.Expires.Sub(signed.Expires) > 2*time.Second || !signed.Shortened || signed.Uncertain || !strings.Contains(signed.URL, "X-Amz-Security-Token=session") {
			t.Errorf("%+v, %v", signed, err)
		}
	}
	keys := aws.Credentials{AccessKeyID: "id", SecretAccessKey: "secret", SessionToken: "session"}
	store.credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return keys, nil })
	if signed, err := store.Presign(t.Context(), in); err != nil || signed.Shortened || !signed.Uncertain {
		t.Errorf("a session without an end: %+v, %v", signed, err)
	}
	form, err := store.PresignPost(t.Context(), backend.PostInput{Object: aKey, Expires: 8 * 24 * time.Hour})
	if err != nil || time.Until(form.Expires) > backend.MaxPresigned || form.Method != "POST" || !form.Uncertain || form.Fields["x-amz-security-token"] != "session" {
		t.Errorf("%+v, %v", form, err)
	}
	for name, change := range map[string]func(*backend.PresignInput){
		"method": func(in *backend.PresignInput) { in.Method = "PATCH" }, "time": func(in *backend.PresignInput) { in.Expires = 0 },
		"query": func(in *backend.PresignInput) { in.Query = map[string]string{"acl": ""} },
	} {
		wrong := in
		change(&wrong)
		if _, err := store.Presign(t.Context(), wrong); !backend.IsKind(err, backend.KindInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	anonymous, err := Open(t.Context(), Config{Endpoint: f.URL, Anonymous: true})
	if err != nil {
		t.Fatal(err)
	}
	defer anonymous.Close()
	if _, err := anonymous.Presign(t.Context(), in); !backend.IsKind(err, backend.KindCredentials) {
		t.Errorf("anonymous: %v", err)
	}
	if n := len(f.requests()); n > 0 {
		t.Errorf("%d requests", n)
	}
}

// TestPublicPolicies: which policies open a bucket to everybody.
func TestPublicPolicies(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string]bool{
		`{"Statement":[]}`: false,
		`{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"x"}}`:             true,
		`{"Statement":[{"Effect":"Deny","Principal":"*"}]}`:                                                   false,
		`{"Statement":[{"Effect":"Deny","Principal":"*"},{"Effect":"Allow","Principal":{"AWS":"*"}}]}`:        true,
		`{"Statement":[{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::1:root","*"]}}]}`:                  true,
		`{"Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::1:root"}}]}`:                        false,
		`{"Statement":[{"Effect":"Allow","Principal":{"Service":"x.amazonaws.com"}}]}`:                        false,
		`{"Statement":[{"Effect":"Allow","NotPrincipal":{"AWS":"arn:aws:iam::1:root"}}]}`:                     true,
		`{"Statement":[{"Effect":"Allow","Principal":"*","Condition":{"IpAddress":{"aws:SourceIp":"::1"}}}]}`: false,
	} {
		if got, err := opensToAll([]byte(policy)); err != nil || got != want {
			t.Errorf("%s: %v, %v", policy, got, err)
		}
	}
	if _, err := opensToAll([]byte("no policy")); err == nil {
		t.Error("no error for what is no policy")
	}
}

// event is one message of an event stream (S3 API, "SelectObjectContent", "Responses").
func event(payload string, headers ...string) []byte {
	var head bytes.Buffer
	for i := 0; i < len(headers); i += 2 {
		head.WriteByte(byte(len(headers[i])))
		head.WriteString(headers[i])
		head.WriteByte(7) // a string
		binary.Write(&head, binary.BigEndian, uint16(len(headers[i+1])))
		head.WriteString(headers[i+1])
	}
	var out bytes.Buffer
	binary.Write(&out, binary.BigEndian, []uint32{uint32(16 + head.Len() + len(payload)), uint32(head.Len())})
	binary.Write(&out, binary.BigEndian, crc32.ChecksumIEEE(out.Bytes()))
	out.Write(head.Bytes())
	out.WriteString(payload)
	binary.Write(&out, binary.BigEndian, crc32.ChecksumIEEE(out.Bytes()))
	return out.Bytes()
}

func eventOf(kind, payload string) []byte {
	return event(payload, ":message-type", "event", ":event-type", kind)
}

// TestSelectStreams: rows, progress and statistics as they come; a stream that breaks off, says
// that it failed, or never ends, is no success.
func TestSelectStreams(t *testing.T) {
	t.Parallel()
	const numbers = "<BytesScanned>30</BytesScanned><BytesProcessed>20</BytesProcessed><BytesReturned>10</BytesReturned>"
	records, end := eventOf("Records", "row\n"), eventOf("End", "")
	whole := [][]byte{records, eventOf("Progress", "<Progress>"+numbers+"</Progress>"), eventOf("Cont", ""), records, eventOf("Stats", "<Stats>"+numbers+"</Stats>"), end}
	failure := func(code string) []byte {
		return event("", ":message-type", "error", ":error-code", code, ":error-message", "the store's words")
	}
	for name, c := range map[string]struct {
		events [][]byte
		want   backend.Kind
		words  string
	}{
		"whole":         {whole, 0, ""},
		"broken off":    {whole[:2], backend.KindTransient, ""},
		"unsupported":   {[][]byte{failure("NotImplemented")}, backend.KindUnsupported, "the store's words"},
		"a bad row":     {[][]byte{records, failure("CSVParsingError")}, backend.KindInvalid, "the store's words"},
		"a bad store":   {[][]byte{records, failure("InternalError")}, backend.KindTransient, "the store's words"},
		"no event":      {[][]byte{[]byte("no event stream")}, backend.KindTransient, ""},
		"half an event": {[][]byte{records, end[:len(end)-3]}, backend.KindTransient, ""},
	} {
		store, _ := asAmazon(t, func(w http.ResponseWriter, _ *http.Request) {
			for _, e := range c.events {
				w.Write(e)
			}
		})
		var rows strings.Builder
		var progress []backend.SelectStats
		in := aQuery
		in.Progress = func(s backend.SelectStats) { progress = append(progress, s) }
		stats, err := store.Select(t.Context(), in, &rows)
		if name == "whole" {
			want := backend.SelectStats{Scanned: 30, Processed: 20, Returned: 10}
			if err != nil || rows.String() != "row\nrow\n" || stats != want || len(progress) != 1 || progress[0] != want {
				t.Errorf("%q, %+v, %+v, %v", rows.String(), stats, progress, err)
			}
			continue
		}
		var e *backend.Error
		if !errors.As(err, &e) || e.Kind != c.want || e.Message != c.words {
			t.Errorf("%s: %v", name, err)
		}
	}
	hang := make(chan struct{})
	store, _ := asAmazon(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Write(records)
		w.(http.Flusher).Flush()
		<-hang
	})
	defer close(hang)
	ctx, cancel := context.WithCancel(t.Context())
	within(t, 10*time.Second, func() {
		_, err := store.Select(ctx, aQuery, writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil }))
		if !backend.IsKind(err, backend.KindCanceled) {
			t.Errorf("a stream without an end: %v", err)
		}
	})
}
