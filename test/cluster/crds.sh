#!/bin/bash
# crds.sh FOLDER: the definitions of the operators' kinds that the components
# use, out of the operators' own modules, each of a fixed version and sum.
set -euo pipefail
folder=$1
take() { # take MODULE VERSION SUM FILE...
	local module=$1 version=$2 sum=$3 said file
	shift 3
	said=$(cd / && go mod download -json "$module@$version")
	grep -q "\"Sum\": \"$sum\"" <<<"$said" || { echo "crds: $module@$version: want the sum $sum, have: $said" >&2; exit 1; }
	for file in "$@"; do
		install -m 644 "$(sed -n 's/^\t"Dir": "\(.*\)",$/\1/p' <<<"$said")/$file" "$folder/"
	done
}
gateway=config/crd/standard/gateway.networking.k8s.io
take sigs.k8s.io/gateway-api v1.6.3 h1:lKpJa5bGlraC/QeACvCpsHLdmO6y0iKfzVl6gzaFEYc= \
	${gateway}_{gateways,httproutes,tlsroutes,backendtlspolicies}.yaml
take github.com/cert-manager/cert-manager v1.21.2 h1:UWgoYM+KLNtRlqmoWOKjKBOBUPVHeepQ6/ac3ERJW68= \
	deploy/crds/cert-manager.io_{certificates,certificaterequests,issuers,clusterissuers}.yaml
take github.com/external-secrets/external-secrets v1.3.2 h1:u2J8RjlHIeF0oZCqtl92adI/uZWUwOesJIDkfql6LqQ= \
	config/crds/bases/external-secrets.io_externalsecrets.yaml
take github.com/prometheus-operator/prometheus-operator v0.85.0 h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s= \
	example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml
