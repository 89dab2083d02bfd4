#!/bin/sh
# release.sh FOLDER: what `make release` made is whole.
set -eu
cd "$1"
fail() { echo "release: $*" >&2; exit 1; }
sha256sum --quiet --check SHA256SUMS
for system in linux darwin windows; do
	for arch in amd64 arm64; do
		ls gatehouse_*_${system}_$arch.tar.gz >/dev/null || fail "no archive for $system on $arch"
	done
done
for arch in amd64 arm64; do
	[ "$(dpkg-deb --field gatehouse_*_$arch.deb Architecture)" = $arch ] || fail "the package for $arch is not"
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tar -C "$work" --strip-components=1 -xzf gatehouse_*_linux_"$(dpkg --print-architecture)".tar.gz
for program in bridge authsvc gatehouse-connect gatehouse-doctor gatehouse-check; do
	"$work/$program" --version | grep -q "^[a-z-]* .*, commit " || fail "$program --version says nothing"
done
"$work/gatehouse-connect" --help 2>&1 | grep -q -- --token-file || fail "gatehouse-connect --help names no --token-file"
grep -q '==== github.com/rs/zerolog: LICENSE' "$work/licenses.txt" || fail "licenses.txt lacks a linked module"
jq -e '[.components[].name] | index("github.com/rs/zerolog")' gatehouse_*_sbom.json >/dev/null || fail "the SBOM lacks a linked module"
echo "release: whole, $(ls | wc -l) files"
