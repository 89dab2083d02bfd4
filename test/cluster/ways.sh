#!/bin/bash
# ways.sh DIR: the example overlay with each way in and with every operator's
# component, applied twice to the real API server, which has the operators' own
# definitions. A field that a definition lacks must be refused. No pods: the
# operators themselves do not run here, and their kinds are what is looked at.
set -euo pipefail
dir=$1
. test/cluster/applied.sh
mkdir -p "$dir/crds" "$dir/overlays"
bash test/cluster/crds.sh "$dir/crds"
kubectl apply --server-side -f "$dir/crds" >/dev/null
kubectl wait --for=condition=Established --timeout=60s -f "$dir/crds" >/dev/null
cp -r deploy/kubernetes/{base,components} "$dir/"

# Each object of these kinds, with a field of nobody's.
for file in deploy/kubernetes/components/{cert-manager,external-secrets,gateway-passthrough,gateway-ended,monitoring}/*.yaml; do
	[ "${file##*/}" != kustomization.yaml ] || continue
	objects=$(grep -c '^kind:' "$file")
	said=$(sed 's/^spec:/&\n  nobodys: 1/' "$file" | kubectl create --dry-run=server -f - 2>&1) || true
	refused=$(grep -c 'unknown field "spec.nobodys"' <<<"$said") || true
	[ "$refused" = "$objects" ] || { echo "$file: a wrong field: $refused of $objects refused: $said"; exit 1; }
done

for way in ingress-passthrough ingress-ended gateway-passthrough gateway-ended; do
	overlay=$dir/overlays/$way
	cp -r deploy/kubernetes/overlays/example "$overlay"
	sed -i -e "s/^namespace: .*/namespace: $way/" -e '/components\/load-balancer/d' \
		-e "s,^  # \(- ../../components/\($way\|cert-manager\|external-secrets\|monitoring\)\)\$,  \1," "$overlay/kustomization.yaml"
	cat >>"$overlay/kustomization.yaml" <<-END
		patches:
		  - target: {kind: Deployment|StatefulSet}
		    patch: "- {op: add, path: /spec/replicas, value: 0}"
	END
	apply_twice "$overlay" "$dir/$way"
	for kind in certificate externalsecret servicemonitor "${way%-*}"; do
		grep -q "^$kind" "$dir/$way" || { echo "$way: no $kind was applied"; exit 1; }
	done
	kubectl delete namespace "$way" --wait=false >/dev/null
done
