#!/bin/bash
# cluster.sh start|stop DIR: the cluster of node.sh, reached from here by a pair
# of interfaces (10.214.0.1 here, 10.214.0.2 there). PARTS, IMAGES and POLICIES as there.
set -euo pipefail
action=$1 dir=$2

groups() { # takes away the control groups that the kubelet has made
	local group
	for group in /sys/fs/cgroup/kubepods /sys/fs/cgroup/*/kubepods; do
		[ -d "$group" ] || continue
		find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
	done
}

start() {
	mkdir -p "$dir"
	ip link delete gh-cluster 2>/dev/null || true # of a run that was killed; the caller holds the lock
	unshare --mount --net --pid --uts --ipc --fork --kill-child bash test/cluster/node.sh "$dir" "$PARTS" "$IMAGES" "$POLICIES" \
		>"$dir/said" 2>&1 &
	local outer=$! first
	echo $outer >"$dir/pid"
	until [ -f "$dir/inside" ]; do sleep 0.1; [ -d /proc/$outer ] || { cat "$dir/said" >&2; exit 1; }; done
	first=$(pgrep -P $outer)
	echo "$first" >"$dir/first"
	ip link add gh-cluster type veth peer name node0 netns "$first"
	ip address add 10.214.0.1/24 dev gh-cluster
	ip link set gh-cluster up
	ip route add 10.244.0.0/16 via 10.214.0.2 dev gh-cluster # the way back to the pods
	nsenter --target "$first" --net sh -c 'ip address add 10.214.0.2/24 dev node0 && ip link set node0 up &&
		ip route add default via 10.214.0.1 && echo 1 >/proc/sys/net/ipv4/ip_forward'
	until [ -f "$dir/up" ]; do
		[ -d /proc/$outer ] || { cat "$dir/said" >&2; exit 1; }
		sleep 0.3
	done
}

stop() {
	local pid
	pid=$(cat "$dir/pid" 2>/dev/null) || return 0
	kill -KILL "$pid" 2>/dev/null || true # --kill-child takes the whole pid namespace with it
	while [ -d "/proc/$pid" ]; do sleep 0.1; done
	ip link delete gh-cluster 2>/dev/null || true
	for _ in $(seq 50); do
		groups
		compgen -G '/sys/fs/cgroup/*/kubepods' >/dev/null || break
		sleep 0.2
	done
}

case $action in
start) start ;;
stop) stop ;;
*) echo "cluster: $action: want start or stop" >&2; exit 2 ;;
esac
