#!/bin/bash
# images.sh ARCHIVE: builds the images of the cluster's pods, as the Compose
# test builds them, on an engine of its own, and saves them into ARCHIVE. What
# goes into them is summed: an archive of the same sum is kept.
set -euo pipefail
archive=$1
sum=$(git ls-files -s go.mod go.sum internal authsvc bridge deploy/demo deploy/images nginx lua test/compose/bases test/cluster/pause |
	sha256sum | cut -c1-12)
[ -n "$(git status --porcelain -- internal authsvc bridge deploy nginx lua)" ] && sum=$sum-$RANDOM
[ "$(cat "$archive.sum" 2>/dev/null)" != "$sum" ] || { echo "images: as they were"; exit 0; }

dir=$(mktemp -d)
exec 9>"$CACHE/compose-test.lock"
flock -w 900 9 || { echo "images: the engine's store is in use ($CACHE/compose-test.lock)" >&2; exit 1; }
export DOCKER_HOST=unix://$dir/sock DOCKER_BUILDKIT=0
sh test/compose/engine.sh start "$dir" 9>&-
trap 'sh test/compose/engine.sh stop "$dir"; rm -rf "$dir"' EXIT
sh test/compose/bases.sh

# Each image by the plain client, which has no cache mounts: the same files
# without them.
plain=$dir/gatehouse.Dockerfile
sed 's/^RUN --mount[^\\]*\\$/RUN \\/' deploy/images/gatehouse.Dockerfile >"$plain"
build() { docker build --quiet "$@" . >/dev/null; }
build --file "$plain" --target authsvc --tag gatehouse/authsvc:test
build --file "$plain" --target demo --tag gatehouse/bridge-demo:test
build --file deploy/images/nginx.Dockerfile --tag gatehouse/nginx:test
mkdir "$dir/own"
for own in pause dns; do
	printf 'FROM scratch\nCOPY program /program\nENTRYPOINT ["/program"]\n' >"$dir/own/Dockerfile"
	cp "$PARTS/$own" "$dir/own/program"
	docker build --quiet --tag "gatehouse/$own:test" "$dir/own" >/dev/null
done
docker save --output "$archive" gatehouse/{authsvc,bridge-demo,nginx,pause,dns}:test \
	redis:7.0-bookworm quay.io/keycloak/keycloak:26.7.3
echo "$sum" >"$archive.sum"
echo "images: built and saved, $(du -h "$archive" | cut -f1)"
