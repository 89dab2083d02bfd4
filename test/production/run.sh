#!/bin/bash
# Runs docs/production.md on a Debian tree that it boots, in a network of its
# own with nothing but a loopback. CACHE keeps the tree, KEYCLOAK_ZIP is
# Keycloak's archive, NFPM builds the package.
set -euo pipefail
fail() { echo "production: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "needs root: run as root or with sudo"
exec 9>"$CACHE/production-test.lock"
flock -n 9 || fail "another run is under way ($CACHE/production-test.lock)"
began=$SECONDS
dir=$(mktemp -d /tmp/ghp-XXXXXX)
net=gatehouse-production
finish() {
	code=$?
	trap - EXIT
	[ ! -f "$dir/box/pid" ] || kill -KILL "$(cat "$dir/box/pid")" 2>/dev/null || true
	ip netns del $net 2>/dev/null || true
	rm -rf "$dir"
	exit $code
}
trap finish EXIT
trap 'exit 130' INT TERM

mkdir "$dir/box"
tree=$(sh test/production/tree.sh)
VERSION=0.0.1 deploy/package/deb.sh "$dir/old.deb"
# The next version: the same, with a line more in a file of each kind.
dpkg-deb -R "$dir/old.deb" "$dir/next"
sed -i 's/^Version: .*/Version: 0.0.2/' "$dir/next/DEBIAN/control"
for file in usr/share/gatehouse/nginx/site/{limits,acme}.conf usr/share/gatehouse/nginx/gatehouse/server/tls.conf etc/gatehouse/bridge/main.env; do
	echo '# of the next version' >>"$dir/next/$file"
done
(cd "$dir/next" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | xargs -0 md5sum >DEBIAN/md5sums)
dpkg-deb -Znone -b "$dir/next" "$dir/next.deb" >/dev/null

go test -c -tags production -o "$dir/production.test" ./test/production
ip netns del $net 2>/dev/null || true # of a run that was killed; the lock is ours
ip netns add $net
ip -n $net link set lo up
export GATEHOUSE_BOX=$dir/box GATEHOUSE_TREE=$tree GATEHOUSE_DEB=$dir/old.deb GATEHOUSE_DEB_NEXT=$dir/next.deb GATEHOUSE_KEYCLOAK_ZIP=$KEYCLOAK_ZIP
cd test/production
: >"$dir/log"
nsenter --net=/run/netns/$net "$dir/production.test" -test.v -test.timeout 25m >>"$dir/log" 2>&1 9>&- & pid=$!
tail -f --pid=$pid -n +1 "$dir/log" | grep --line-buffered '^production: ' || true
wait $pid || { grep -v '^=== ' "$dir/log" | tail -150 >&2; [ ! -f "$dir/box/typed" ] || tail -5 "$dir/box/typed" >&2; fail "the page does not do what it says"; }
grep -h '_test.go:[0-9]*: systemctl restart\|_test.go:[0-9]*: ports' "$dir/log" | sed 's/.*_test.go:[0-9]*: /production:   /' || true
echo "production: ok, $((SECONDS - began)) s"
