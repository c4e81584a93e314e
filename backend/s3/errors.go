package s3

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/objmount/objmount/backend"
)

// outcome is what became of a failed request.
type outcome uint8

const (
	outcomeFinal   outcome = iota // the answer stands: a repeat gets the same
	outcomeRefused                // nothing was done; a repeat may succeed
	outcomeLost                   // it may have been done; a repeat may succeed
)

// verdict is a row of the tables.
type verdict struct {
	kind    backend.Kind
	outcome outcome
}

// codes are the error codes of S3 and of those who speak it. A code that a request gives a
// meaning to (a failed condition) is looked up here first and decided in decode.
var codes = func() map[string]verdict {
	table := make(map[string]verdict)
	add := func(v verdict, names ...string) {
		for _, name := range names {
			table[name] = v
		}
	}
	final := func(kind backend.Kind) verdict { return verdict{kind, outcomeFinal} }
	add(final(backend.KindNotExist), "NoSuchKey", "NoSuchVersion", "NoSuchUpload", "NotFound", "NoSuchTagSet",
		"NoSuchAnnotation", "NoSuchObjectLockConfiguration")
	add(final(backend.KindNoBucket), "NoSuchBucket")
	// XAdminUserNotFound is VersityGW's word for an unknown access key, with status 404.
	add(final(backend.KindCredentials), "InvalidAccessKeyId", "SignatureDoesNotMatch", "XAdminUserNotFound", "ExpiredToken",
		"ExpiredTokenException", "InvalidToken", "TokenRefreshRequired", "InvalidClientTokenId", "UnrecognizedClientException",
		"AuthFailure", "RequestTimeTooSkewed", "RequestExpired", "MissingSecurityHeader", "InvalidSecurity", "NotSignedUp",
		"MissingAuthenticationToken", "Unauthorized", "CredentialsNotSupported", "InvalidSignatureException")
	add(final(backend.KindPermission), "AccessDenied", "AccessDeniedException", "AccessForbidden", "Forbidden", "AllAccessDisabled",
		"AccountProblem", "XAdminAccessDenied", "UserSuspended")
	add(final(backend.KindLocked), "ObjectLocked")
	add(final(backend.KindExist), "BucketAlreadyExists", "BucketAlreadyOwnedByYou")
	add(final(backend.KindNotEmpty), "BucketNotEmpty", "ErrDirectoryNotEmpty")
	add(final(backend.KindChanged), "PreconditionFailed")
	add(final(backend.KindNotModified), "NotModified")
	add(final(backend.KindRange), "InvalidRange", "RequestedRangeNotSatisfiable")
	add(final(backend.KindNameTooLong), "KeyTooLongError", "KeyTooLong", "URITooLong", "AnnotationNameTooLong")
	add(final(backend.KindTooLarge), "EntityTooLarge", "MaxMessageLengthExceeded", "MetadataTooLarge", "RequestHeaderSectionTooLarge",
		"RequestEntityTooLarge", "RequestHeaderFieldsTooLarge", "AnnotationLimitExceeded")
	add(final(backend.KindNoSpace), "QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientStorage",
		"InsufficientCapacity", "StorageFull", "TooManyBuckets")
	add(final(backend.KindUnsupported), "NotImplemented", "MethodNotAllowed", "UnsupportedOperation", "MissingContentLength")
	add(final(backend.KindArchived), "InvalidObjectState", "RestoreAlreadyInProgress", "ObjectNotInActiveTierError")
	add(final(backend.KindCorrupt), "BadDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch", "ContentSHA256Mismatch")
	// The middle of the second line: these stores keep keys as paths, so that "a" and "a/b"
	// exclude each other. That is a key they cannot hold now, not a failed If-None-Match.
	add(final(backend.KindInvalid), "InvalidArgument", "InvalidRequest", "InvalidPart", "InvalidPartOrder", "EntityTooSmall", "InvalidPartNumber",
		"XMinioInvalidObjectName", "XMinioObjectExistsAsDirectory", "XMinioParentIsObject", "ObjectParentIsFile", "ExistingObjectIsDirectory",
		"DirectoryObjectContainsData", "InvalidBucketName", "InvalidURI", "InvalidTag", "InvalidStorageClass", "InvalidDigest", "MalformedXML", "MalformedPolicy",
		"InvalidLocationConstraint", "IllegalLocationConstraintException", "AuthorizationHeaderMalformed", "PermanentRedirect", "BadRequest",
		"InvalidBucketState", "InvalidRetentionPeriod", "InvalidAnnotationName", "UnsupportedMediaType", "EncryptionTypeMismatch",
		"ObjectAlreadyInActiveTierError", "InvalidEncryptionAlgorithmError", "InvalidEncryptionMethod")
	// Of racing conditional writers: S3 itself says that the other may have won or lost.
	add(verdict{backend.KindUnknown, outcomeFinal}, "ConditionalRequestConflict")
	add(verdict{backend.KindTransient, outcomeRefused}, "SlowDown", "SlowDownRead", "Throttling", "ThrottlingException", "ThrottledException",
		"RequestThrottled", "RequestThrottledException", "KMS.ThrottlingException", "TooManyRequests", "TooManyRequestsException", "RequestLimitExceeded",
		"BandwidthLimitExceeded", "XMinioServerNotInitialized", "RequestTimeout", "RequestTimeoutException", "IncompleteBody",
		"OperationAborted", "TemporaryRedirect", "GlacierExpeditedRetrievalNotAvailable", "Busy")
	// SlowDownWrite is MinIO's word for a write that too few drives took.
	add(verdict{backend.KindTransient, outcomeLost}, "InternalError", "InternalServerError", "InternalFailure", "ServiceUnavailable",
		"SlowDownWrite", "UnknownError", "BadGateway", "GatewayTimeout")
	return table
}()

