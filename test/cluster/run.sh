#!/bin/bash
# The Kubernetes manifests on a real control plane with a real kubelet: applied
# twice, run in pods, driven end to end, scaled, rolled, killed and drained.
# CACHE keeps the programs (PARTS, POLICIES, CERTS), the images and what was said when
# it failed; nothing else is left. CERT_MANAGER=1 lets cert-manager make the
# certificate and renew it. FULL=1 runs the end-to-end suite through the Service too,
# which takes 127.0.0.1:443.
set -euo pipefail
fail() { echo "cluster: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "it needs root for namespaces: run as root or with sudo"
mkdir -p "$CACHE"
exec 8>"$CACHE/cluster-test.lock"
flock -n 8 || fail "another run is under way ($CACHE/cluster-test.lock)"
dir=$(mktemp -d /tmp/gh-cluster-XXXXXX)
export PARTS POLICIES IMAGES=$CACHE/cluster-images KUBECONFIG=$dir/kubeconfig

# keep saves what a failure is understood by: all that the step said, and the log
# of each part and pod.
keep() {
	local kept=$CACHE/cluster-failed pod
	rm -rf "$kept"
	mkdir -p "$kept"
	cp "$dir/step.log" "$dir"/log/* "$kept/"
	kubectl get pods --all-namespaces -o wide
	kubectl -n gatehouse get events | tail -20
	for pod in $(kubectl -n gatehouse get pods -o name); do
		kubectl -n gatehouse logs --timestamps --all-containers "$pod" >"$kept/${pod#pod/}.log"
	done
	echo "cluster: what the step, the parts and the pods said is in $kept"
}

finish() {
	code=$?
	trap - EXIT
	[ $code = 0 ] || keep >&2 || true
	for pid in ${forward:-} ${certs:-}; do kill "$pid" 2>/dev/null || true; done
	bash test/cluster/cluster.sh stop "$dir" || code=1
	[ -n "${KEEP:-}" ] || rm -rf "$dir"
	exit $code
}
trap finish EXIT
trap 'exit 130' INT TERM

step() { # step NAME COMMAND...: run it, say how long it took
	local name=$1 began=$EPOCHREALTIME
	shift
	"$@" >"$dir/step.log" 2>&1 || { grep -E "^ *--- FAIL" "$dir/step.log" >&2 || true; tail -60 "$dir/step.log" >&2; fail "$name failed"; }
	awk -v name="$name" -v from="$began" -v to="$EPOCHREALTIME" 'BEGIN {printf "cluster: %-46s %6.1f s\n", name, to - from}'
}

step "images" bash test/cluster/images.sh "$CACHE/cluster-images.tar"
step "control plane, containerd, kubelet, kube-proxy" bash test/cluster/cluster.sh start "$dir" 8>&-
first=$(cat "$dir/first")
inside() { nsenter --target "$first" --mount --net --pid -- "$@"; }
step "images into containerd" inside ctr -n k8s.io images import "$CACHE/cluster-images.tar"
kubectl apply -f test/cluster/overlay/dns.yaml >/dev/null

# The operator's side: values, certificate, secrets.
mkdir -p "$dir/volume" "$dir/k8s" "$dir/secrets"
chmod 777 "$dir/volume"
cp -r deploy/kubernetes/base deploy/kubernetes/components "$dir/k8s/"
cp -r test/cluster/overlay "$dir/k8s/overlay"
cd "$dir/k8s/overlay"
cp "$OLDPWD"/deploy/keycloak/gatehouse-{realm,users-0}.json .
printf 'set $gatehouse_keycloak_all all;\ninclude gatehouse/server/keycloak.conf;\n' >server-keycloak.conf
{ cat ../base/site/upstreams.conf; echo 'map "" $gatehouse_keycloak { default keycloak.gatehouse.svc.cluster.local:8080; }'; } >upstreams.conf
sed -i "s#REDIS_VOLUME#$dir/volume#" keycloak.yaml
rm dns.yaml
cd "$OLDPWD"
(
	cd "$dir/secrets"
	umask 077
	for name in client-secret store-key redis-password authsvc-token keycloak-admin-password; do openssl rand -hex 32 | tr -d '\n' >$name; done
	printf 'redis://:%s@redis:6379/0' "$(cat redis-password)" >redis-url
	printf 'bridge %s ask\n' "$(cat authsvc-token)" >internal-tokens
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout ca.key -out ca.crt -subj '/CN=test CA'
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout tls.key -out tls.csr -subj /CN=gate
	printf 'subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n' >tls.ext
	openssl x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile tls.ext -out tls.crt
) 2>/dev/null
secret() { kubectl -n gatehouse create secret "$@" --dry-run=client -o yaml | kubectl apply -f - >/dev/null; }
kubectl apply -f deploy/kubernetes/base/namespace.yaml >/dev/null
secret generic gatehouse-secrets --from-file="$dir/secrets/client-secret" --from-file="$dir/secrets/store-key" \
	--from-file="$dir/secrets/redis-url" --from-file="$dir/secrets/redis-password" --from-file="$dir/secrets/internal-tokens"
secret generic gatehouse-bridge --from-file="$dir/secrets/authsvc-token"
secret generic keycloak --from-file="$dir/secrets/client-secret" --from-file="$dir/secrets/keycloak-admin-password"
kubectl -n gatehouse create configmap gatehouse-ca --from-file="$dir/secrets/ca.crt" >/dev/null
secret tls gatehouse-tls --cert "$dir/secrets/tls.crt" --key "$dir/secrets/tls.key"

. test/cluster/applied.sh
step "kubectl apply -k, twice" apply_twice "$dir/k8s/overlay" "$dir/second"
echo "cluster: the second apply: $(grep -c unchanged "$dir/second") unchanged, and 3 disruption budgets of the same version"
step "each way in, each operator's kinds, twice" bash test/cluster/ways.sh "$dir/ways"

ready() {
	kubectl -n gatehouse rollout status --timeout=240s statefulset/redis deployment/keycloak
	for what in deployment/authsvc statefulset/bridge deployment/nginx; do
		kubectl -n gatehouse wait --for=jsonpath='{.status.readyReplicas}'=2 --timeout=180s $what
	done
}
step "two authsvc, two bridges, two nginx ready" ready

# The suite's callers are on this machine's loopback.
"$PARTS/forward" 127.0.0.1:443 10.214.0.2:443 127.0.0.1:80 10.214.0.2:80 8>&- &
forward=$!
export GATEHOUSE_URL=https://localhost GATEHOUSE_HTTP_URL=http://localhost GATEHOUSE_CA=$dir/secrets/ca.crt
export GATEHOUSE_ISSUER=$GATEHOUSE_URL/auth/realms/gatehouse GATEHOUSE_PARTS="bash $PWD/test/cluster/parts.sh"
GATEHOUSE_ADMIN_PASSWORD=$(cat "$dir/secrets/keycloak-admin-password")
GATEHOUSE_REDIS_CLI="kubectl -n gatehouse exec -i redis-0 -- env REDISCLI_AUTH=$(cat "$dir/secrets/redis-password") redis-cli"
export GATEHOUSE_ADMIN_PASSWORD GATEHOUSE_REDIS_CLI GATEHOUSE_SECRETS=$dir/secrets
step "nodes come and go under load" go test -tags cluster -count=1 -timeout 10m -v ./test/cluster
grep -h '_test.go:[0-9]*: ' "$dir/step.log" | sed 's/.*_test.go:[0-9]*: /cluster:   /'
[ -z "${FULL:-}" ] || step "the end-to-end suite through its Service" go test -tags e2e -count=1 -timeout 15m -v -skip '^TestNative' ./test/e2e
if [ -n "${CERT_MANAGER:-}" ]; then
	"$CERTS/certs" >"$dir/certs.log" 2>&1 8>&- &
	certs=$!
	step "cert-manager makes the certificate and renews it" bash test/cluster/certs.sh "$dir"
	grep -h '_test.go:[0-9]*: ' "$dir/step.log" | sed 's/.*_test.go:[0-9]*: /cluster:   /'
fi
echo "cluster: ok"
