.PHONY: cost
cost: ## Hostile messages of 8 MB cost at most 3 times the CPU of a plain one, in all fronts and from a child
	go test -count=1 -timeout 5m ./test/cost

TEST_PARTS += cost
