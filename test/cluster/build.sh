#!/bin/bash
# build.sh FOLDER: the programs of a cluster from their modules, static; kubectl
# too where KUBECTL names a file for it.
set -euo pipefail
folder=$1 began=$SECONDS
mkdir -p "$folder"
export CGO_ENABLED=0
version=k8s.io/component-base/version
minor=${KUBERNETES_VERSION#v1.}
flags="-s -w -X $version.gitVersion=$KUBERNETES_VERSION -X $version.gitMajor=1 -X $version.gitMinor=${minor%%.*}"
go build -trimpath -ldflags '-s -w' -o "$folder/" ./test/cluster/pause ./test/cluster/forward
cd test/cluster/parts
build() { # build NAME PACKAGE
	[ -x "$folder/$1" ] || go build -trimpath -ldflags "$flags" -o "$folder/$1" "$2"
}
build etcd go.etcd.io/etcd/server/v3
for name in kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy; do build $name k8s.io/kubernetes/cmd/$name; done
build dns ./dns
[ -z "${KUBECTL:-}" ] || build kubectl k8s.io/kubernetes/cmd/kubectl
echo "cluster: programs built in $((SECONDS - began)) s"
