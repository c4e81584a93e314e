package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/objmount/objmount/backend"
)

// TestEveryKindIsExplained: one line and a code for whatever the store says at the start.
func TestEveryKindIsExplained(t *testing.T) {
	t.Parallel()
	want := map[backend.Kind]exitCode{
		backend.KindNoBucket: exitNoBucket, backend.KindNotExist: exitNoBucket, backend.KindCredentials: exitCredentials, backend.KindPermission: exitCredentials,
		backend.KindUnreachable: exitUnreachable, backend.KindTransient: exitUnreachable, backend.KindUnknown: exitUnreachable,
		backend.KindInvalid: exitUsage, backend.KindUnsupported: exitUsage, backend.KindNameTooLong: exitUsage, backend.KindCanceled: exitInterrupted,
	}
	for _, k := range backend.Kinds() {
		code, ok := want[k]
		if !ok {
			code = exitFailed
		}
		err := explainStore(source{bucket: "b"}, "host:1", false, &backend.Error{Kind: k, Op: "ListObjectsV2", Code: "Code", Message: "two\nlines"})
		if codeOf(err) != code || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "host:1") {
			t.Errorf("%v: %d %v", k, codeOf(err), err)
		}
	}
	plain := &backend.Error{Kind: backend.KindUnreachable, Op: "ListBuckets", Err: tls.RecordHeaderError{Msg: "no TLS"}}
	if err := explainStore(source{}, "host:1", false, plain); codeOf(err) != exitUnreachable || !strings.Contains(err.Error(), "write http:// before the host") {
		t.Error(err)
	}
	if got := reason(fmt.Errorf("wrapped: %w", errors.New("plain"))); got != "wrapped: plain" {
		t.Errorf("%q", got)
	}
}

func TestMemoryIsDivided(t *testing.T) {
	t.Parallel()
	for _, limit := range []int64{leastMemory, 256 << 20, 1 << 30, 16 << 30} {
		s := divideMemory(limit)
		if s.blocks+s.merge+int64(s.entries)*entryBytes+int64(s.inodes)*inodeBytes > limit || s.inodes < 5_000 || s.blocks < limit/3 || s.entries < 10_000 || s.merge < 16<<20 && limit > leastMemory {
			t.Errorf("%d: %+v", limit, s)
		}
	}
}
