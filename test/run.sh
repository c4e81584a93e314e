#!/bin/bash
# run.sh COMMAND...: runs COMMAND with a temporary directory of its own and fails if it leaves a
# mount, a process or a file behind. Only looks at its own: mounts and files below that
# directory, processes that have its name in their environment.
set -uo pipefail
RUN=$(mktemp -d "${TMPDIR:-/tmp}/om.XXXXXX") || exit 1 # short: it is a prefix of socket paths
chmod 0755 "$RUN" # some tests become another user
export TMPDIR=$RUN OBJMOUNT_TEST_RUN=$RUN

mounts() { awk -v d="$RUN/" 'index($5, d) == 1 { print $5 }' /proc/self/mountinfo; }

processes() {
	local p
	for p in /proc/[0-9]*; do
		[ "${p#/proc/}" != $$ ] && [ "${p#/proc/}" != "$BASHPID" ] &&
			grep -qzx "OBJMOUNT_TEST_RUN=$RUN" "$p/environ" 2>/dev/null && echo "${p#/proc/}"
	done
}

describe() {
	local pid
	for pid; do echo "  $pid $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)"; done
}

CHILD=
trap '[ -n "$CHILD" ] && kill -TERM "$CHILD" 2>/dev/null' TERM HUP
trap : INT # the terminal tells the command itself
"$@" <&0 &
CHILD=$!
wait "$CHILD"
STATUS=$?
while kill -0 "$CHILD" 2>/dev/null; do # wait ended early, by a signal
	wait "$CHILD"
	STATUS=$?
done

LEFT=
for _ in $(seq 50); do # a process that was told to end may need a moment
	[ -z "$(processes)" ] && break
	sleep 0.1
done
PIDS=$(processes)
if [ -n "$PIDS" ]; then
	LEFT=1
	echo "left behind, processes:" >&2
	# shellcheck disable=SC2086
	describe $PIDS >&2
fi
if [ -n "$(mounts)" ]; then
	LEFT=1
	echo "left behind, mounts:" >&2
	mounts >&2
	mounts | tac | while read -r m; do umount -l "$m" 2>/dev/null || fusermount3 -uz "$m"; done
fi
# shellcheck disable=SC2086
[ -z "$PIDS" ] || kill -KILL $PIDS 2>/dev/null
FILES=$(find "$RUN" -mindepth 1 2>/dev/null | head -20)
if [ -n "$FILES" ]; then
	LEFT=1
	printf 'left behind, files:\n%s\n' "$FILES" >&2
	chmod -R u+rwX "$RUN" 2>/dev/null
fi
rm -rf --one-file-system "$RUN"
[ "$STATUS" != 0 ] || [ -z "$LEFT" ] || STATUS=1
exit "$STATUS"
