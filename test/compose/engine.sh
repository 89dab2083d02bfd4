#!/bin/sh
# engine.sh start|stop DIR: a Docker engine of its own for the test. Socket and
# state under DIR, images under .cache so that a second run is quick; a bridge,
# addresses and one NAT rule of its own, so that an engine that already runs on
# this machine, and its firewall, stay as they are.
set -eu
action=$1
dir=$2
data=$(pwd)/.cache/docker
bridge=gh-test0
net=10.213.0.0/16
nat="POSTROUTING -s $net ! -d $net -j MASQUERADE"

start() {
	[ "$(id -u)" = 0 ] || { echo "engine: needs root: run as root or with sudo" >&2; exit 1; }
	for tool in dockerd docker iptables ip; do
		command -v $tool >/dev/null || { echo "engine: $tool is missing: apt-get install docker.io iptables iproute2" >&2; exit 1; }
	done
	mkdir -p "$data" "$dir"
	ip link add $bridge type bridge 2>/dev/null || { echo "engine: $bridge exists: another run is under way, or one was killed (ip link del $bridge)" >&2; exit 1; }
	ip addr add 10.213.0.1/24 dev $bridge
	ip link set $bridge up
	cat /proc/sys/net/ipv4/ip_forward >"$dir/ip_forward"
	echo 1 >/proc/sys/net/ipv4/ip_forward
	# shellcheck disable=SC2086 # a list of words
	iptables -t nat -A $nat
	iptables -I FORWARD -s $net -j ACCEPT
	iptables -I FORWARD -d $net -j ACCEPT
	# --iptables=false: the rules above are all that it needs.
	dockerd --data-root "$data" --exec-root "$dir/exec" -H "unix://$dir/sock" --pidfile "$dir/pid" \
		--iptables=false --ip6tables=false --bridge $bridge \
		--default-address-pool base=10.213.128.0/17,size=24 >"$dir/log" 2>&1 &
	i=0
	until docker -H "unix://$dir/sock" info >/dev/null 2>&1; do
		i=$((i + 1))
		[ $i -lt 150 ] || { tail -5 "$dir/log" >&2; echo "engine: no answer within 30 s, log $dir/log" >&2; exit 1; }
		sleep 0.2
	done
}

stop() {
	if [ -f "$dir/pid" ]; then
		pid=$(cat "$dir/pid")
		kill "$pid" 2>/dev/null || true
		i=0
		while [ -d "/proc/$pid" ] && [ $i -lt 100 ]; do i=$((i + 1)); sleep 0.2; done
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
