#!/bin/sh
# install.sh: lay gatehouse under DESTDIR. Run by `make install` from the top
# of the repository, with bin/ built. PREFIX is where it will run (/usr/local);
# what an operator edits goes to /etc/gatehouse and is never overwritten.
set -eu
DESTDIR=${DESTDIR-}
PREFIX=${PREFIX-/usr/local}
case $PREFIX in /*) ;; *) echo "install: PREFIX $PREFIX: want an absolute path" >&2; exit 2 ;; esac
for program in bridge authsvc; do
	[ -x bin/$program ] || { echo "install: bin/$program is missing: run make build first" >&2; exit 2; }
done

data=$PREFIX/share/gatehouse
manifest=$DESTDIR$data/manifest
mkdir -p "$DESTDIR$data"
: >"$manifest.new"

# lay MODE FILE TARGET: program files, replaced by an upgrade.
lay() {
	mkdir -p "$(dirname "$DESTDIR$3")"
	sed -e "s|@BINDIR@|$PREFIX/bin|g" -e "s|@DATADIR@|$PREFIX/share|g" "$2" >"$DESTDIR$3.new"
	chmod "$1" "$DESTDIR$3.new"
	mv "$DESTDIR$3.new" "$DESTDIR$3"
	echo "$3" >>"$manifest.new"
}

# keep MODE FILE TARGET: configuration, laid once; the manifest remembers its
# sum, so that uninstall knows whether someone edited it.
keep() {
	if [ ! -e "$DESTDIR$3" ]; then
		mkdir -p "$(dirname "$DESTDIR$3")"
		install -m "$1" "$2" "$DESTDIR$3"
	fi
	echo "$3 $(sha256sum <"$2" | cut -d' ' -f1)" >>"$manifest.new"
}

tree() { # tree FOLDER TARGET: every file of a folder
	find "$1" -type f ! -name '*.pyc' | sort | while read -r file; do
		lay 644 "$file" "$2/${file#"$1"/}"
	done
}

for program in bridge authsvc; do
	# Not through lay: sed would rewrite a binary.
	mkdir -p "$DESTDIR$PREFIX/bin"
	install -m 755 bin/$program "$DESTDIR$PREFIX/bin/$program"
	echo "$PREFIX/bin/$program" >>"$manifest.new"
done
units=$PREFIX/lib/systemd/system
for unit in gatehouse-authsvc.service gatehouse-bridge@.service nginx.service.d/gatehouse.conf; do
	lay 644 "deploy/systemd/$unit" "$units/$unit"
done
[ ! -d nginx ] || tree nginx "$data/nginx"
[ ! -d lua ] || tree lua "$data/lua"
for folder in slack redis keycloak; do
	tree deploy/$folder "$data/$folder"
done
for page in production backup scale; do
	lay 644 "docs/$page.md" "$PREFIX/share/doc/gatehouse/$page.md"
done

keep 600 deploy/systemd/authsvc.env /etc/gatehouse/authsvc.env
keep 600 deploy/systemd/bridge.env /etc/gatehouse/bridge/main.env
keep 600 deploy/systemd/bridge.json /etc/gatehouse/bridge/main.json
keep 644 deploy/logrotate/gatehouse /etc/logrotate.d/gatehouse
mkdir -p "$DESTDIR/etc/gatehouse/credentials"
chmod 700 "$DESTDIR/etc/gatehouse" "$DESTDIR/etc/gatehouse/bridge" "$DESTDIR/etc/gatehouse/credentials"
mv "$manifest.new" "$manifest"
