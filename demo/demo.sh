#!/bin/bash
# A first session with objmount: an S3 server over ./demo-data, a mount of it, and the commands
# that a newcomer would type. `make demo` builds what it needs and runs it.
#
# OBJMOUNT_DEMO_DATA  where the data lies instead of ./demo-data; it stays
#
# However it ends (end, Ctrl-C, a step that fails), no process and no mount is left.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
DATA=${OBJMOUNT_DEMO_DATA:-demo-data}
MNT=$DATA/mnt
PATH=$PWD/bin:$PATH

if [ -t 1 ]; then BOLD=$(printf '\033[1m') DIM=$(printf '\033[2m') PLAIN=$(printf '\033[0m'); else BOLD='' DIM='' PLAIN=''; fi
say() { printf '\n%s%s%s\n' "$DIM" "$*" "$PLAIN"; }
# run COMMAND: prints the command as one would type it, then runs it.
run() {
	printf '%s$ %s%s\n' "$BOLD" "$1" "$PLAIN"
	bash -c "set -euo pipefail; $1" </dev/null
}

mounted() { grep -qF " $(realpath "$MNT") " /proc/self/mountinfo; }

# Every way out leads here: unmount first (it waits for uploads, so the server must still be
# there), then stop the server, then remove the mountpoint. The data stays.
finish() {
	local status=$?
	trap '' INT TERM HUP
	trap - EXIT
	if [ -d "$MNT" ] && mounted; then
		say "unmounting"
		objmount umount "$MNT" </dev/null || umount -l "$MNT" 2>/dev/null || fusermount3 -uz "$MNT" || status=1
	fi
	if [ -n "${SERVER_PID:-}" ]; then
		kill "$SERVER_PID" 2>/dev/null || true
		wait "$SERVER_PID" 2>/dev/null || true
	fi
	if [ -d "$MNT" ]; then rmdir "$MNT" || status=1; fi
	if [ "$status" = 0 ]; then
		say "Everything is stopped. The data is in $DATA; remove that folder when you like."
	else
		echo "The demo ended early (status $status). The data is in $DATA." >&2
	fi
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

mkdir -p "$DATA"
chmod 700 "$DATA" # everything the server holds, keys too
# The demo stores source files: this keeps "go test ./..." of the repository from looking at them.
[ -e "$DATA/go.mod" ] || echo 'module demodata' >"$DATA/go.mod"
if [ -d "$MNT" ] && mounted; then
	echo "$MNT is mounted: does another demo run? If not: bin/objmount umount $MNT" >&2
	trap - EXIT
	exit 1
fi

# The server reads a pipe that this script holds: it cannot outlive it.
coproc SERVER { exec objmount-demo-server -dir "$DATA"; }
if ! read -r READY <&"${SERVER[0]}"; then
	echo "the demo server did not start" >&2
	exit 1
fi
field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" <<<"$READY"; }
ENDPOINT=$(field endpoint)
(
	umask 077
	printf 'user = "%s:%s"\naws-sigv4 = "aws:amz:%s:s3"\nheader = "x-amz-content-sha256: UNSIGNED-PAYLOAD"\nsilent\nshow-error\nfail\n' \
		"$(field access_key_id)" "$(field secret_access_key)" "$(field region)" >"$DATA/curl"
)
# What another terminal needs to talk to the same server. Local state of the mount stays below
# the data, so that the demo leaves no trace elsewhere.
export AWS_ENDPOINT_URL=$ENDPOINT AWS_REGION=us-east-1 AWS_SHARED_CREDENTIALS_FILE=$DATA/credentials
export XDG_STATE_HOME=$PWD/$DATA/state XDG_CACHE_HOME=$PWD/$DATA/cache
case $DATA in /*) XDG_STATE_HOME=$DATA/state XDG_CACHE_HOME=$DATA/cache ;; esac
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_PROFILE
export PATH MNT

say "An S3 server answers at $ENDPOINT; its keys are in $DATA/credentials, its objects are plain files in $DATA/store."
export BUCKET=$ENDPOINT/demo
if ! curl -K "$DATA/curl" -o /dev/null -I "$BUCKET" 2>/dev/null; then
	say "A bucket, made with plain curl:"
	run "curl -K $DATA/curl -X PUT $BUCKET"
fi

say "Mount the bucket:"
mkdir -p "$MNT"
run "objmount mount s3://demo $MNT"

say "Write, list, read back:"
run "echo 'hello from the mount' > $MNT/hello.txt"
run "cp -r fs cache backend $MNT/"
run "ls -l $MNT"
run "cat $MNT/hello.txt"
run "find $MNT -type f | wc -l"

say "Ordinary programs work on it:"
run "grep -rlw ENOTEMPTY $MNT"
run "sed -i 's/hello/good morning/' $MNT/hello.txt && cat $MNT/hello.txt"

say "A file is an object: any S3 client sees the same bytes, here curl."
run "curl -K $DATA/curl $BUCKET/hello.txt"

say "And the other way round: another client changes the object, the mount shows it."
echo 'changed by another client' >"$DATA/changed.txt"
run "curl -K $DATA/curl -T $DATA/changed.txt $BUCKET/hello.txt"
run "cat $MNT/hello.txt"
rm "$DATA/changed.txt"

run "objmount status $MNT"

if [ -t 0 ] && [ -t 1 ]; then
	cat <<-END

		${BOLD}The mount stays up until you press Enter.${PLAIN} Things to try in another terminal, in $PWD:

		    ls $MNT/fs                        the files, as usual
		    vi $MNT/hello.txt                 edit one
		    git -C $MNT init try              version control in a bucket
		    tar -C $MNT -cf /dev/null .       read everything
		    dd if=/dev/urandom of=$MNT/big bs=1M count=200
		    bin/objmount status $MNT          what is mounted, what waits for upload
		    curl -K $DATA/curl $BUCKET/hello.txt
		    export AWS_ENDPOINT_URL=$ENDPOINT AWS_REGION=us-east-1 AWS_SHARED_CREDENTIALS_FILE=$PWD/$DATA/credentials
		    aws s3 ls s3://demo/              with the AWS CLI, if you have it
	END
	trap 'exit 0' INT # as good as Enter here
	read -r _ || true
fi
