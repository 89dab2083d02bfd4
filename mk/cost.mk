.PHONY: cost
cost: ## Hostile messages of 8 MB cost at most 3 times the CPU of a plain one, in all fronts and from a child; 10,000 sessions fit in 40 MB
	go test -count=1 -timeout 5m ./test/cost
	go test -count=1 -timeout 5m -run '^TestTenThousandSessionsFit$$' ./authsvc

TEST_PARTS += cost
