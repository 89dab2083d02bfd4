TEST_PARTS += kubernetes-test

.PHONY: kubernetes-test
kubernetes-test: ## Decode the Kubernetes manifests strictly
	cd test/kubernetes && go run . ../../deploy/kubernetes/overlays/example
	cd test/kubernetes && go run . credentials
	cd test/kubernetes && go test -count=1 .
