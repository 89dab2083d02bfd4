#!/bin/bash
# box.sh DIR TREE: boots TREE with systemd as process 1 in namespaces of its own
# (processes, mounts, names, cgroups) and in the network that it is started in,
# and waits for its end. What it writes lies in DIR/upper, DIR/pid is the number
# of its process 1 out here. Started a second time with the same DIR it boots
# what the first boot left: a reboot.
set -euo pipefail
dir=$1 tree=$2
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$dir"/{upper,work,root}

# A cgroup of its own, below which systemd makes its tree. Where the machine
# mounts version 2 beside version 1, no controller is there: limits of memory
# are then not enforced in the box.
unified=/sys/fs/cgroup
[ -e $unified/cgroup.procs ] || unified=/sys/fs/cgroup/unified
[ -e $unified/cgroup.procs ] || { echo "box: no cgroup version 2 is mounted on this machine" >&2; exit 1; }
group=$unified/gatehouse-production
mkdir -p $group
for controller in $(cat $group/cgroup.controllers 2>/dev/null); do
	echo "+$controller" >$unified/cgroup.subtree_control 2>/dev/null || true
done

# box-init is process 1 of the new namespaces until systemd takes its place.
(echo 0 >$group/cgroup.procs
exec unshare --fork --pid --mount --uts --ipc --cgroup --kill-child sh "$here/init.sh" "$dir" "$tree") &
unshare=$!
trap 'kill $unshare 2>/dev/null || true' EXIT
until child=$(cat /proc/$unshare/task/$unshare/children 2>/dev/null) && [ -n "$child" ]; do
	[ -d /proc/$unshare ] || { echo "box: it did not start" >&2; exit 1; }
	sleep 0.1
done
echo "${child% }" >"$dir/pid"
code=0
wait $unshare || code=$?
rm -f "$dir/pid"
find $group -depth -type d -exec rmdir {} + 2>/dev/null || true
exit $code
