# start.sh, for scripts that are in the repository's directory: `start STORE` installs a server
# of servers/STORE.sh if it is missing, and runs it on free ports of 127.0.0.1 with its data in
# a temporary directory. At the end of the script it is stopped, whatever the outcome.
#
# servers/STORE.sh defines two functions: install, and serve, which starts the server in the
# directory $DIR, sets ENDPOINT (and ACCESS_KEY, SECRET_KEY where they differ from those of
# start), and returns when it answers. It starts daemons with `daemon`; `port` sets PORT to a
# free one.
# shellcheck shell=bash
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

# start STORE
start() {
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
}
