#!/bin/bash
# Brings docker-compose.yml up unchanged on an engine of its own, with stand-in
# base images, and takes it down again; nothing may be left. Arguments are the
# services to bring up (default: all). TEST, when set, is a command that is run
# against the gate with GATEHOUSE_URL and GATEHOUSE_CA in its environment.
set -euo pipefail
dir=$(mktemp -d /tmp/gh-XXXXXX)
export DOCKER_HOST=unix://$dir/sock COMPOSE_PROJECT_NAME=gatehouse-test
compose=$PWD/.cache/tools/compose

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
HTTPS_PORT=$(free_port) HTTP_PORT=$(free_port)
PUBLIC_URL=https://localhost:$HTTPS_PORT
export HTTPS_PORT HTTP_PORT PUBLIC_URL PUBLIC_HOST=localhost

finish() {
	code=$?
	[ $code = 0 ] || "$compose" logs --no-color --tail 30 >&2 || true
	"$compose" down --volumes --timeout 20 >/dev/null 2>&1 || true
	left=$(docker ps -aq; docker volume ls -q; docker network ls -q --filter type=custom)
	sh test/compose/engine.sh stop "$dir"
	rm -rf "$dir"
	[ -z "$left" ] || { echo "compose: down left: $left" >&2; code=1; }
	exit $code
}
trap finish EXIT
sh test/compose/engine.sh start "$dir"
sh test/compose/bases.sh 2>/dev/null

step() { # step NAME COMMAND...: run it, say how long it took
	local name=$1 began=$SECONDS
	shift
	"$@" >"$dir/step.log" 2>&1 || { tail -30 "$dir/step.log" >&2; echo "compose: $name failed" >&2; return 1; }
	echo "compose: $name: $((SECONDS - began)) s"
}
step build "$compose" build "$@"
step "up to ready" "$compose" up --detach --wait --wait-timeout 300 "$@"
docker image ls --format 'compose: {{.Repository}} {{.Size}}' | grep 'compose: gatehouse/' | sort -u

if [ -n "${TEST:-}" ]; then
	docker run --rm -v "${COMPOSE_PROJECT_NAME}_gate:/gate:ro" debian:bookworm-slim cat /gate/ca.crt >"$dir/ca.crt"
	GATEHOUSE_URL=$PUBLIC_URL GATEHOUSE_CA=$dir/ca.crt bash -c "$TEST"
fi
