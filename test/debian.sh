#!/bin/sh
# debian.sh [RELEASE]: prints the path of a minimal tree of Debian 12 (bookworm) or
# of that release, made once by debootstrap under CACHE. Nobody writes to it: copy
# it first.
set -eu
release=${1:-bookworm}
tree=${CACHE:?}/debian/$release
mkdir -p "$CACHE/debian"
exec 8>"$CACHE/debian/lock" # two tests may want it at once
flock 8
if [ ! -e "$tree.complete" ]; then
	command -v debootstrap >/dev/null || { echo "debian: debootstrap is missing: apt-get install debootstrap" >&2; exit 1; }
	rm -rf "$tree"
	mkdir -p "$tree"
	debootstrap --variant=minbase --include=ca-certificates "$release" "$tree" >"$tree.log" 2>&1 ||
		{ tail -5 "$tree.log" >&2; echo "debian: debootstrap failed" >&2; exit 1; }
	rm -rf "$tree"/var/cache/apt/archives/*.deb
	# What this machine trusts, a build inside must trust.
	cp -L /etc/ssl/certs/ca-certificates.crt "$tree/etc/ssl/certs/ca-certificates.crt"
	touch "$tree.complete"
fi
echo "$tree"
