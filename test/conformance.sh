#!/bin/bash
# conformance.sh [STORE...]: holds backend/s3 to what it claims of real servers: versitygw, minio,
# ceph, swift (all of them when none is named). Each is installed if it is missing, started on
# free ports of 127.0.0.1 with its data in a temporary directory, tested and stopped, whatever
# the outcome. CONFORMANCE_RUN: the tests to run, a pattern as for go test -run.
#
# servers/STORE.sh defines two functions: install, and serve, which starts the server in the
# directory $DIR, sets ENDPOINT (and ACCESS_KEY, SECRET_KEY where they differ from below), and
# returns when it answers. It starts daemons with `daemon`; `port` sets PORT to a free one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:/usr/sbin:/sbin
[ $# -gt 0 ] || set -- versitygw minio ceph swift
TESTS=${CONFORMANCE_RUN:-'^(TestConformance|TestVersionedConformance|Test[A-Z][A-Za-z]*OnServers)$'}

WORK=$(mktemp -d "${TMPDIR:-/tmp}/conf.XXXXXX")
PIDS=()
ELSEWHERE=() # folders of the servers that are not in WORK

# port sets PORT to a free TCP port, another one at each call.
LAST_PORT=$((20000 + RANDOM % 8000))
port() {
	while :; do
		LAST_PORT=$((LAST_PORT + 1))
		(exec 3<>"/dev/tcp/127.0.0.1/$LAST_PORT") 2>/dev/null || break
	done
	PORT=$LAST_PORT
}

# daemon NAME COMMAND...: runs COMMAND until `stop`, its output in $DIR/NAME.log. The daemon is
# its own process group, so that an interrupt at the terminal leaves stopping to us.
daemon() {
	local name=$1
	shift
	setsid "$@" >>"$DIR/$name.log" 2>&1 </dev/null &
	PIDS+=($!)
}

# forget PID: a daemon that may end.
forget() {
	local p left=()
	for p in "${PIDS[@]}"; do [ "$p" = "$1" ] || left+=("$p"); done
	PIDS=(${left[@]+"${left[@]}"})
	wait "$1" 2>/dev/null || true
}

alive() { kill -0 "$1" 2>/dev/null; }

# stop ends the daemons in reverse order: they have ten seconds to do it themselves.
stop() {
	local i p
	for ((i = ${#PIDS[@]} - 1; i >= 0; i--)); do kill "${PIDS[i]}" 2>/dev/null || true; done
	for ((i = 0; i < 100; i++)); do
		local left=
		for p in ${PIDS[@]+"${PIDS[@]}"}; do if alive "$p"; then left=1; fi; done
		[ -n "$left" ] || break
		sleep 0.1
	done
	for p in ${PIDS[@]+"${PIDS[@]}"}; do
		kill -KILL "$p" 2>/dev/null || true
		wait "$p" 2>/dev/null || true
	done
	PIDS=()
}

finish() {
	local status=$?
	stop
	rm -rf --one-file-system "$WORK" ${ELSEWHERE[@]+"${ELSEWHERE[@]}"}
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# answers URL: waits until it does with a success, for some minutes or until a daemon ends.
answers() {
	local n p
	for ((n = 0; n < 1800; n++)); do
		if curl -sf -o /dev/null --max-time 5 "$1"; then return; fi
		for p in "${PIDS[@]}"; do alive "$p" || break 2; done
		sleep 0.1
	done
	echo "$1 does not answer" >&2
	return 1
}

# apt PACKAGE...: installs what is missing, as root or with sudo. The servers that the packages
# would start are not: ours are others.
apt() {
	local p missing=() root=()
	for p; do [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p"); done
	[ ${#missing[@]} -gt 0 ] || return 0
	command -v apt-get >/dev/null || { echo "please install: ${missing[*]}" >&2; return 1; }
	[ "$(id -u)" = 0 ] || root=(sudo)
	echo "installing ${missing[*]}" >&2
	"${root[@]}" apt-get update -q </dev/null >&2
	"${root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
		apt-get install -y -q --no-install-recommends "${missing[@]}" </dev/null >&2
}

# try STORE: one store.
try() {
	DIR=$WORK/$1 ACCESS_KEY=testkey SECRET_KEY=testsecret
	mkdir -p "$DIR"
	# shellcheck source=/dev/null
	. "test/servers/$1.sh"
	install || return
	local began=$SECONDS
	if ! serve; then
		tail -n 10 "$DIR"/*.log >&2
		return 1
	fi
	echo "$1 answers at $ENDPOINT after $((SECONDS - began)) s" >&2
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
