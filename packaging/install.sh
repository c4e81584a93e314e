#!/bin/sh
# Installs the binary, the mount helpers and the units.
#
#   packaging/install.sh BINARY
#
# PREFIX   /usr/local    where bin/objmount goes
# SBINDIR  /sbin or what it points to: mount(8) looks for its helpers only there
# SYSTEMD  PREFIX/lib/systemd/system
# DESTDIR  put before all of them, for packages
set -eu
BINARY=${1:?usage: install.sh BINARY}
[ -x "$BINARY" ] || { echo "$0: there is no $BINARY; run make build first" >&2; exit 1; }
HERE=$(dirname "$0")
PREFIX=${PREFIX:-/usr/local}
SBINDIR=${SBINDIR:-$(readlink -f /sbin)}
SYSTEMD=${SYSTEMD:-$PREFIX/lib/systemd/system}
DESTDIR=${DESTDIR:-}

install -D -m 0755 "$BINARY" "$DESTDIR$PREFIX/bin/objmount"

# The helpers are the binary under another name: see cmd/objmount/mount8.go.
install -d -m 0755 "$DESTDIR$SBINDIR"
for name in mount.objmount mount.fuse.objmount umount.objmount umount.fuse.objmount; do
	ln -sfn "$PREFIX/bin/objmount" "$DESTDIR$SBINDIR/$name"
done

install -d -m 0755 "$DESTDIR$SYSTEMD" "$DESTDIR$PREFIX/share/doc/objmount"
sed "s|/usr/local/bin/|$PREFIX/bin/|g" "$HERE/systemd/objmount@.service" >"$DESTDIR$SYSTEMD/objmount@.service"
chmod 0644 "$DESTDIR$SYSTEMD/objmount@.service"
for example in config.toml.example objmount.env.example fstab.example systemd/mnt-bucket.mount systemd/mnt-bucket.automount; do
	install -m 0644 "$HERE/$example" "$DESTDIR$PREFIX/share/doc/objmount/"
done
