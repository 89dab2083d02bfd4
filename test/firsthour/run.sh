#!/bin/bash
# The first hour of somebody new: on a fresh tree of each Debian RELEASE, with Go,
# git and make alone, clone, type the README's lines, and time them by part. What
# the lines install and download is real, so this needs a network.
set -euo pipefail
fail() { echo "first hour: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "needs root for chroot: run as root or with sudo"

hour() { # RELEASE
	local tree work
	tree=$(sh test/debian.sh "$1")
	work=$(mktemp -d "${TMPDIR:-/tmp}/first-hour-XXXXXX")
	cp -a "$tree" "$work/tree"
	# A clone of what is committed, and the Go of this machine.
	git clone -q . "$work/tree/root/gatehouse"
	mkdir -p "$work/tree/usr/local"
	cp -a "$(go env GOROOT)" "$work/tree/usr/local/go"
	cp -L /etc/resolv.conf /etc/hosts "$work/tree/etc/"
	# Authorities that this machine was given, for a network that reads along.
	cp -a /usr/local/share/ca-certificates/. "$work/tree/usr/local/share/ca-certificates/" 2>/dev/null || true
	cp test/firsthour/inside.sh "$work/tree/root/"
	local code=0
	# Its own processes and mounts, which end with it; the network is this machine's.
	unshare --mount --pid --fork --kill-child sh -c '
		mount --rbind /dev "$0/dev" && mount -t proc proc "$0/proc" && mount -t tmpfs tmpfs "$0/tmp" &&
		exec chroot "$0" /usr/bin/env -i HOME=/root TERM=dumb PATH=/usr/local/go/bin:/usr/sbin:/usr/bin:/sbin:/bin \
			GOFLAGS="$2" bash /root/inside.sh "$1"' "$work/tree" "$1" "$(go env GOFLAGS)" || code=$?
	rm -rf --one-file-system "$work"
	return $code
}

for release in "${@:-bookworm}"; do hour "$release" || fail "$release: the README's lines do not do what they say"; done
