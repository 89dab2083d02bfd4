#!/bin/sh
# bases.sh: stand-ins for the base images, under their own names, for a
# machine that no image registry can be reached from. Made of Debian packages,
# the Go toolchain of this machine and Keycloak's own archive. Each carries the
# label gatehouse.stand-in. What is there already is kept.
set -eu
tree=.cache/debian/bookworm
if [ ! -e "$tree.complete" ]; then
	rm -rf "$tree"
	mkdir -p "$tree"
	debootstrap --variant=minbase --include=ca-certificates bookworm "$tree" >.cache/debootstrap.log 2>&1 ||
		{ tail -5 .cache/debootstrap.log >&2; exit 1; }
	rm -rf "$tree"/var/cache/apt/archives/*.deb
	touch "$tree.complete"
fi
here=test/compose/bases
export DOCKER_BUILDKIT=0 # Debian's client has no buildx

has() { docker image inspect "$1" >/dev/null 2>&1; }
build() { # build IMAGE FILE CONTEXT
	has "$1" && return
	docker build --quiet --label gatehouse.stand-in=true -t "$1" -f "$here/$2.Dockerfile" "$3" >/dev/null
	echo "bases: $1 made"
}

if ! has debian:bookworm-slim; then
	# This machine's certificates: what it trusts, a build inside must trust.
	cp -L /etc/ssl/certs/ca-certificates.crt "$tree/etc/ssl/certs/ca-certificates.crt"
	tar -C "$tree" -c . | docker import --change 'LABEL gatehouse.stand-in=true' - debian:bookworm-slim >/dev/null
	echo "bases: debian:bookworm-slim made"
fi
build golang:1.26-bookworm golang "$(go env GOROOT)"
build python:3.11-slim-bookworm python "$here"
build redis:7.0-bookworm redis "$here"

# With the Maven client, into its own cache: the context is that one folder.
keycloak=${HOME}/.m2/repository/org/keycloak/keycloak-quarkus-dist/26.7.3
[ -f "$keycloak/keycloak-quarkus-dist-26.7.3.zip" ] ||
	mvn -q dependency:get -Dartifact=org.keycloak:keycloak-quarkus-dist:26.7.3:zip
build quay.io/keycloak/keycloak:26.7.3 keycloak "$keycloak"
