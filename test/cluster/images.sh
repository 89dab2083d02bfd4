#!/bin/bash
# images.sh ARCHIVE: builds the images of the cluster's pods, as the Compose
# test builds them, on an engine of its own, and saves them into ARCHIVE. What
# goes into them is summed: an archive of the same sum is kept.
set -euo pipefail
archive=$1
sum=$(git ls-files -s go.mod go.sum internal authsvc bridge deploy/demo deploy/images nginx lua test/compose/bases test/cluster/pause test/cluster/parts |
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

# The stages of deploy/images/gatehouse.Dockerfile, around programs that are
# built here: inside a build there is no cache of Go's, and it takes minutes.
own=$dir/own
mkdir "$own"
CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags='-s -w' -o "$own/" ./authsvc ./bridge ./deploy/demo
cp "$PARTS/pause" "$PARTS/dns" "$own/"
cp /etc/ssl/certs/ca-certificates.crt "$own/"
image() { # image NAME LINE...: from nothing, with the lines of a Dockerfile
	local name=$1
	shift
	printf '%s\n' 'FROM scratch' "$@" >"$own/Dockerfile"
	docker build --quiet --tag "gatehouse/$name:test" "$own" >/dev/null
}
ca='COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt'
image pause 'COPY pause /pause' 'ENTRYPOINT ["/pause"]'
image dns 'COPY dns /dns' 'ENTRYPOINT ["/dns"]'
image authsvc "$ca" 'COPY authsvc /authsvc' 'USER 65532:65532' 'ENTRYPOINT ["/authsvc"]'
image bridge-demo "$ca" 'COPY bridge demo /' 'USER 65532:65532' 'ENTRYPOINT ["/bridge"]' 'CMD ["--", "/demo"]'
docker build --quiet --file deploy/images/nginx.Dockerfile --tag gatehouse/nginx:test . >/dev/null
docker save --output "$archive" gatehouse/{authsvc,bridge-demo,nginx,pause,dns}:test \
	redis:7.0-bookworm quay.io/keycloak/keycloak:26.7.3
echo "$sum" >"$archive.sum"
echo "images: built and saved, $(du -h "$archive" | cut -f1)"