// statuses are for answers without a known code: HEAD has no body, and proxies have their own.
var statuses = map[int]verdict{
	http.StatusMovedPermanently:             {backend.KindInvalid, outcomeFinal},
	http.StatusNotModified:                  {backend.KindNotModified, outcomeFinal},
	http.StatusTemporaryRedirect:            {backend.KindTransient, outcomeRefused},
	http.StatusUnauthorized:                 {backend.KindCredentials, outcomeFinal},
	http.StatusForbidden:                    {backend.KindPermission, outcomeFinal},
	http.StatusNotFound:                     {backend.KindNotExist, outcomeFinal},
	http.StatusMethodNotAllowed:             {backend.KindUnsupported, outcomeFinal},
	http.StatusProxyAuthRequired:            {backend.KindUnreachable, outcomeFinal},
	http.StatusRequestTimeout:               {backend.KindTransient, outcomeRefused},
	http.StatusConflict:                     {backend.KindUnknown, outcomeFinal},
	http.StatusLengthRequired:               {backend.KindUnsupported, outcomeFinal},
	http.StatusPreconditionFailed:           {backend.KindChanged, outcomeFinal},
	http.StatusRequestEntityTooLarge:        {backend.KindTooLarge, outcomeFinal},
	http.StatusRequestURITooLong:            {backend.KindNameTooLong, outcomeFinal},
	http.StatusRequestedRangeNotSatisfiable: {backend.KindRange, outcomeFinal},
	http.StatusTooManyRequests:              {backend.KindTransient, outcomeRefused},
	http.StatusRequestHeaderFieldsTooLarge:  {backend.KindTooLarge, outcomeFinal},
	http.StatusNotImplemented:               {backend.KindUnsupported, outcomeFinal},
	http.StatusInsufficientStorage:          {backend.KindNoSpace, outcomeFinal},
}

// lockWords are how stores without a code of its own say that retention or a legal hold
// forbids something (Amazon and VersityGW, MinIO, Ceph).
var lockWords = []string{"by object lock", "worm protected", "legal hold", "existing retention period", "change retention mode"}

// answer is what is known about a failed request, free of the SDK's types.
type answer struct {
	code, message, requestID string
	unsaid                   bool        // the code is only the status in words: the answer to a HEAD has no body
	status                   int         // 0: no answer
	header                   http.Header // nil: no answer
	sent                     *sendError  // not nil: it failed on its way
	credentials              bool        // there were none to sign with
	cause                    error
}

// examine takes an SDK error apart.
func examine(err error) answer {
	var refused *refusal
	if errors.As(err, &refused) {
		return refused.answer
	}
	a := answer{cause: err}
	var api smithy.APIError
	if errors.As(err, &api) {
		a.code, a.message = api.ErrorCode(), api.ErrorMessage()
	}
	var resp *smithyhttp.ResponseError
	if errors.As(err, &resp) && resp.Response != nil {
		a.status, a.header = resp.Response.StatusCode, resp.Response.Header
		a.readHeader()
	}
	var id interface{ ServiceRequestID() string }
	if errors.As(err, &id) {
		a.requestID = id.ServiceRequestID()
	}
	errors.As(err, &a.sent)
	var missing *credentialsError
	a.credentials = errors.As(err, &missing)
	if a.sent != nil {
		a.cause = a.sent.error
	} else if a.credentials {
		a.cause = missing.error
	}
	return a
}

// readHeader looks for what MinIO tells where there is no body.
func (a *answer) readHeader() {
	if code := a.header.Get("X-Minio-Error-Code"); code != "" {
		a.code, a.message = code, a.header.Get("X-Minio-Error-Desc")
	}
}

// verdict looks the answer up, without knowing what was asked.
func (a answer) verdict() verdict {
	if a.status != 0 {
		return a.ofTables()
	}
	var read *receivedError
	switch {
	case a.credentials:
		return verdict{backend.KindCredentials, outcomeFinal}
	case a.sent != nil && a.sent.connected:
		return verdict{backend.KindTransient, outcomeLost}
	case a.sent != nil && hopeless(a.sent.error):
		return verdict{backend.KindUnreachable, outcomeFinal}
	case a.sent != nil:
		return verdict{backend.KindUnreachable, outcomeRefused}
	case errors.As(a.cause, &read):
		return verdict{backend.KindTransient, outcomeLost}
	}
	var foreign *unsignable
	if errors.As(a.cause, &foreign) {
		return verdict{backend.KindUnsupported, outcomeFinal}
	}
	var canceled interface{ CanceledError() bool }
	if errors.As(a.cause, &canceled) || errors.Is(a.cause, context.Canceled) || errors.Is(a.cause, context.DeadlineExceeded) {
		return verdict{backend.KindCanceled, outcomeFinal}
	}
	return verdict{backend.KindInvalid, outcomeFinal} // the SDK itself refused to send it
}

