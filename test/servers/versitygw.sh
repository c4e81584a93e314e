# VersityGW over a directory, with versions. Needs extended attributes of users there, which
# tmpfs has from Linux 6.6 on.
# shellcheck shell=bash disable=SC2034
install() { test/tools.sh versitygw; }

serve() {
	port
	mkdir -p "$DIR/data" "$DIR/versions"
	daemon versitygw env ROOT_ACCESS_KEY="$ACCESS_KEY" ROOT_SECRET_KEY="$SECRET_KEY" \
		"$OBJMOUNT_TOOLS/versitygw" --port "127.0.0.1:$PORT" --keep-alive --quiet --health /health \
		posix --versioning-dir "$DIR/versions" "$DIR/data"
	ENDPOINT=http://127.0.0.1:$PORT
	answers "$ENDPOINT/health"
}
