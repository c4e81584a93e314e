#!/bin/bash
# with-store.sh STORE COMMAND...: runs COMMAND while a server of servers/STORE.sh is there, and
# tells the end-to-end tests of it: they use it in the place of VersityGW, and none in that of
# MinIO (see OBJMOUNT_TEST_STORES in store_test.go).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:/usr/sbin:/sbin
# shellcheck source=test/servers/start.sh
. test/servers/start.sh
STORE=$1
shift
start "$STORE"
export OBJMOUNT_TEST_STORES=$STORE=$ENDPOINT
"$@" <&0 & # not in the foreground, so that signals are seen at once
COMMAND=$!
PIDS+=("$COMMAND")
STATUS=0
wait "$COMMAND" || STATUS=$?
forget "$COMMAND"
exit "$STATUS"
