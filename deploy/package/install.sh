#!/bin/sh
# install.sh: lay gatehouse under DESTDIR. Run by `make install` from the top
# of the repository, with bin/ built. PREFIX is where it will run (/usr/local);
# what an operator edits goes to /etc/gatehouse and is never overwritten.
set -eu
DESTDIR=${DESTDIR-}
PREFIX=${PREFIX-/usr/local}
case $PREFIX in /*) ;; *) echo "install: PREFIX $PREFIX: want an absolute path" >&2; exit 2 ;; esac
for program in bridge authsvc gatehouse-demo gatehouse-doctor gatehouse-check; do
	[ -x bin/$program ] || { echo "install: bin/$program is missing: run make packaged first" >&2; exit 2; }
done

data=$PREFIX/share/gatehouse
manifest=$DESTDIR$data/manifest
mkdir -p "$DESTDIR$data"
: >"$manifest.new"

# lay MODE FILE TARGET: program files, replaced by an upgrade.
lay() {
	mkdir -p "$(dirname "$DESTDIR$3")"
	sed -e "s|@BINDIR@|$PREFIX/bin|g" -e "s|@DATADIR@|$PREFIX/share|g" -e "s|@LIBDIR@|$PREFIX/lib|g" "$2" >"$DESTDIR$3.new"
	chmod "$1" "$DESTDIR$3.new"
	mv "$DESTDIR$3.new" "$DESTDIR$3"
	echo "$3" >>"$manifest.new"
}

# keep MODE FILE TARGET: configuration, laid once; the manifest remembers its
# sum, so that uninstall knows whether someone edited it.
keep() {
	sed -e "s|@LIBDIR@|$PREFIX/lib|g" "$2" >"$manifest.kept"
	if [ ! -e "$DESTDIR$3" ]; then
		mkdir -p "$(dirname "$DESTDIR$3")"
		install -m "$1" "$manifest.kept" "$DESTDIR$3"
	fi
	echo "$3 $(sha256sum <"$manifest.kept" | cut -d' ' -f1)" >>"$manifest.new"
	rm "$manifest.kept"
}

tree() { # tree FOLDER TARGET: every file of a folder, programs as programs
	find "$1" -type f ! -name '*.pyc' | sort | while read -r file; do
		mode=644
		[ ! -x "$file" ] || mode=755
		lay $mode "$file" "$2/${file#"$1"/}"
	done
}

program() { # program FILE TARGET: not through lay, for sed would rewrite a binary
	mkdir -p "$(dirname "$DESTDIR$2")"
	install -m 755 "$1" "$DESTDIR$2"
	echo "$2" >>"$manifest.new"
}
program bin/bridge "$PREFIX/bin/bridge"
program bin/authsvc "$PREFIX/bin/authsvc"
program bin/gatehouse-doctor "$PREFIX/bin/gatehouse-doctor"
program bin/gatehouse-demo "$PREFIX/lib/gatehouse/demo"
program bin/gatehouse-check "$PREFIX/bin/gatehouse-check"
# iproute2 has a program named bridge as well, and root finds that one first.
for name in bridge authsvc; do
	ln -sf $name "$DESTDIR$PREFIX/bin/gatehouse-$name"
	echo "$PREFIX/bin/gatehouse-$name" >>"$manifest.new"
done
lay 755 deploy/package/nginx.sh "$PREFIX/bin/gatehouse-nginx"
lay 755 deploy/package/http2.sh "$data/http2.sh"

units=$PREFIX/lib/systemd/system
for unit in gatehouse-authsvc.service gatehouse-bridge@.service nginx.service.d/gatehouse.conf; do
	lay 644 "deploy/systemd/$unit" "$units/$unit"
done
lay 644 deploy/systemd/gatehouse-authsvc.service.d/credentials.conf "$data/systemd/credentials.conf" # an operator's choice
for folder in nginx lua; do
	tree $folder "$data/$folder"
done
for folder in slack redis keycloak logs prometheus grafana; do
	tree deploy/$folder "$data/$folder"
done
for page in docs/*.md docs/*/*.md; do
	lay 644 "$page" "$PREFIX/share/doc/gatehouse/${page#docs/}"
done

keep 600 deploy/systemd/authsvc.env /etc/gatehouse/authsvc.env
keep 600 deploy/systemd/bridge.env /etc/gatehouse/bridge/main.env
keep 600 deploy/systemd/bridge.json /etc/gatehouse/bridge/main.json
keep 644 deploy/logrotate/gatehouse /etc/logrotate.d/gatehouse
mkdir -p "$DESTDIR/etc/gatehouse/credentials" "$DESTDIR/etc/gatehouse/policy"
chmod 700 "$DESTDIR/etc/gatehouse" "$DESTDIR/etc/gatehouse/bridge" "$DESTDIR/etc/gatehouse/credentials"
if [ -z "$DESTDIR" ]; then # a package makes its own where it is installed
	# What a bridge shows authsvc, made once.
	if [ ! -s /etc/gatehouse/credentials/internal-tokens ]; then
		(
			umask 077
			token=$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')
			echo "$token" >/etc/gatehouse/credentials/authsvc-token
			echo "bridge $token ask" >/etc/gatehouse/credentials/internal-tokens
		)
	fi
fi
mv "$manifest.new" "$manifest"