func (a answer) ofTables() verdict {
	v, known := codes[a.code]
	if !known && a.ofKey() {
		v, known = verdict{backend.KindInvalid, outcomeFinal}, true
	}
	if !known {
		v, known = statuses[a.status]
	}
	switch {
	case a.status >= 200 && a.status < 300: // an answer that cannot be understood
		return verdict{backend.KindTransient, outcomeLost}
	case !known && a.status >= 500:
		return verdict{backend.KindTransient, outcomeLost}
	case !known:
		return verdict{backend.KindOther, outcomeFinal}
	}
	if v.kind == backend.KindPermission || a.code == "InvalidRequest" {
		message := strings.ToLower(a.message)
		for _, words := range lockWords {
			if strings.Contains(message, words) {
				return verdict{backend.KindLocked, outcomeFinal}
			}
		}
	}
	if a.code == "InvalidRequest" && strings.Contains(a.message, "stored using a form of Server Side Encryption") {
		return verdict{backend.KindPermission, outcomeFinal} // who has the key of SSE-C may
	}
	if v.kind == backend.KindInvalid && strings.HasPrefix(strings.ToLower(a.message), "invalid version id") {
		return verdict{backend.KindNotExist, outcomeFinal} // it is not one that this store would give
	}
	if a.status == http.StatusMethodNotAllowed && a.header.Get("X-Amz-Delete-Marker") == "true" {
		return verdict{backend.KindNotExist, outcomeFinal} // a GET of a delete marker by its version id
	}
	return v
}

// ofKey tells of refusals by the key manager: MinIO's "kms:KeyNotFound" comes with 404, though it is the key of the encryption
// that is not there and not the object's; Amazon's are "KMS.NotFoundException", "KMSInvalidStateException" and the like.
// Those that say try again, or that the caller may not use the key, go by their status.
func (a answer) ofKey() bool {
	named := strings.HasPrefix(a.code, "kms:") || strings.HasPrefix(a.code, "KMS.") || strings.HasPrefix(a.code, "KMSInvalid") ||
		strings.HasPrefix(a.code, "KMSNotFound") || strings.HasPrefix(a.code, "KMSDisabled")
	return named && a.status < http.StatusInternalServerError && a.status != http.StatusForbidden && a.status != http.StatusTooManyRequests
}

func (a answer) outcome() outcome { return a.verdict().outcome }

// hopeless reports whether a connection will not come about by waiting a little.
func hopeless(err error) bool {
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	return errors.As(err, &dns) && dns.IsNotFound || errors.As(err, &certificate) || errors.As(err, &record)
}

// decode makes the error of a call.
func decode(c call, err error) *backend.Error { return examine(err).errorOf(c) }

// decodeItem makes the error of one item of an answer that is a success as a whole.
func decodeItem(c call, code, message string) *backend.Error {
	return answer{code: code, message: message, status: http.StatusInternalServerError}.errorOf(c)
}

func (a answer) errorOf(c call) *backend.Error {
	e := &backend.Error{
		Op: c.op, Bucket: c.bucket, Key: c.key,
		Code: a.code, Message: a.message, Status: a.status, RequestID: a.requestID, Err: a.cause,
	}
	v := a.verdict()
	e.Kind = v.kind
	switch {
	case c.op == "RestoreObject" && v.kind == backend.KindArchived:
		e.Kind = backend.KindInvalid // it is not archived
	case c.deleted && a.code == "MethodNotAllowed":
		e.Kind = backend.KindNotExist
	case v.kind == backend.KindNotExist && c.key == "":
		e.Kind = backend.KindNoBucket
	case v.kind == backend.KindChanged && c.key == "":
		e.Kind = backend.KindPermission // Swift, to requests without a signature
	case c.op == "CopyObject" && (v.kind == backend.KindNotExist || v.kind == backend.KindChanged):
		// Which end it is about is found out by explainCopy.
	case v.kind == backend.KindNotExist && c.write && c.cond.IfMatch != "" && a.code != "NoSuchUpload":
		e.Kind = backend.KindChanged // Amazon's answer to If-Match where nothing is
	case v.kind == backend.KindChanged && c.cond.IfNoneMatch:
		e.Kind = backend.KindExist
	case v.kind == backend.KindUnknown && !c.write:
		e.Kind = backend.KindTransient
	case v.kind == backend.KindTransient && v.outcome == outcomeLost && c.write:
		e.Kind = backend.KindUnknown
	}
	return e
}
