package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"syscall"

	"github.com/objmount/objmount/backend"
)

// codeOf returns the exit code of an error.
func codeOf(err error) exitCode {
	if err == nil {
		return exitOK
	}
	if f, ok := errors.AsType[*failure](err); ok {
		return f.code
	}
	if errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	return exitFailed
}

// explainStore turns the failure of the first requests into a line that says what to do. unsigned
// says that they went out without credentials.
func explainStore(src source, endpoint string, unsigned bool, err error) error {
	why := reason(err)
	switch backend.KindOf(err) {
	case backend.KindNoBucket, backend.KindNotExist:
		return fail(exitNoBucket, "no such bucket: %q does not exist at %s (%s); correct the name or --endpoint-url, or create it first", src.bucket, endpoint, why)
	case backend.KindCredentials:
		if e, ok := errors.AsType[*backend.Error](err); ok && e.Code == "" && e.Status == 0 { // the store was not even asked
			return fail(exitCredentials, "no credentials for %s; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or --profile, or --credentials-file, "+
				"or --no-sign-request for a public bucket (%s)", endpoint, why)
		}
		return fail(exitCredentials, "bad credentials for %s (%s); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or --profile, or --credentials-file, "+
			"or --no-sign-request for a public bucket", endpoint, why)
	case backend.KindPermission:
		if unsigned {
			return fail(exitCredentials, "permission denied: %s at %s is not public (%s); give credentials instead of --no-sign-request", src, endpoint, why)
		}
		return fail(exitCredentials, "permission denied: the credentials may not list %s at %s (%s); grant s3:ListBucket, or use others with --profile", src, endpoint, why)
	case backend.KindUnreachable:
		if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
			return fail(exitUnreachable, "cannot trust %s (%s); if it is the right one, give its certificate authority with --ca-bundle", endpoint, why)
		}
		if _, ok := errors.AsType[tls.RecordHeaderError](err); ok { // without a scheme an endpoint is https
			return fail(exitUnreachable, "%s answers, but speaks no TLS (%s); write http:// before the host in --endpoint-url if that is meant", endpoint, why)
		}
		return fail(exitUnreachable, "cannot reach %s (%s); check --endpoint-url, the network, --proxy and --ca-bundle", endpoint, why)
	case backend.KindTransient, backend.KindUnknown:
		return fail(exitUnreachable, "%s fails (%s); try again later", endpoint, why)
	case backend.KindInvalid, backend.KindUnsupported, backend.KindNameTooLong:
		return usage("%s at %s is refused (%s); check the name, --region and --endpoint-url", src, endpoint, why)
	case backend.KindCanceled:
		return fail(exitInterrupted, "interrupted while asking %s", endpoint)
	default:
		return fail(exitFailed, "asking %s for %s: %s", endpoint, src, why)
	}
}

// reason is the cause in the store's or the system's words, without what the line says already.
func reason(err error) string {
	e, ok := errors.AsType[*backend.Error](err)
	if !ok {
		return innermost(err)
	}
	var parts []string
	if e.Code != "" {
		parts = append(parts, e.Code)
	}
	if e.Message != "" && e.Message != e.Code {
		parts = append(parts, strings.TrimSuffix(e.Message, "."))
	}
	if len(parts) == 0 && e.Err != nil {
		parts = append(parts, innermost(e.Err))
	}
	if len(parts) == 0 && e.Status != 0 {
		parts = append(parts, fmt.Sprintf("HTTP status %d", e.Status))
	}
	if len(parts) == 0 {
		parts = append(parts, e.Kind.String())
	}
	return strings.Join(parts, ": ")
}

// innermost cuts the wrapping that libraries put around a network error.
func innermost(err error) string {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		if dns, ok := errors.AsType[*net.DNSError](op.Err); ok {
			return dns.Err + ": " + dns.Name
		}
		if no, ok := errors.AsType[syscall.Errno](op.Err); ok && op.Addr != nil {
			return fmt.Sprintf("%v: %v", op.Addr, no)
		}
	}
	return err.Error()
}

// explainOpen is for a store that cannot be opened at all: nothing was sent yet.
func explainOpen(err error) error {
	why := reason(err)
	switch backend.KindOf(err) {
	case backend.KindCredentials:
		return fail(exitCredentials, "the AWS configuration cannot be used (%s); check --profile, --credentials-file, AWS_CONFIG_FILE, AWS_CA_BUNDLE and ~/.aws", why)
	case backend.KindInvalid:
		return usage("%s; check --endpoint-url, --proxy and --ca-bundle", why)
	default:
		return fail(exitFailed, "the store cannot be opened: %s", why)
	}
}
