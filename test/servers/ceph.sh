# Ceph's RADOS gateway on a cluster of one monitor and one OSD, without a manager. All of its
# daemons run as whoever starts them, in the foreground, with everything in $DIR; there is no
# authentication between them.
# shellcheck shell=bash disable=SC2034
install() { apt ceph-mon ceph-osd radosgw ceph-common curl; }

ceph_configuration() {
	cat <<-END
		[global]
		fsid = $1
		mon host = [v1:127.0.0.1:$2/0]
		public addr = 127.0.0.1
		cluster addr = 127.0.0.1
		# Without authentication the gateway cannot speak the newer protocol.
		ms bind msgr2 = false
		ms bind ipv6 = false
		auth cluster required = none
		auth service required = none
		auth client required = none
		run dir = $DIR
		admin socket = $DIR/\$name.asok
		log file = $DIR/\$name.log
		mon cluster log file = $DIR/cluster.log
		crash dir = $DIR/crash
		# One copy of everything, wherever there is room.
		osd pool default size = 1
		osd pool default min size = 1
		osd pool default pg num = 4
		osd pool default pg autoscale mode = off
		osd crush chooseleaf type = 0
		mon allow pool size one = true
		mon max pg per osd = 1000
		mon data avail warn = 2
		mon data avail crit = 1
		mon osd full ratio = 0.99
		[mon]
		mon data = $DIR/mon
		[osd]
		osd data = $DIR/osd
		osd objectstore = bluestore
		bluestore block create = true
		bluestore block size = 8589934592
		osd memory target = 939524096
		osd class load list = *
		osd class default list = *
		[client.rgw]
		rgw data = $DIR/rgw
		rgw frontends = beast endpoint=127.0.0.1:$3 tcp_nodelay=1
		rgw relaxed s3 bucket names = false
	END
}

# osd_up starts the OSD and waits until the monitor counts it as up. One that boots while the
# monitor is very young may end at once with "wrong fsid": then it is started again.
osd_up() {
	local n osd=
	for ((n = 0; n < 150; n++)); do
		if [ -z "$osd" ] || ! alive "$osd"; then
			[ -z "$osd" ] || forget "$osd"
			daemon osd ceph-osd -c "$DIR/ceph.conf" -f -i 0
			osd=${PIDS[-1]}
		fi
		case $(timeout 5 ceph -c "$DIR/ceph.conf" osd stat 2>/dev/null) in *' 1 up'*) return ;; esac
		sleep 0.2
	done
	echo "the OSD does not come up" >&2
	return 1
}

serve() {
	local conf=$DIR/ceph.conf cluster osd monitor n
	cluster=$(cat /proc/sys/kernel/random/uuid) osd=$(cat /proc/sys/kernel/random/uuid)
	mkdir -p "$DIR/mon" "$DIR/osd" "$DIR/rgw" "$DIR/crash"
	port
	monitor=$PORT
	port
	ceph_configuration "$cluster" "$monitor" "$PORT" >"$conf"

	monmaptool --create --addv a "[v1:127.0.0.1:$monitor/0]" --fsid "$cluster" "$DIR/monmap" >>"$DIR/setup.log" 2>&1 || return
	ceph-mon -c "$conf" --mkfs -i a --monmap "$DIR/monmap" --keyring /dev/null >>"$DIR/setup.log" 2>&1 || return
	daemon mon ceph-mon -c "$conf" -f -i a
	for ((n = 0; ; n++)); do
		if timeout 10 ceph -c "$conf" --connect-timeout 8 osd new "$osd" >>"$DIR/setup.log" 2>&1; then break; fi
		if [ $n = 12 ] || ! alive "${PIDS[-1]}"; then echo "the monitor does not answer" >&2; return 1; fi
		sleep 0.3
	done
	ceph-osd -c "$conf" -i 0 --mkfs --osd-uuid "$osd" >>"$DIR/setup.log" 2>&1 || return
	osd_up || return
	daemon rgw radosgw -c "$conf" -f -n client.rgw
	ENDPOINT=http://127.0.0.1:$PORT
	answers "$ENDPOINT/" || return
	radosgw-admin -c "$conf" -n client.rgw user create --uid=test --display-name=test \
		--access-key="$ACCESS_KEY" --secret="$SECRET_KEY" >>"$DIR/setup.log" 2>&1
}
