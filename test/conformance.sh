#!/bin/bash
# conformance.sh [STORE...]: holds backend/s3 to what it claims of real servers: versitygw, minio,
# ceph, swift (all of them when none is named). Each is installed if it is missing, started on
# free ports of 127.0.0.1 with its data in a temporary directory, tested and stopped, whatever
# the outcome. CONFORMANCE_RUN: the tests to run, a pattern as for go test -run.
#
# servers/start.sh says how each of servers/STORE.sh works.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:/usr/sbin:/sbin
[ $# -gt 0 ] || set -- versitygw minio ceph swift
TESTS=${CONFORMANCE_RUN:-'^(TestConformance|TestVersionedConformance|Test[A-Z][A-Za-z]*OnServers)$'}

# shellcheck source=test/servers/start.sh
. test/servers/start.sh

# try STORE: one store.
try() {
	start "$1" || return
	local status=0
	(cd backend/s3 && TMPDIR=$DIR OBJMOUNT_TEST_STORE=$1 OBJMOUNT_TEST_ENDPOINT=$ENDPOINT AWS_ACCESS_KEY_ID=$ACCESS_KEY AWS_SECRET_ACCESS_KEY=$SECRET_KEY \
		exec "$WORK/s3.test" -test.run "$TESTS" -test.timeout 25m -test.v) >"$DIR/tests" 2>&1 &
	local tests=$!
	PIDS+=("$tests")
	wait "$tests" || status=$? # not in the foreground, so that signals are seen at once
	forget "$tests"
	if [ $status != 0 ]; then
		grep -v -e '^=== ' -e '^ *--- PASS' -e '^ *--- SKIP' -e 'does not claim' "$DIR/tests" >&2 || true
	fi
	if [ -n "${CONFORMANCE_LOG:-}" ]; then cp "$DIR/tests" "$CONFORMANCE_LOG.$1"; fi
	RESULT="$(grep -c '^ *--- PASS' "$DIR/tests" || true) passed, $(grep -c '^ *--- SKIP' "$DIR/tests" || true) skipped, $(grep -c '^ *--- FAIL' "$DIR/tests" || true) failed"
	return $status
}

command -v curl >/dev/null || apt curl ca-certificates
${GO:-go} test -c -race -o "$WORK/s3.test" ./backend/s3/
FAILED=()
SUMMARY=
for store; do
	RESULT='did not start'
	try "$store" || FAILED+=("$store")
	stop
	SUMMARY+=$(printf '%-10s %s' "$store" "$RESULT")$'\n'
done
printf '\n%s' "$SUMMARY"
[ ${#FAILED[@]} = 0 ] || { echo "failed: ${FAILED[*]}" >&2; exit 1; }
