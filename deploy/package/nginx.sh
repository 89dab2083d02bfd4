#!/bin/sh
# gatehouse-nginx: lays the gate's files where nginx reads them, and takes them
# away again. It never loses an edit: what differs from what was laid stays, and
# the new file is laid beside it as FILE.new. A layout that `nginx -t` refuses is
# put back as it was. It reloads nothing.
set -eu
umask 022
shipped=${GATEHOUSE_NGINX:-@DATADIR@/gatehouse}
nginx=${NGINX_DIR:-/etc/nginx}
include='include gatehouse/gate.conf;'

fail() { echo "gatehouse-nginx: $*" >&2; exit 1; }
say() { echo "gatehouse-nginx: $*"; }
usage() {
	cat >&2 <<-USAGE
		gatehouse-nginx whole NAME    lay the files; nginx serves the gate NAME and nothing else
		gatehouse-nginx beside NAME   lay the files; the sites that nginx has stay
		gatehouse-nginx upgrade       take the files of the package that is installed now
		gatehouse-nginx differs       say whether upgrade would change anything
		gatehouse-nginx remove        take the files away, put nginx.conf back
	USAGE
	exit 2
}

# Files that an operator edits, below $nginx; nginx.conf only where it is ours.
edited() {
	(cd "$shipped/nginx" && find site conf.d -type f | sort)
	if [ -e "$nginx/nginx.conf.before-gatehouse" ]; then echo nginx.conf; fi
}

# ours: the folders that an upgrade replaces whole. shipped/ remembers how the
# files that an operator edits were when they were laid.
ours() {
	rm -rf "$nginx/gatehouse" "$nginx/lua/gatehouse"
	mkdir -p "$nginx/lua"
	cp -R "$shipped/nginx/gatehouse" "$nginx/gatehouse"
	cp -R "$shipped/lua/gatehouse" "$nginx/lua/gatehouse"
	mkdir "$nginx/gatehouse/shipped"
	cp -R "$shipped/nginx/site" "$shipped/nginx/conf.d" "$shipped/nginx/nginx.conf" "$nginx/gatehouse/shipped"
}

keep=$(mktemp -d)
trap 'rm -rf "$keep"' EXIT
# settle: nginx takes it, or all is as it was.
settle() {
	if ! said=$(nginx -t -q -c "$nginx/nginx.conf" 2>&1); then
		rm -rf "$nginx"
		cp -a "$keep/nginx" "$nginx"
		echo "$said" >&2
		fail "nginx -t refuses that; $nginx is as it was"
	fi
	rm -rf "$keep/nginx"
}

# name: the gate's name, and a certificate until there is a real one.
name() {
	sed -i "s/mcp\.example\.com/$1/g" "$nginx/site/names.conf"
	(
		umask 077
		mkdir -p "$nginx/bootstrap"
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 -subj "/CN=$1" \
			-addext "subjectAltName=DNS:$1" -keyout "$nginx/bootstrap/privkey.pem" -out "$nginx/bootstrap/fullchain.pem" 2>/dev/null
	) || fail "openssl made no certificate"
	sed -i "s|/etc/letsencrypt/live/mcp\.example\.com/|$nginx/bootstrap/|" "$nginx/site/certificate.conf"
	mkdir -p /var/www/certbot
	sh "$shipped/http2.sh" "$nginx/site"
}

# logs: a log that nginx makes by itself under a shell's umask all may read.
logs() {
	for log in mcp-access mcp-error; do
		[ -e /var/log/nginx/$log.log ] || install -o www-data -g adm -m 640 /dev/null /var/log/nginx/$log.log
	done
}

# yield PORT FILE: an operator's own default_server stays the default.
yield() {
	nginx -T 2>/dev/null | grep -Eq "^[[:space:]]*listen[^;]*[ :]$1[ ;][^;]*default_server" || return 0
	sed -i 's/ default_server//' "$nginx/site/$2"
	say "port $1: your own default_server stays; what it answers to unknown names is yours"
}

