#!/bin/sh
# tree.sh: prints the path of a Debian 12 tree as a fresh server has it, with
# systemd, made once under CACHE from the minimal one. The packages that the
# page installs lie in apt's own archive, not installed, so that apt-get works
# in a box without a network. Nobody writes to it: the box lays its own on top.
set -eu
packages=$(sed -n 's/^apt-get install -y //p' docs/production.md | tr ' ' '\n' | grep -v -e '^\./' -e '^-' -e Dpkg | sort -u | tr '\n' ' ')
base=$(sh test/debian.sh)
tree=$CACHE/debian/bookworm-systemd
sum=$(echo "$packages" | cat - "$0" | sha256sum | cut -c1-12)
exec 8>"$CACHE/debian/lock-systemd"
flock 8
if [ ! -e "$tree.$sum" ]; then
	rm -rf "$tree" "$tree".*
	cp -a "$base" "$tree"
	in_tree() { chroot "$tree" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }
	# No service starts while the tree is made.
	printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d"
	chmod 755 "$tree/usr/sbin/policy-rc.d"
	{
		in_tree apt-get update -q
		in_tree apt-get install -y -q --no-install-recommends systemd systemd-sysv dbus iproute2 procps kmod cron
		# shellcheck disable=SC2086
		in_tree apt-get install -y -q --download-only $packages
	} >"$tree.log" 2>&1 || { tail -5 "$tree.log" >&2; echo "tree: apt-get failed" >&2; exit 1; }
	rm "$tree/usr/sbin/policy-rc.d"
	echo gate >"$tree/etc/hostname"
	printf '127.0.0.1 localhost\n127.0.1.1 gate\n::1 localhost ip6-localhost\n' >"$tree/etc/hosts"
	rm -f "$tree/etc/resolv.conf" # nobody answers in a box
	touch "$tree.$sum"
fi
echo "$tree"
