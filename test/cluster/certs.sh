#!/bin/bash
# certs.sh DIR: hands the gate's certificate over to cert-manager, whose program
# certs (CERTS) runs already: the overlay gets its component as it is shipped,
# and the issuer that it names is one with the test's CA.
set -euo pipefail
dir=$1
. test/cluster/applied.sh
kubectl -n kube-system create secret tls gate-ca --cert "$dir/secrets/ca.crt" --key "$dir/secrets/ca.key"
kubectl apply -f - <<'ISSUER'
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: letsencrypt}
spec: {ca: {secretName: gate-ca}}
ISSUER
kubectl wait --for=condition=Ready --timeout=60s clusterissuer/letsencrypt
sed -i 's,^  - ../components/values,  - ../components/cert-manager\n&,' "$dir/k8s/overlay/kustomization.yaml"
apply_twice "$dir/k8s/overlay" "$dir/second"
kubectl -n gatehouse wait --for=condition=Ready --timeout=120s certificate/gate
go test -tags 'cluster certs' -count=1 -timeout 10m -v -run '^TestCertManager' ./test/cluster
