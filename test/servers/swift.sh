# OpenStack Swift with its S3 API: four Python servers, each without workers, and a memcached,
# which its authentication wants. Objects have two replicas: one that is just being overwritten
# may be missing for a moment, and then the other is asked. A "disk" is a folder.
# shellcheck shell=bash disable=SC2034
install() { apt swift-proxy swift-account swift-container swift-object memcached curl; }

# Debian's programs read /etc/swift/swift.conf before they look at any argument; ours is in $DIR.
LAUNCH='
import sys
from swift.common import utils
utils.set_swift_dir(sys.argv[1])
from swift.common.wsgi import run_wsgi
sys.exit(run_wsgi(sys.argv[2], sys.argv[3]))'

swift_server() { daemon "$1" /usr/bin/python3 -c "$LAUNCH" "$DIR" "$DIR/$1.conf" "$1-server"; }

# storage NAME REPLICAS: the ring, the configuration and the process of the account, container or
# object server.
storage() {
	port
	(
		cd "$DIR"
		swift-ring-builder "$1.builder" create 4 "$2" 0
		swift-ring-builder "$1.builder" add "r1z1-127.0.0.1:$PORT/disk1" 1
		swift-ring-builder "$1.builder" add "r1z1-127.0.0.1:$PORT/disk2" 1
		swift-ring-builder "$1.builder" rebalance
	) >"$DIR/rings.log" 2>&1
	cat >"$DIR/$1.conf" <<-END
		[DEFAULT]
		bind_ip = 127.0.0.1
		bind_port = $PORT
		workers = 0
		user = $(id -un)
		swift_dir = $DIR
		devices = $DIR/devices
		mount_check = false
		disable_fallocate = true
		# A container that does not answer in time would learn of changes from daemons that do
		# not run here.
		conn_timeout = 20
		node_timeout = 60
		log_address = /dev/null
		[pipeline:main]
		pipeline = $1-server
		[app:$1-server]
		use = egg:swift#$1
	END
	swift_server "$1"
}

# disks makes the folders. The headers of an object, some of them with its key,
# are extended attributes: ext4 has 4 KiB for them, tmpfs (from Linux 6.6 on) and XFS have more.
disks() {
	local memory
	memory=$(mktemp -d /dev/shm/conformance.XXXXXX) && ELSEWHERE+=("$memory") &&
		/usr/bin/python3 -c 'import os, sys; os.setxattr(sys.argv[1], "user.a", bytes(9000))' "$memory" 2>/dev/null &&
		ln -s "$memory" "$DIR/devices" || mkdir "$DIR/devices"
	mkdir "$DIR/devices/disk1" "$DIR/devices/disk2"
}

serve() {
	disks
	# Signed requests with 2 KiB of metadata and their tracing have long heads.
	cat >"$DIR/swift.conf" <<-'END'
		[swift-hash]
		swift_hash_path_prefix = conformance
		swift_hash_path_suffix = conformance
		[storage-policy:0]
		name = only
		default = yes
		[swift-constraints]
		max_header_size = 16384
	END
	local memcached name
	port
	memcached=$PORT
	daemon memcached memcached -u "$(id -un)" -l 127.0.0.1 -p "$memcached" -U 0 -m 32
	storage account 1
	storage container 1
	storage object 2
	port
	cat >"$DIR/proxy.conf" <<-END
		[DEFAULT]
		bind_ip = 127.0.0.1
		bind_port = $PORT
		workers = 0
		user = $(id -un)
		swift_dir = $DIR
		log_address = /dev/null
		[pipeline:main]
		pipeline = catch_errors gatekeeper healthcheck cache listing_formats bulk s3api tempauth copy slo dlo versioned_writes symlink proxy-server
		[app:proxy-server]
		use = egg:swift#proxy
		account_autocreate = true
		allow_account_management = true
		# There is no other node to ask while this one is shunned for its errors.
		error_suppression_interval = 0
		# An answer to a write means that both replicas have it.
		post_quorum_timeout = 60
		conn_timeout = 20
		node_timeout = 60
		[filter:cache]
		use = egg:swift#memcache
		memcache_servers = 127.0.0.1:$memcached
		[filter:s3api]
		use = egg:swift#s3api
		location = us-east-1
		s3_acl = false
		check_bucket_owner = false
		[filter:tempauth]
		use = egg:swift#tempauth
		user_test_tester = testing .admin
		[filter:versioned_writes]
		use = egg:swift#versioned_writes
		allow_object_versioning = true
	END
	for name in catch_errors gatekeeper healthcheck listing_formats bulk copy slo dlo symlink; do
		printf '[filter:%s]\nuse = egg:swift#%s\n' "$name" "$name" >>"$DIR/proxy.conf"
	done
	swift_server proxy
	ENDPOINT=http://127.0.0.1:$PORT ACCESS_KEY=test:tester SECRET_KEY=testing
	answers "$ENDPOINT/healthcheck"
}
