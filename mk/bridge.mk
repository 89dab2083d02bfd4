TEST_PARTS += bridge-test

# The race detector would watch the tests' own client alone: the bridge is a
# program of its own here.
.PHONY: bridge-test
bridge-test: ## The bridge from outside, as its own program: all eras, bounds, faults; and the guide's example server
	go test -count=1 -timeout 20m ./test/bridge ./test/slack
