#!/bin/sh
# bases.sh: stand-ins for the base images, under their own names, for a
# machine that no image registry can be reached from. Made of Debian packages,
# the Go toolchain of this machine and Keycloak's own archive. Each carries the
# label gatehouse.stand-in. What is there already is kept.
set -eu
here=test/compose/bases
export DOCKER_BUILDKIT=0 # Debian's client has no buildx

has() { docker image inspect "$1" >/dev/null 2>&1; }
build() { # build IMAGE FILE CONTEXT
	has "$1" && return
	docker build --quiet --label gatehouse.stand-in=true -t "$1" -f "$here/$2.Dockerfile" "$3" >"$CACHE/$2.log" 2>&1 ||
		{ tail -15 "$CACHE/$2.log" >&2; echo "bases: $1 failed" >&2; return 1; }
	echo "bases: $1 made"
}

if ! has debian:bookworm-slim; then
	tree=$(sh test/debian.sh)
	tar -C "$tree" -c . | docker import --change 'LABEL gatehouse.stand-in=true' - debian:bookworm-slim >/dev/null
	echo "bases: debian:bookworm-slim made"
fi

# With the Maven client, into its own cache: the context is that one folder.
keycloak=$HOME/.m2/repository/org/keycloak/keycloak-quarkus-dist/26.7.3
[ -f "$keycloak/keycloak-quarkus-dist-26.7.3.zip" ] ||
	mvn -q dependency:get -Dartifact=org.keycloak:keycloak-quarkus-dist:26.7.3:zip -Dtransitive=false

build quay.io/keycloak/keycloak:26.7.3 keycloak "$keycloak" & pids=$!
build golang:1.26-bookworm golang "$(go env GOROOT)" & pids="$pids $!"
(
	build redis:7.0-bookworm redis "$here"
	build python:3.11-slim-bookworm python "$here"
	build openresty/openresty:bookworm openresty "$here"
	build prom/prometheus:v3.5.0 prometheus "$here"
) & pids="$pids $!"
for pid in $pids; do wait "$pid"; done
