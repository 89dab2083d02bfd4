#!/bin/sh
# engine.sh start|stop DIR: a Docker engine of its own for the test. Socket and
# state under DIR, images under CACHE so that a second run is quick; a bridge
# and addresses of its own, and no more rules than it takes away again, so that
# an engine that already runs on this machine, and its firewall, stay as they are.
set -eu
action=$1
dir=$2
data=${CACHE:?}/docker
bridge=gh-test0
net=10.213.0.0/16
nat="POSTROUTING -s $net ! -d $net -j MASQUERADE"

fail() { echo "engine: no Docker engine can run here: $*" >&2; exit 1; }

start() {
	[ "$(id -u)" = 0 ] || fail "it needs root: run as root or with sudo"
	for tool in dockerd docker iptables ip; do
		command -v $tool >/dev/null || fail "$tool is missing: apt-get install docker.io iptables iproute2"
	done
	mkdir -p "$data" "$dir"
	ip link del $bridge 2>/dev/null || true # of a run that was killed; the caller holds the lock
	ip link add $bridge type bridge || fail "the kernel makes no bridge"
	ip addr add 10.213.0.1/24 dev $bridge
	ip link set $bridge up
	cat /proc/sys/net/ipv4/ip_forward >"$dir/ip_forward"
	echo 1 >/proc/sys/net/ipv4/ip_forward || fail "/proc/sys/net/ipv4/ip_forward cannot be written"
	# Builds reach the package mirrors by these three; shellcheck disable=SC2086
	iptables -t nat -A $nat && iptables -I FORWARD -s $net -j ACCEPT && iptables -I FORWARD -d $net -j ACCEPT ||
		fail "iptables takes no rule"
	# --iptables=false: the rules above are all that it needs.
	dockerd --data-root "$data" --exec-root "$dir/exec" -H "unix://$dir/sock" --pidfile "$dir/pid" \
		--iptables=false --ip6tables=false --bridge $bridge \
		--default-address-pool base=10.213.128.0/17,size=24 >"$dir/log" 2>&1 &
	engine=$!
	i=0
	until docker -H "unix://$dir/sock" version >/dev/null 2>&1; do
		i=$((i + 1))
		[ -d "/proc/$engine" ] && [ $i -lt 300 ] || { tail -5 "$dir/log" >&2; fail "dockerd does not answer, its last lines are above"; }
		sleep 0.2
	done
}

stop() {
	if [ -f "$dir/pid" ]; then
		pid=$(cat "$dir/pid")
		kill "$pid" 2>/dev/null || true
		i=0
		while [ -d "/proc/$pid" ] && [ $i -lt 150 ]; do i=$((i + 1)); sleep 0.2; done
		[ ! -d "/proc/$pid" ] || { echo "engine: dockerd ($pid) does not stop" >&2; exit 1; }
	fi
	# shellcheck disable=SC2086
	iptables -t nat -D $nat 2>/dev/null || true
	iptables -D FORWARD -s $net -j ACCEPT 2>/dev/null || true
	iptables -D FORWARD -d $net -j ACCEPT 2>/dev/null || true
	ip link del $bridge 2>/dev/null || true
	[ ! -f "$dir/ip_forward" ] || cat "$dir/ip_forward" >/proc/sys/net/ipv4/ip_forward
	grep -o " $dir/exec/[^ ]*" /proc/mounts | while read -r m; do umount "$m" 2>/dev/null || true; done
	rm -rf "$dir/exec"
}

case $action in
start) start ;;
stop) stop ;;
*) echo "engine: $action: want start or stop" >&2; exit 2 ;;
esac