lay() { # lay whole|beside NAME
	echo "$2" | grep -Eqx '[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?' || fail "NAME $2: want a host name such as mcp.example.com"
	[ ! -e "$nginx/gatehouse" ] || fail "$nginx/gatehouse is there already: gatehouse-nginx upgrade, or remove first"
	[ -f "$nginx/nginx.conf" ] || fail "$nginx/nginx.conf is missing: install nginx first"
	cp -a "$nginx" "$keep/nginx"
	if [ "$1" = beside ]; then
		grep -Eq '^[[:space:]]*include[^;]*conf\.d/\*\.conf' "$nginx/nginx.conf" ||
			fail "$nginx/nginx.conf does not include conf.d/*.conf: add it to its http block"
		grep -Eq '^http[[:space:]]*\{' "$nginx/nginx.conf" || fail "$nginx/nginx.conf: no line begins with http {"
	fi
	for file in $(edited); do
		[ ! -e "$nginx/$file" ] || fail "$nginx/$file is there already, and is not the gate's"
	done
	ours
	mkdir -p "$nginx/site/server" "$nginx/conf.d"
	cp -R "$shipped/nginx/site/." "$nginx/site"
	name "$2"
	if [ "$1" = whole ]; then
		cp -a "$nginx/nginx.conf" "$nginx/nginx.conf.before-gatehouse"
		cp "$shipped/nginx/nginx.conf" "$nginx/nginx.conf"
	else
		yield 80 listen_http_default.conf
		yield 443 listen_https_default.conf
		sed -Ei "0,/^http[[:space:]]*\{/s||&\n    $include|" "$nginx/nginx.conf"
	fi
	cp "$shipped"/nginx/conf.d/*.conf "$nginx/conf.d"
	logs
	settle
	say "laid for $2 with a certificate of its own making until you have a real one"
}

upgrade() {
	[ -d "$nginx/gatehouse/shipped" ] || fail "$nginx/gatehouse was not laid by gatehouse-nginx"
	cp -a "$nginx" "$keep/nginx"
	before=$keep/nginx/gatehouse/shipped
	list=$(edited)
	ours
	for file in $list; do
		new=$shipped/nginx/$file old=$before/$file now=$nginx/$file
		if [ ! -e "$now" ] && [ ! -e "$old" ]; then
			mkdir -p "$(dirname "$now")"
			cp "$new" "$now"
			say "$now: new"
		elif [ ! -e "$now" ] || cmp -s "$new" "$old" || cmp -s "$new" "$now"; then
			: # taken away by the operator, or as it was
		elif cmp -s "$old" "$now"; then
			cp "$new" "$now"
			say "$now: replaced, you had not edited it"
		else
			cp "$new" "$now.new"
			say "$now: yours stays; the new one lies beside it as $now.new"
		fi
	done
	settle
	say "ok; now: systemctl reload nginx"
}

differs() {
	[ -d "$nginx/gatehouse/shipped" ] || return 0
	before=$nginx/gatehouse/shipped
	if ! diff -rq -x shipped "$shipped/nginx/gatehouse" "$nginx/gatehouse" >/dev/null ||
		! diff -rq "$shipped/lua/gatehouse" "$nginx/lua/gatehouse" >/dev/null ||
		! diff -rq "$shipped/nginx/site" "$before/site" >/dev/null ||
		! diff -rq "$shipped/nginx/conf.d" "$before/conf.d" >/dev/null; then
		say "$nginx has the gate's files of another version: gatehouse-nginx upgrade"
	fi
}

remove() {
	[ -d "$nginx/gatehouse/shipped" ] || fail "$nginx/gatehouse was not laid by gatehouse-nginx"
	cp -a "$nginx" "$keep/nginx"
	for file in $(edited); do
		[ "$file" = nginx.conf ] || rm -f "$nginx/$file" "$nginx/$file.new"
	done
	rm -rf "$nginx/gatehouse" "$nginx/lua/gatehouse" "$nginx/site" "$nginx/bootstrap"
	rmdir "$nginx/lua" 2>/dev/null || true
	if [ -e "$nginx/nginx.conf.before-gatehouse" ]; then
		mv "$nginx/nginx.conf.before-gatehouse" "$nginx/nginx.conf"
	else
		sed -i "\\|^[[:space:]]*$include\$|d" "$nginx/nginx.conf"
	fi
	settle
	say "taken away; now: systemctl reload nginx. Logs in /var/log/nginx/mcp-* and certbot's certificate stay"
}

case "${1-}:$#" in
whole:2 | beside:2) lay "$1" "$2" ;;
upgrade:1) upgrade ;;
differs:1) differs ;;
remove:1) remove ;;
*) usage ;;
esac
