#!/bin/sh
# Installs and removes gatehouse both ways: make install and make uninstall
# under a DESTDIR, and the .deb in a Debian tree. After removal nothing is
# left but what someone edited. Needs root (chroot) and debootstrap.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "package: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "needs root for chroot: run as root or with sudo"

# 1. DESTDIR.
root=$work/destdir
DESTDIR=$root PREFIX=/usr/local deploy/package/install.sh
"$root/usr/local/bin/bridge" --help >/dev/null || fail "the installed bridge does not start"
"$root/usr/local/bin/authsvc" --help >/dev/null || fail "the installed authsvc does not start"
grep -q 'ExecStart=/usr/local/bin/authsvc' "$root/usr/local/lib/systemd/system/gatehouse-authsvc.service" || fail "the unit does not know PREFIX"
echo '# mine' >>"$root/etc/gatehouse/authsvc.env"
DESTDIR=$root PREFIX=/usr/local deploy/package/install.sh
grep -q '# mine' "$root/etc/gatehouse/authsvc.env" || fail "a second install overwrote edited configuration"
DESTDIR=$root PREFIX=/usr/local deploy/package/uninstall.sh
left=$(cd "$root" && find . -type f -o -type d -name '*gatehouse*' | sort | tr '\n' ' ')
[ "$left" = "./etc/gatehouse ./etc/gatehouse/authsvc.env " ] || fail "uninstall left: $left"
echo "package: make install and make uninstall: ok, edited configuration kept"

# 2. The .deb on a Debian tree, made once.
tree=$(sh test/debian.sh)
cp -a "$tree" "$work/tree"
deploy/package/deb.sh "$work/gatehouse.deb" >/dev/null
cp "$work/gatehouse.deb" "$work/tree/tmp/"
cp test/package/execstart.sh "$work/tree/tmp/"
find "$work/tree" -xdev | sort >"$work/before"
in_tree() { chroot "$work/tree" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }
in_tree dpkg -i /tmp/gatehouse.deb >"$work/dpkg.log" 2>&1 || { cat "$work/dpkg.log" >&2; fail "dpkg -i failed"; }
in_tree bridge --help >/dev/null || fail "the packaged bridge does not start"
for program in authsvc gatehouse-bridge gatehouse-authsvc gatehouse-doctor; do
	in_tree $program --help >/dev/null 2>&1 || fail "the packaged $program does not start"
done
[ "$(stat -c %a "$work/tree/etc/gatehouse/authsvc.env")" = 600 ] || fail "authsvc.env is not mode 600"
[ "$(stat -c %a "$work/tree/etc/gatehouse/credentials")" = 700 ] || fail "credentials/ is not mode 700"
for token in internal-tokens authsvc-token; do
	[ "$(stat -c %a "$work/tree/etc/gatehouse/credentials/$token")" = 600 ] || fail "credentials/$token was not made with mode 600"
done
# A network of its own: the units' ports are fixed.
unshare --net --mount sh -c 'ip link set lo up && mount -t proc proc "$0/proc" && chroot "$0" /bin/sh /tmp/execstart.sh' "$work/tree" >"$work/exec.log" 2>&1 ||
	{ cat "$work/exec.log" >&2; fail "an ExecStart line does not run"; }
grep '^package: ' "$work/exec.log"
in_tree dpkg --verify gatehouse || fail "dpkg --verify found a difference"
in_tree dpkg --purge gatehouse >"$work/dpkg.log" 2>&1 || { cat "$work/dpkg.log" >&2; fail "dpkg --purge failed"; }
find "$work/tree" -xdev | sort >"$work/after"
left=$(comm -13 "$work/before" "$work/after" | grep -v -e '/var/lib/dpkg/' -e '/var/log/' || true)
[ -z "$left" ] || fail "the package left: $left"
echo "package: .deb of $(stat -c %s "$work/gatehouse.deb") bytes installed, verified and purged: ok, nothing left"
