#!/bin/sh
# deb.sh OUTPUT.deb: build the package from a fresh `make install`. NFPM names
# the nfpm program; VERSION the version, by default of the last tag (v1.2.3 is
# 1.2.3, five commits later 1.2.3+5.gabc1234); MAINTAINER who answers for the
# package: "Name <address>", by default root of the machine that it is built for.
set -eu
output=$1
ROOT=$(mktemp -d)
trap 'rm -rf "$ROOT"' EXIT
DESTDIR=$ROOT PREFIX=/usr deploy/package/install.sh
# dpkg keeps the list of a package's files itself.
rm "$ROOT/usr/share/gatehouse/manifest"
# nfpm would make folders of links in a tree: nfpm.yaml names them.
rm "$ROOT/usr/bin/gatehouse-bridge" "$ROOT/usr/bin/gatehouse-authsvc"
version() {
	git describe --tags --match 'v[0-9]*' 2>/dev/null | sed 's/^v//; s/-\([0-9]*\)-g/+\1.g/' | grep . ||
		echo "0.0.0+$(git rev-list --count HEAD 2>/dev/null || echo 0).g$(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
}
ARCH=$(go env GOARCH)
VERSION=${VERSION:-$(version)}
MAINTAINER=${MAINTAINER:-"gatehouse builder <root@localhost>"}
export ROOT ARCH VERSION MAINTAINER
# nfpm writes its errors to stdout; say nothing when all went well.
said=$("$NFPM" package --config deploy/package/nfpm.yaml --packager deb --target "$output" 2>&1) ||
	{ echo "deb: $said" >&2; exit 1; }
echo "deb: $output, version $VERSION"
