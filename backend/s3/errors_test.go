package s3

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/objmount/objmount/backend"
)

// recorded are answers of real servers to requests of the kinds in operations.
var recorded = []struct {
	store   string
	op      string
	status  int
	code    string // with "header:" it is MinIO's header on an answer without a body; "" is no body
	message string
	want    backend.Kind
}{
	{"aws", "Get", 403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", backend.KindCredentials},
	{"aws", "Get", 403, "SignatureDoesNotMatch", "The request signature we calculated does not match", backend.KindCredentials},
	{"aws", "List", 400, "ExpiredToken", "The provided token has expired.", backend.KindCredentials},
	{"versitygw", "List", 404, "XAdminUserNotFound", "No user exists with the provided access key ID.", backend.KindCredentials},
	{"aws", "Get", 403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.", backend.KindCredentials},
	{"aws", "List", 403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.", backend.KindCredentials},
	{"versitygw", "List", 400, "AuthorizationHeaderMalformed", "the region is wrong; expecting eu-west-9", backend.KindInvalid},
	{"aws", "Get", 301, "PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified endpoint.", backend.KindInvalid},
	{"aws", "Get", 403, "AccessDenied", "Access Denied", backend.KindPermission},
	{"aws", "Head", 403, "", "", backend.KindPermission},
	{"aws", "Head", 400, "", "", backend.KindInvalid},
	{"aws", "Get", 404, "NoSuchKey", "The specified key does not exist.", backend.KindNotExist},
	{"aws", "Head", 404, "", "", backend.KindNotExist},
	{"minio", "Head", 404, "header:NoSuchBucket", "The specified bucket does not exist", backend.KindNoBucket},
	{"aws", "Get", 404, "NoSuchBucket", "The specified bucket does not exist", backend.KindNoBucket},
	{"aws", "GetVersion", 404, "NoSuchVersion", "The specified version does not exist.", backend.KindNotExist},
	{"aws", "Head", 304, "", "", backend.KindNotModified},
	{"aws", "HeadIfMatch", 412, "", "", backend.KindChanged},
	{"aws", "Get", 416, "InvalidRange", "The requested range is not satisfiable", backend.KindRange},
	{"aws", "Get", 403, "InvalidObjectState", "The operation is not valid for the object's storage class", backend.KindArchived},

	{"aws", "PutIfNoneMatch", 412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold", backend.KindExist},
	{"aws", "PutIfMatch", 412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold", backend.KindChanged},
	{"aws", "PutIfMatch", 404, "NoSuchKey", "The specified key does not exist.", backend.KindChanged},
	{"aws", "PutIfMatch", 404, "NoSuchBucket", "The specified bucket does not exist", backend.KindNoBucket},
	{"aws", "PutIfNoneMatch", 409, "ConditionalRequestConflict", "The conditional request cannot succeed due to a conflicting operation", backend.KindUnknown},
	{"ceph", "PutIfMatch", 500, "UnknownError", "", backend.KindUnknown},
	{"swift", "PutIfNoneMatch", 501, "NotImplemented", "Conditional object PUTs are not supported.", backend.KindUnsupported},
	{"aws", "CompleteIfNoneMatch", 412, "PreconditionFailed", "", backend.KindExist},
	{"aws", "CompleteIfMatch", 412, "PreconditionFailed", "", backend.KindChanged},
	{"aws", "CompleteIfMatch", 404, "NoSuchKey", "", backend.KindChanged},
	{"aws", "CompleteIfMatch", 404, "NoSuchUpload", "", backend.KindNotExist},
	{"aws", "Complete", 400, "InvalidPart", "One or more of the specified parts could not be found.", backend.KindInvalid},
	{"aws", "Complete", 400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size", backend.KindInvalid},
	{"aws", "DeleteIfMatch", 412, "PreconditionFailed", "", backend.KindChanged},
	{"aws", "Copy", 412, "PreconditionFailed", "", backend.KindChanged},
	{"aws", "Copy", 404, "NoSuchKey", "", backend.KindNotExist},
	{"aws", "CopyPart", 412, "PreconditionFailed", "", backend.KindChanged},
	{"minio", "Copy", 404, "kms:KeyNotFound", "key with given key ID does not exist", backend.KindInvalid},
	{"minio", "Put", 404, "kms:KeyNotFound", "key with given key ID does not exist", backend.KindInvalid},
	{"minio", "PutIfMatch", 404, "kms:KeyNotFound", "key with given key ID does not exist", backend.KindInvalid},
	{"minio", "Put", 501, "NotImplemented", "Server side encryption specified but KMS is not configured", backend.KindUnsupported},
	{"aws", "Copy", 400, "KMS.NotFoundException", "Invalid keyId", backend.KindInvalid},
	{"aws", "Put", 400, "KMS.DisabledException", "The key is disabled.", backend.KindInvalid},
	{"aws", "PutIfMatch", 400, "KMSInvalidStateException", "The key is pending deletion.", backend.KindInvalid},
	{"aws", "Put", 403, "KMS.AccessDeniedException", "", backend.KindPermission},
	{"aws", "Put", 400, "KMS.ThrottlingException", "Rate exceeded", backend.KindTransient},
	{"aws", "Get", 500, "KMS.InternalException", "", backend.KindTransient},

	{"aws", "Put", 503, "SlowDown", "Please reduce your request rate.", backend.KindTransient},
	{"aws", "PutIfMatch", 503, "SlowDown", "Please reduce your request rate.", backend.KindTransient},
	{"proxy", "PutIfMatch", 429, "", "", backend.KindTransient},
	{"minio", "PutIfMatch", 503, "SlowDownWrite", "Resource requested is unwritable, please reduce your request rate", backend.KindUnknown},
	{"aws", "Get", 500, "InternalError", "We encountered an internal error. Please try again.", backend.KindTransient},
	{"aws", "PutIfMatch", 500, "InternalError", "", backend.KindUnknown},
	{"aws", "Put", 500, "InternalError", "", backend.KindUnknown},
	{"aws", "UploadPart", 500, "InternalError", "", backend.KindTransient},
	{"proxy", "Complete", 502, "", "", backend.KindUnknown},
	{"aws", "Complete", 200, "InternalError", "We encountered an internal error. Please try again.", backend.KindUnknown},
	{"aws", "Copy", 200, "InternalError", "", backend.KindUnknown},
	{"aws", "Copy", 200, "SlowDown", "", backend.KindTransient},
	{"aws", "Copy", 200, "AccessDenied", "Access Denied", backend.KindPermission},
	{"aws", "CopyPart", 200, "InternalError", "", backend.KindTransient},
	{"proxy", "Copy", 502, "", "", backend.KindUnknown},
	{"aws", "PutIfMatch", 400, "RequestTimeout", "Your socket connection to the server was not read from or written to", backend.KindTransient},

	{"minio", "Delete", 400, "InvalidRequest", "Object is WORM protected and cannot be overwritten", backend.KindLocked},
	{"versitygw", "Delete", 403, "AccessDenied", "Access Denied because object protected by object lock.", backend.KindLocked},
	{"ceph", "Delete", 403, "AccessDenied", "forbidden by object lock", backend.KindLocked},
	{"aws", "Put", 400, "InvalidRequest", "Bucket is missing Object Lock Configuration", backend.KindInvalid},

	{"aws", "Put", 400, "BadDigest", "The CRC64NVME you specified did not match the calculated checksum.", backend.KindCorrupt},
	{"minio", "Put", 400, "XAmzContentChecksumMismatch", "The provided 'x-amz-checksum' header does not match", backend.KindCorrupt},
	{"aws", "Put", 400, "KeyTooLongError", "Your key is too long", backend.KindNameTooLong},
	{"aws", "Put", 400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size", backend.KindTooLarge},
	{"aws", "Put", 400, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size", backend.KindTooLarge},
	{"versitygw", "Put", 403, "QuotaExceeded", "Your request was denied due to quota exceeded.", backend.KindNoSpace},
	{"minio", "Put", 507, "XMinioStorageFull", "Storage backend has reached its minimum free drive threshold.", backend.KindNoSpace},
	{"minio", "Put", 400, "XMinioObjectExistsAsDirectory", "Object name already exists as a directory.", backend.KindInvalid},
	{"minio", "Put", 400, "XMinioInvalidObjectName", "Object name contains unsupported characters.", backend.KindInvalid},
	{"versitygw", "PutIfNoneMatch", 409, "ObjectParentIsFile", "Object parent already exists as a file.", backend.KindInvalid},
	{"versitygw", "Put", 409, "ExistingObjectIsDirectory", "Existing Object is a directory.", backend.KindInvalid},

	{"aws", "CreateBucket", 409, "BucketAlreadyExists", "", backend.KindExist},
	{"aws", "CreateBucket", 409, "BucketAlreadyOwnedByYou", "", backend.KindExist},
	{"aws", "DeleteBucket", 409, "BucketNotEmpty", "", backend.KindNotEmpty},
	{"aws", "DeleteBucket", 404, "NoSuchBucket", "", backend.KindNoBucket},
	{"s3rver", "Abort", 405, "", "", backend.KindUnsupported},
	{"aws", "ListParts", 404, "NoSuchUpload", "", backend.KindNotExist},
	{"ceph", "ListParts", 404, "NoSuchKey", "", backend.KindNotExist},
	{"proxy", "ListBuckets", 407, "", "", backend.KindUnreachable},
	{"aws", "Get", 418, "NewCode", "something nobody has seen yet", backend.KindOther},
}

func TestRecordedAnswers(t *testing.T) {
	t.Parallel()
	for _, r := range recorded {
		t.Run(r.store+"/"+r.op+"/"+http.StatusText(r.status)+"/"+r.code, func(t *testing.T) {
			t.Parallel()
			store, _ := newFake(t, Config{MaxAttempts: 1}, func(_ int, w http.ResponseWriter, req *http.Request) {
				switch {
				case req.Method == http.MethodHead && r.op != "Head" && r.op != "HeadIfMatch":
					w.WriteHeader(http.StatusNotFound) // a look before CreateBucket
				case len(r.code) > 7 && r.code[:7] == "header:":
					w.Header().Set("X-Minio-Error-Code", r.code[7:])
					w.WriteHeader(r.status)
				case r.code == "":
					w.WriteHeader(r.status)
				default:
					fail(w, r.status, r.code, r.message)
				}
			})
			err := operations[r.op](t.Context(), store)
			if !backend.IsKind(err, r.want) {
				t.Fatalf("got %v, want %v", err, r.want)
			}
			var e *backend.Error
			if !errors.As(err, &e) {
				t.Fatalf("%T is not a *backend.Error", err)
			}
			if r.code != "" && r.message != "" && r.code[0] != 'h' && (e.Code != r.code || e.Message != r.message || e.RequestID != "REQUEST1") {
				t.Errorf("%+v", e)
			}
			if e.Op == "" || e.Status == 0 {
				t.Errorf("%+v", e)
			}
		})
	}
}

// TestEveryKindHasACode: what the table is for.
func TestEveryKindHasACode(t *testing.T) {
	t.Parallel()
	have := map[backend.Kind]bool{
		backend.KindOther: true, backend.KindCanceled: true, backend.KindBusy: true, // no store says these
		backend.KindElsewhere:   true, // of several stores
		backend.KindRefused:     true, // of mounts: no store knows these limits
		backend.KindUnreachable: true, // no connection, or TestRecordedAnswers' proxy
	}
	for _, v := range codes {
		have[v.kind] = true
	}
	for _, kind := range backend.Kinds() {
		if !have[kind] {
			t.Errorf("no code means %q", kind)
		}
	}
}

func TestDeleteMarkerByVersion(t *testing.T) {
	t.Parallel()
	store, _ := newFake(t, Config{}, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amz-Delete-Marker", "true")
		fail(w, http.StatusMethodNotAllowed, "MethodNotAllowed", "The specified method is not allowed against this resource.")
	})
	if err := operations["GetVersion"](t.Context(), store); !backend.IsKind(err, backend.KindNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestMissingIsNoErrorForDelete(t *testing.T) {
	t.Parallel()
	store, _ := newFake(t, Config{}, func(_ int, w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusNotFound, "NoSuchKey", "")
	})
	for _, op := range []string{"Delete", "Abort"} {
		if err := operations[op](t.Context(), store); err != nil {
			t.Errorf("%s: %v", op, err)
		}
	}
	if err := operations["DeleteIfMatch"](t.Context(), store); !backend.IsKind(err, backend.KindChanged) {
		t.Errorf("DeleteIfMatch: %v", err)
	}
}

// TestNoAnswer: failures on the way.
func TestNoAnswer(t *testing.T) {
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of our refusal
	secure.StartTLS()
	t.Cleanup(secure.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	for name, endpoint := range map[string]string{
		"refused":               "http://127.0.0.1:1", // a port that was free a moment ago may be taken by a test beside this one
		"unknown authority":     secure.URL,
		"TLS to a plain server": "https://" + plain.Listener.Addr().String(),
	} {
		store, err := Open(t.Context(), Config{Endpoint: endpoint, MaxAttempts: 2})
		if err != nil {
			t.Fatal(err)
		}
		for _, op := range []string{"Get", "PutIfMatch", "Complete"} {
			within(t, 5*time.Second, func() {
				if err := operations[op](t.Context(), store); !backend.IsKind(err, backend.KindUnreachable) {
					t.Errorf("%s, %s: %v", name, op, err)
				}
			})
		}
	}

	bundle := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := Open(t.Context(), Config{Endpoint: secure.URL, CABundle: bundle})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := operations["Get"](t.Context(), store); !backend.IsKind(err, backend.KindNotExist) {
		t.Errorf("with the CA bundle: %v", err)
	}
}

func TestHopeless(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		&net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}},
		&tls.CertificateVerificationError{},
		tls.RecordHeaderError{},
	} {
		a := answer{sent: &sendError{error: err}}
		if v := a.verdict(); v.kind != backend.KindUnreachable || v.outcome != outcomeFinal {
			t.Errorf("%T: %+v", err, v)
		}
	}
	a := answer{sent: &sendError{error: &net.OpError{Op: "dial", Err: &net.DNSError{IsTemporary: true}}}}
	if v := a.verdict(); v.kind != backend.KindUnreachable || v.outcome != outcomeRefused {
		t.Errorf("%+v", v)
	}
}

func TestMissingCredentials(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	store, f := newFake(t, Config{}, func(_ int, w http.ResponseWriter, _ *http.Request) {})
	for _, op := range []string{"Get", "PutIfMatch"} {
		if err := operations[op](t.Context(), store); !backend.IsKind(err, backend.KindCredentials) {
			t.Errorf("%s: %v", op, err)
		}
	}
	if n := len(f.requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
	anonymous, f := newFake(t, Config{Anonymous: true}, func(_ int, w http.ResponseWriter, _ *http.Request) {})
	if err := operations["Head"](t.Context(), anonymous); err != nil {
		t.Errorf("anonymous: %v", err)
	}
	if got := f.only(t).header.Get("Authorization"); got != "" {
		t.Errorf("anonymous request with Authorization %q", got)
	}
	if _, err := Open(t.Context(), Config{Profile: "no such profile"}); !backend.IsKind(err, backend.KindCredentials) {
		t.Errorf("a profile that is not there: %v", err)
	}
}

func TestContextEnds(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	release := make(chan struct{})
	store, _ := newFake(t, Config{}, func(_ int, _ http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-release
	})
	defer close(release)
	for _, op := range []string{"Get", "Put", "PutIfMatch", "Complete"} {
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-arrived; cancel() }()
		within(t, 5*time.Second, func() {
			if err := operations[op](ctx, store); !backend.IsKind(err, backend.KindCanceled) {
				t.Errorf("%s: %v", op, err)
			}
		})
	}
}
