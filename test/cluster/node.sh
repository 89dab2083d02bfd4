#!/bin/bash
# node.sh DIR PARTS IMAGES POLICIES: a Kubernetes cluster of one node, run by cluster.sh
# as the first process of namespaces of its own (mount, network, pid, uts, ipc):
# when it ends, every part and every container ends with it. Its state lies
# under DIR, the programs in PARTS and POLICIES, containerd's images in IMAGES.
set -eu
dir=$1 parts=$2 images=$3 policies=$4 address=10.214.0.2

mount --make-rprivate /
mount --make-rshared / # the kubelet's mounts must reach the containers
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
mkdir -p /run/netns "$dir"/{etcd,certs,log,containerd,kubelet,cni,volumes} "$images"
ip link set lo up
echo $$ >"$dir/inside"
until ip -br address show dev node0 2>/dev/null | grep -q "$address"; do sleep 0.1; done

cd "$dir"
start() { # start NAME PROGRAM ARG...: its output in log/NAME
	local name=$1
	shift
	"$@" >"log/$name" 2>&1 &
}
until_true() { # until_true SECONDS WHAT COMMAND...
	local end=$((SECONDS + $1)) what=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || { echo "node: $what: not so within its time" >&2; tail -n 3 log/* >&2; exit 1; }
		sleep 0.3
	done
}

openssl genrsa -out sa.key 2048 2>/dev/null
openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null
printf '%s,admin,1,"system:masters"\n' "$(openssl rand -hex 16)" >tokens
chmod 600 tokens
cat >kubeconfig <<END
apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "https://$address:6443", insecure-skip-tls-verify: true}}]
users: [{name: admin, user: {token: "$(cut -d, -f1 tokens)"}}]
contexts: [{name: test, context: {cluster: test, user: admin}}]
current-context: test
END
export KUBECONFIG=$dir/kubeconfig

start etcd "$parts/etcd" --data-dir etcd --unsafe-no-fsync
start apiserver "$parts/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 --service-cluster-ip-range=10.96.0.0/16 \
	--advertise-address=$address --bind-address=0.0.0.0 --secure-port=6443 --cert-dir=certs --allow-privileged=true \
	--service-account-issuer=https://test --service-account-key-file=sa.pub --service-account-signing-key-file=sa.key \
	--token-auth-file=tokens --authorization-mode=RBAC --kubelet-preferred-address-types=InternalIP
until_true 120 "the API server is ready" kubectl get --raw /readyz
start controllers "$parts/kube-controller-manager" --kubeconfig=kubeconfig --leader-elect=false \
	--service-account-private-key-file=sa.key --root-ca-file=certs/apiserver.crt
start scheduler "$parts/kube-scheduler" --kubeconfig=kubeconfig --leader-elect=false

# restrict_oom_score_adj: without CAP_SYS_RESOURCE a lower score is refused and
# the container with it.
cat >containerd.toml <<END
version = 2
root = "$images"
state = "$dir/containerd"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/gatehouse/pause:test"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$dir/cni"
END
cat >cni/pods.conflist <<END
{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true, "ipam": {"type": "host-local",
   "dataDir": "$dir/addresses", "ranges": [[{"subnet": "10.244.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
END
start containerd containerd --config containerd.toml
# Not `ctr version`: that answers before the kubelet's side does, and a kubelet
# that came between the two ended.
until_true 60 "containerd answers the kubelet" grep -q 'Start streaming server' log/containerd

# cgroups of version 1 where the machine has those, else 2.
cat >kubelet.yaml <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
resolvConf: ""
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
enforceNodeAllocatable: []
localStorageCapacityIsolation: false
imageGCHighThresholdPercent: 100
syncFrequency: 5s
END
start kubelet "$parts/kubelet" --config kubelet.yaml --kubeconfig kubeconfig --root-dir "$dir/kubelet" --cert-dir certs \
	--hostname-override node-0 --node-ip $address
start proxy "$parts/kube-proxy" --kubeconfig kubeconfig --hostname-override node-0 --proxy-mode iptables \
	--cluster-cidr 10.244.0.0/16 --conntrack-max-per-core 0
until_true 90 "the node is ready" sh -c 'kubectl get node node-0 | grep -q " Ready"'
# What enforces NetworkPolicies: by iptables, which must see what crosses the
# pods' bridge. It wants its node to be there.
echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables
start policies "$policies/kube-router" --kubeconfig kubeconfig --hostname-override node-0 --run-firewall \
	--run-router=false --run-service-proxy=false --enable-cni=false \
	--service-cluster-ip-range 10.96.0.0/16 --health-port 0
until_true 60 "NetworkPolicies are enforced" iptables -n -L KUBE-ROUTER-FORWARD
touch up
wait -n # a part that ends takes the cluster with it
echo "node: a part has ended" >&2
tail -n 3 log/* >&2
exit 1
