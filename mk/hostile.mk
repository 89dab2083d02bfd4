.PHONY: hostile-test
hostile-test: ## A hostile server in the box of the bridge and without it: what each of its tries got
	go test -count=1 -timeout 3m -v ./test/hostile

TEST_PARTS += hostile-test
