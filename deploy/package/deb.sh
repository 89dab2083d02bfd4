#!/bin/sh
# deb.sh OUTPUT.deb: build the package from a fresh `make install`. NFPM names
# the nfpm program, VERSION the version, MAINTAINER who answers for the package:
# "Name <address>", by default root of the machine that it is built for.
set -eu
output=$1
ROOT=$(mktemp -d)
trap 'rm -rf "$ROOT"' EXIT
DESTDIR=$ROOT PREFIX=/usr deploy/package/install.sh
# dpkg keeps the list of a package's files itself.
rm "$ROOT/usr/share/gatehouse/manifest"
ARCH=$(go env GOARCH)
VERSION=${VERSION:-0.0.0}
MAINTAINER=${MAINTAINER:-"gatehouse builder <root@localhost>"}
export ROOT ARCH VERSION MAINTAINER
# nfpm writes its errors to stdout; say nothing when all went well.
said=$("$NFPM" package --config deploy/package/nfpm.yaml --packager deb --target "$output" 2>&1) ||
	{ echo "deb: $said" >&2; exit 1; }
