#!/bin/bash
# release.sh FOLDER: what a release page holds. For each system an archive with
# the programs, the licence and the texts of all that they link; a Debian
# package for amd64 and arm64; the files that build the images; an SBOM; and the
# checksums of all of it. Nothing is pushed. NFPM and CYCLONEDX name the tools.
set -euo pipefail
out=$1
version=${VERSION:-$(git describe --tags --match 'v[0-9]*' --always --dirty)}
version=${version#v}
rm -rf "$out"
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CGO_ENABLED=0

# Every linked module's own licence files, in one text.
licences() {
	local module folder file
	go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Dir}}{{end}}{{end}}' \
		./bridge ./bridge/connect ./authsvc ./deploy/demo ./deploy/check ./test/doctor | sort -u | while read -r module folder; do
		for file in "$folder"/[Ll][Ii][Cc][Ee][Nn][SsCc][Ee]* "$folder"/COPYING* "$folder"/NOTICE*; do
			[ -f "$file" ] || continue
			printf '==== %s: %s\n\n' "$module" "${file##*/}"
			cat "$file"
			printf '\n\n'
		done
	done
	printf '==== The Go standard library: LICENSE\n\n'
	cat "$(go env GOROOT)/LICENSE"
}
licences >"$work/licenses.txt"

archive() { # archive GOOS GOARCH: the whole for linux, the bridge and the other end elsewhere
	local name=gatehouse_${version}_$1_$2 exe="" programs="bridge"
	local folder=$work/$name
	[ "$1" != windows ] || exe=.exe
	[ "$1" != linux ] || programs="bridge authsvc"
	mkdir -p "$folder"
	for program in $programs; do
		GOOS=$1 GOARCH=$2 go build -trimpath -ldflags='-s -w' -o "$folder/$program$exe" "./$program"
	done
	GOOS=$1 GOARCH=$2 go build -trimpath -ldflags='-s -w' -o "$folder/gatehouse-connect$exe" ./bridge/connect
	if [ "$1" = linux ]; then
		GOOS=$1 GOARCH=$2 go build -trimpath -ldflags='-s -w' -o "$folder/gatehouse-doctor" ./test/doctor
		GOOS=$1 GOARCH=$2 go build -trimpath -ldflags='-s -w' -o "$folder/gatehouse-check" ./deploy/check
		cp -r nginx lua "$folder/"
	fi
	cp LICENSE NOTICE README.md CHANGELOG.md "$work/licenses.txt" "$folder/"
	tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git log -1 --format=%ct)" \
		-c "$name" | gzip -n >"$out/$name.tar.gz"
	rm -rf "$folder"
	echo "release: $name"
}
for system in linux darwin windows; do
	for arch in amd64 arm64; do archive $system $arch; done
done

for arch in amd64 arm64; do
	GOARCH=$arch make --no-print-directory packaged >/dev/null
	GOARCH=$arch VERSION=$version deploy/package/deb.sh "$out/gatehouse_${version}_$arch.deb"
done
make --no-print-directory packaged >/dev/null # bin/ is this machine's again

tar --sort=name --owner=0 --group=0 --numeric-owner -cz -f "$out/gatehouse_${version}_images.tar.gz" \
	docker-compose.yml .env.example .dockerignore go.mod go.sum internal authsvc bridge nginx lua deploy

"$CYCLONEDX" mod -licenses -json -output "$out/gatehouse_${version}_sbom.json" . 2>/dev/null
(cd "$out" && sha256sum -- * >SHA256SUMS)
echo "release: $(ls "$out" | wc -l) files in $out"
