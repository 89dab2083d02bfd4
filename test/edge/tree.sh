#!/bin/sh
# tree.sh RELEASE: prints the path of a Debian tree of that release with its
# nginx, made once by debootstrap under CACHE. TREE/.bin/nginx and TREE/.bin/curl
# run with the tree's own libraries and see this machine's files, so the tests
# need neither a chroot nor a mount.
set -eu
release=${1:?tree.sh RELEASE: bookworm, trixie or sid}
tree=${CACHE:?}/nginx/$release
mkdir -p "$CACHE/nginx"
exec 8>"$CACHE/nginx/lock"
flock 8
if [ ! -e "$tree.complete" ]; then
	command -v debootstrap >/dev/null || { echo "edge: debootstrap is missing: apt-get install debootstrap" >&2; exit 1; }
	rm -rf "$tree"
	debootstrap --variant=minbase --include=nginx,libnginx-mod-http-lua,curl,ca-certificates "$release" "$tree" >"$tree.log" 2>&1 ||
		{ tail -5 "$tree.log" >&2; echo "edge: debootstrap of $release failed" >&2; exit 1; }
	rm -rf "$tree"/var/cache/apt/archives/*.deb
	mkdir "$tree/.bin"
	for program in sbin/nginx bin/curl; do
		cat >"$tree/.bin/${program#*/}" <<-RUN
			#!/bin/sh
			exec "$tree/lib64/ld-linux-x86-64.so.2" --library-path "$tree/usr/lib/x86_64-linux-gnu" "$tree/usr/$program" "\$@"
		RUN
		chmod +x "$tree/.bin/${program#*/}"
	done
	touch "$tree.complete"
fi
echo "$tree"
