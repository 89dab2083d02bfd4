#!/bin/bash
# Brings docker-compose.yml up unchanged on an engine of its own, with stand-ins
# for the base images, runs the end-to-end suite of the native stack against it
# and what only Compose has, and takes it down; nothing may be left. CACHE keeps
# the engine's images, COMPOSE names the compose program.
set -euo pipefail
fail() { echo "compose: $*" >&2; exit 1; }
mkdir -p "$CACHE"
exec 9>"$CACHE/compose-test.lock"
flock -n 9 || fail "another run is under way ($CACHE/compose-test.lock)"
dir=$(mktemp -d /tmp/gh-XXXXXX)
export DOCKER_HOST=unix://$dir/sock COMPOSE_PROJECT_NAME=gatehouse-test COMPOSE_PROGRESS=quiet COMPOSE_DISABLE_ENV_FILE=true

engine() { sh test/compose/engine.sh "$1" "$dir" 9>&-; }
left() { docker ps -aq; docker volume ls -q; docker network ls -q --filter type=custom; }
down() { "$COMPOSE" --profile '*' down --volumes --timeout 20 >/dev/null 2>&1; }
finish() {
	code=$?
	trap - EXIT
	[ $code = 0 ] || "$COMPOSE" --profile '*' logs --no-color --tail 5 >&2 || true
	down || true
	engine stop || code=1
	rm -rf "$dir"
	exit $code
}
trap finish EXIT
trap 'exit 130' INT TERM

step() { # step NAME COMMAND...: run it, say how long it took
	local name=$1 began=$EPOCHREALTIME
	shift
	"$@" >"$dir/step.log" 2>&1 || {
		[ "$1" != go ] && tail -40 "$dir/step.log" >&2 || grep -v '^=== ' "$dir/step.log" | head -100 >&2
		fail "$name failed"
	}
	awk -v name="$name" -v from="$began" -v to="$EPOCHREALTIME" 'BEGIN {printf "compose: %-42s %6.1f s\n", name, to - from}'
}
engine start
down || true # what a run that was killed has left, and builds that failed
docker container prune --force >/dev/null
standins() { docker image ls --filter label=gatehouse.stand-in --format '{{.Repository}}:{{.Tag}}' | grep -v -e ^gatehouse/ -e none | sort | tr '\n' ' '; }
step "stand-ins for the base images" sh test/compose/bases.sh

# Ports as an operator changes them; PUBLIC_URL follows by itself. They are held for
# as long as this script lives: all other tests of the machine leave them alone.
go build -o "$dir/hold" ./test/freeport/hold
coproc HOLD { exec "$dir/hold" 2 9>&-; }
read -r HTTPS_PORT HTTP_PORT <&"${HOLD[0]}" || fail "no ports are free"
export HTTPS_PORT HTTP_PORT
echo "compose: stand-ins: $(standins)"
step "docker compose build" "$COMPOSE" build
export GATEHOUSE_PARTS=$COMPOSE
all_gone() { # after the last project is down
	docker image prune --force >/dev/null # what a build has replaced
	remains=$(left)
	[ -z "$remains" ] || fail "down left: $remains"
	engine stop
	[ -z "$(ip -br link | grep -e gh-test0 -e '^br-' || true)" ] || fail "the engine left an interface"
	echo "compose: ok, nothing left"
}
if [ "${1-}" = published ]; then # a part of its own: it starts Keycloak three times more
	step "a gate that is published" go test -tags compose -count=1 -timeout 40m -v -run '^TestPublishTheGate$' ./test/compose
	all_gone
	exit
fi
# The README's own lines, the last of which takes all away.
mapfile -t lines < <(sed -n 's/^docker compose //p' README.md | sed 's/ *#.*//')
[ ${#lines[@]} = 3 ] || fail "README.md has ${#lines[@]} lines of docker compose; want up, cp, down"
readme() { # readme N: run one of them
	local words
	read -ra words <<<"${lines[$1]}"
	step "docker compose ${lines[$1]}" "$COMPOSE" "${words[@]}"
}
readme 0
readme 1
# From a folder with spaces, as another project: what is mounted from there.
spaces() {
	local folder="$dir/a folder with spaces"
	mkdir "$folder"
	git ls-files -z docker-compose.yml deploy .env.example | xargs -0 cp --parents -t "$folder"
	(cd "$folder" && cp .env.example .env && COMPOSE_PROJECT_NAME=gatehouse-spaces COMPOSE_DISABLE_ENV_FILE=false "$COMPOSE" up --detach --wait redis &&
		COMPOSE_PROJECT_NAME=gatehouse-spaces "$COMPOSE" down --volumes)
}
step "a folder with spaces" spaces
mv ca.crt "$dir/ca.crt"

secret() { docker run --rm --network none --user 0:0 -v "${COMPOSE_PROJECT_NAME}_gate:/gate:ro" gatehouse/nginx cat "/gate/$1"; }
export GATEHOUSE_URL=https://localhost:$HTTPS_PORT GATEHOUSE_HTTP_URL=http://localhost:$HTTP_PORT GATEHOUSE_CA=$dir/ca.crt
export GATEHOUSE_ISSUER=$GATEHOUSE_URL/auth/realms/gatehouse
GATEHOUSE_ADMIN_PASSWORD=$(secret keycloak-admin-password)
GATEHOUSE_REDIS_CLI="docker exec -i -e REDISCLI_AUTH=$(secret redis-password) $COMPOSE_PROJECT_NAME-redis-1 redis-cli"
export GATEHOUSE_ADMIN_PASSWORD GATEHOUSE_REDIS_CLI
step "the end-to-end suite against it" go test -tags e2e -count=1 -timeout 40m -v -skip '^TestNative' ./test/e2e
step "what only Compose has" go test -tags compose -count=1 -timeout 40m -v -skip '^TestPublishTheGate$' ./test/compose
grep -h '_test.go:[0-9]*: ' "$dir/step.log" | sed 's/.*_test.go:[0-9]*: /compose:   /'
docker image ls --format '{{.Repository}} {{.Size}}' gatehouse/* | sort -u | sed 's/^/compose: image /'

readme 2
all_gone
