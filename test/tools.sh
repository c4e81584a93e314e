#!/bin/bash
# tools.sh NAME...: installs what is missing of
#   test           all that `make test` needs
#   versitygw minio rclone golangci-lint    Go programs, built into $OBJMOUNT_TOOLS at the version pinned here
#   demo           all that `make demo` needs
#   s3fs           by apt-get
# Works as root and with sudo, without standard input.
set -euo pipefail
TOOLS=${OBJMOUNT_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/objmount-tools}
mkdir -p "$TOOLS"

# module, package and version of a Go program. MinIO's repository is archived: this commit is
# the last that exists, and the tests run it as a program and never link it (AGPL).
pinned() {
	case $1 in
	versitygw) echo github.com/versity/versitygw cmd/versitygw v1.8.0 ;;
	minio) echo github.com/minio/minio . v0.0.0-20260212201848-7aac2a2c5b7c ;;
	rclone) echo github.com/rclone/rclone . v1.75.1 ;;
	golangci-lint) echo github.com/golangci/golangci-lint/v2 cmd/golangci-lint v2.15.0 ;;
	*) return 1 ;;
	esac
}

go_tool() {
	local name=$1 module package version scratch
	read -r module package version < <(pinned "$name")
	if go version -m "$TOOLS/$name" 2>/dev/null | grep -qP "^\tmod\t\Q$module\E\t\Q$version\E\t"; then return; fi
	echo "building $name $version into $TOOLS" >&2
	scratch=$(mktemp -d "$TOOLS/build.XXXXXX")
	# shellcheck disable=SC2064
	trap "rm -rf '$scratch'" EXIT
	package=$module/$package
	GOFLAGS='' GOWORK=off CGO_ENABLED=0 GOBIN=$scratch go install -trimpath "${package%/.}@$version" </dev/null
	mv "$scratch/$name" "$TOOLS/$name" # in one step: others may be running it
	rm -rf "$scratch"
	trap - EXIT
}

# A Python that has boto3; the tests look in the same order (test/foreign_test.go).
has_boto3() { python3 -c 'import boto3' 2>/dev/null || /usr/bin/python3 -c 'import boto3' 2>/dev/null; }

# apt PACKAGE COMMAND...: notes the package as missing unless all commands exist.
MISSING=()
apt() {
	local package=$1 c
	shift
	for c; do PATH=$PATH:/usr/sbin:/sbin command -v "$c" >/dev/null || { MISSING+=("$package"); return; }; done
}

install_missing() {
	[ ${#MISSING[@]} -gt 0 ] || return 0
	command -v apt-get >/dev/null || { echo "please install: ${MISSING[*]}" >&2; exit 1; }
	local root=()
	[ "$(id -u)" = 0 ] || root=(sudo)
	echo "installing ${MISSING[*]}" >&2
	"${root[@]}" apt-get update -q </dev/null >&2
	"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${MISSING[@]}" </dev/null >&2
}

[ $# -gt 0 ] || set -- test
for name; do
	case $name in
	test)
		apt fuse3 fusermount3
		apt attr getfattr
		apt rsync rsync
		apt zip zip
		apt unzip unzip
		apt sqlite3 sqlite3
		apt curl curl
		apt ca-certificates update-ca-certificates
		# The race detector needs a C compiler.
		apt gcc gcc
		[ -e /usr/include/stdlib.h ] || MISSING+=(libc6-dev)
		has_boto3 || MISSING+=(python3-boto3)
		install_missing
		has_boto3 || { echo "no python3 with boto3" >&2; exit 1; }
		go_tool versitygw
		go_tool minio
		;;
	demo)
		apt fuse3 fusermount3
		apt curl curl
		install_missing
		;;
	s3fs)
		MISSING=()
		apt s3fs s3fs
		install_missing
		;;
	*)
		pinned "$name" >/dev/null || { echo "tools.sh: unknown tool $name" >&2; exit 2; }
		go_tool "$name"
		;;
	esac
done
