GATEHOUSE_CACHE ?= $(HOME)/.cache/gatehouse
LATE_PARTS += cluster-test

# By the sum of their module file: built once for all clones.
CLUSTER_PARTS := $(GATEHOUSE_CACHE)/cluster-$(shell sha256sum test/cluster/parts/go.sum | cut -c1-12)
CLUSTER_POLICIES := $(GATEHOUSE_CACHE)/policies-$(shell sha256sum test/cluster/policies/go.sum | cut -c1-12)
CLUSTER_CERTS := $(GATEHOUSE_CACHE)/certs-$(shell cat test/cluster/certs/{go.sum,main.go} | sha256sum | cut -c1-12)
KUBERNETES_VERSION := v1.36.3
CLUSTER_PACKAGES := containerd runc containernetworking-plugins conntrack iptables ipset iproute2 openssl docker.io
KUBECTL := $(if $(shell command -v kubectl),,$(CLUSTER_PARTS)/kubectl)

.PHONY: cluster-test
cluster-test: $(if $(CERT_MANAGER),$(CLUSTER_CERTS)/certs)
cluster-test: deps-run deps-test build $(CLUSTER_PARTS)/.built $(CLUSTER_POLICIES)/kube-router ## The Kubernetes manifests on a real control plane and kubelet
	$(call install_missing,$(CLUSTER_PACKAGES))
	CACHE=$(GATEHOUSE_CACHE) PARTS=$(CLUSTER_PARTS) POLICIES=$(CLUSTER_POLICIES) CERTS=$(CLUSTER_CERTS) \
		PATH="$$PATH:$(CLUSTER_PARTS)" bash test/cluster/run.sh

$(CLUSTER_PARTS)/.built: test/cluster/parts/go.mod
	KUBERNETES_VERSION=$(KUBERNETES_VERSION) KUBECTL=$(KUBECTL) bash test/cluster/build.sh $(CLUSTER_PARTS)
	touch $@

$(CLUSTER_POLICIES)/kube-router:
	cd test/cluster/policies && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o $@ \
		github.com/cloudnativelabs/kube-router/v2/cmd/kube-router

$(CLUSTER_CERTS)/certs:
	cd test/cluster/certs && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o $@ .
