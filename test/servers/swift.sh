# OpenStack Swift with its S3 API: one replica on one "disk", which is a folder. Four Python
# servers, each without workers, and a memcached, which its authentication wants.
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

# storage NAME: the ring, the configuration and the process of the account, container or
# object server.
storage() {
	port
	(
		cd "$DIR"
		swift-ring-builder "$1.builder" create 4 1 0
		swift-ring-builder "$1.builder" add "r1z1-127.0.0.1:$PORT/disk" 1
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
		log_address = /dev/null
		[pipeline:main]
		pipeline = $1-server
		[app:$1-server]
		use = egg:swift#$1
	END
	swift_server "$1"
}

serve() {
	mkdir -p "$DIR/devices/disk"
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
	for name in account container object; do storage "$name"; done
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
