#!/bin/bash
# A reader of the guide moves over, as docs/guide.ko.md says: its nginx, laid as the
# guide prints it, on a Debian tree; then the page's own lines, and back again.
set -euo pipefail
fail() { echo "guide: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "needs root for chroot: run as root or with sudo"
release=${1:-trixie}
tree=$(sh test/edge/tree.sh "$release")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -a "$tree" "$work/tree"
root=$work/tree

# The guide's steps 1 to 4, as far as nginx sees them.
mkdir -p "$root/opt/mcp" "$root/etc/letsencrypt/live/mcp.example.com" "$root/etc/systemd/system" "$root/root"
touch "$root/etc/systemd/system/mcp-gateway.service"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=mcp.example.com \
	-keyout "$root/etc/letsencrypt/live/mcp.example.com/privkey.pem" \
	-out "$root/etc/letsencrypt/live/mcp.example.com/fullchain.pem" 2>/dev/null
sed -i "/^http {/r test/guide/http.conf" "$root/etc/nginx/nginx.conf"
cp test/guide/site.conf "$root/etc/nginx/sites-available/mcp-gateway"
ln -s /etc/nginx/sites-available/mcp-gateway "$root/etc/nginx/sites-enabled/"
echo "127.0.0.1 localhost" >"$root/etc/hosts"
rm -f "$root/etc/nginx/sites-enabled/default"

# What the package lays, and a systemctl that only says yes.
mkdir -p "$root/usr/share/gatehouse"
cp -R nginx lua deploy/package/http2.sh "$root/usr/share/gatehouse/"
sed 's|@DATADIR@|/usr/share|' deploy/package/nginx.sh >"$root/usr/local/bin/gatehouse-nginx"
printf '#!/bin/sh\nexit 0\n' >"$root/usr/local/bin/systemctl"
chmod 755 "$root"/usr/local/bin/{gatehouse-nginx,systemctl}

in_tree() { chroot "$root" /usr/bin/env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
# typed N: the page's Nth block of nginx's lines.
typed() {
	awk -v want="$1" '/^```sh nginx$/ {n++; on = n == want; next} /^```$/ {on = 0} on' docs/guide.ko.md >"$root/root/typed"
	[ -s "$root/root/typed" ] || fail "docs/guide.ko.md has no block $1 of nginx's lines"
	in_tree sh -e /root/typed || fail "block $1 of docs/guide.ko.md does not run"
}
good() { said=$(in_tree nginx -t 2>&1) || fail "$1: $said"; }

good "the guide's own configuration"
cp "$root/etc/nginx/nginx.conf" "$work/before"
! in_tree gatehouse-nginx beside mcp.example.com >"$work/log" 2>&1 || fail "the guide's names do not clash: leave the first sed out of the page"
typed 1 # keep a copy
typed 2 # away with the names that clash
in_tree gatehouse-nginx beside mcp.example.com >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "gatehouse-nginx beside"; }
good "both side by side"
grep -q 'conflicting server name' <<<"$said" || fail "nginx says nothing of the name that is there twice"
in_tree nginx -T >"$work/all" 2>/dev/null
line() { grep -n "^# configuration file .*$1" "$work/all" | cut -d: -f1; }
[ "$(line conf.d/gatehouse.conf)" -lt "$(line sites-enabled/mcp-gateway)" ] || fail "the guide's site comes first: the page's warning is not true"
typed 3 # the switch
good "gatehouse alone"
! grep -q conflicting <<<"$said" || fail "after the switch a name is still there twice: $said"
typed 4 # and back
good "the guide's own configuration again"
cmp "$root/etc/nginx/nginx.conf" "$work/before" || fail "nginx.conf is not as it was"
[ -L "$root/etc/nginx/sites-enabled/mcp-gateway" ] && [ ! -e "$root/etc/nginx/conf.d/gatehouse.conf" ] || fail "something is left, or lost"
echo "guide: nginx of the guide, beside it, switched and back, on $release: ok"
