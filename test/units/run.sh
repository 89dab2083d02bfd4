#!/bin/sh
# Checks the systemd units as make install lays them: `systemd-analyze verify`
# is clean, and `systemd-analyze security` stays under the limits that the
# project promises (authsvc 2.0, bridge 3.0; the tool counts in tenths).
set -eu
command -v systemd-analyze >/dev/null || { echo "units: systemd-analyze is missing: apt-get install systemd" >&2; exit 1; }
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
DESTDIR=$root PREFIX=/usr deploy/package/install.sh
units=$root/usr/lib/systemd/system

limit() { # limit UNIT TENTHS
	out=$(systemd-analyze security --offline=true --threshold="$2" --no-pager "$units/$1" 2>&1) || {
		echo "$out" | grep -v '✓' >&2
		echo "units: $1 is more exposed than $2 tenths" >&2
		exit 1
	}
	echo "$out" | sed -n "s/.*\(Overall exposure level.*\)/units: \1/p"
}
limit gatehouse-authsvc.service 20
limit gatehouse-bridge@.service 30

# verify wants the programs at their paths: point a copy of the units there.
check=$root/check
mkdir "$check"
cp "$units"/gatehouse-* "$check"
mv "$check/gatehouse-bridge@.service" "$check/gatehouse-bridge@main.service"
sed -i -e "s|=/usr/bin/|=$root/usr/bin/|" -e '/^Documentation=/d' "$check"/*.service
mkdir "$check/nginx.service.d"
sed -e "s|=/usr/bin/|=$root/usr/bin/|" -e 's|=/usr/sbin/nginx|=/bin/true|' \
	"$units/nginx.service.d/gatehouse.conf" >"$check/nginx.service.d/gatehouse.conf"
printf '[Service]\nExecStart=/bin/true\n' >"$check/nginx.service"
# With the drop-in that an operator may choose.
mkdir "$check/gatehouse-authsvc.service.d"
cp "$root/usr/share/gatehouse/systemd/credentials.conf" "$check/gatehouse-authsvc.service.d"
for unit in gatehouse-authsvc gatehouse-bridge@main nginx; do
	out=$(SYSTEMD_UNIT_PATH=$check: systemd-analyze verify --man=no "$check/$unit.service" 2>&1) || { echo "$out" >&2; exit 1; }
	said=$(echo "$out" | grep -F "$check" || true)
	[ -z "$said" ] || { echo "$said" >&2; exit 1; }
	echo "units: $unit.service: verify is clean"
done

# A file with secrets is for root alone.
for file in authsvc.env bridge/main.env bridge/main.json; do
	[ "$(stat -c %a "$root/etc/gatehouse/$file")" = 600 ] || { echo "units: $file is not mode 600" >&2; exit 1; }
done
echo "units: ok"
