# gatehouse: `make help` lists what there is. Each room keeps its own targets in
# mk/ROOM.mk and adds what belongs to `make test` to TEST_PARTS.
SHELL := /bin/bash
.DEFAULT_GOAL := help
TEST_PARTS := lint unit
# What downloads or builds much; .ci/run runs it after `make test`.
LATE_PARTS :=
include $(sort $(wildcard mk/*.mk))

.PHONY: help build lint unit test test-late clean

help: ## List the targets
	@awk -F':.*## ' '/^[a-z][a-z0-9-]*:.*## / {printf "%-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST) | sort

build: ## Build the programs into bin/
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -o bin/ ./bridge ./authsvc

GOLANGCI := .cache/tools/golangci-lint

$(GOLANGCI): test/tools/golangci.mod
	go build -trimpath -modfile=$< -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

lint: $(GOLANGCI) ## gofmt, vet, golangci-lint
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	if [ -n "$$unformatted" ]; then echo "gofmt would change:" $$unformatted; exit 1; fi
	go vet ./...
	$(GOLANGCI) run ./...

# Packages that a part of their own tests; unit leaves them to it.
OWN_PART := /(test/(bridge|slack|edge|doctor|load|cost|hostile)|deploy/check)(/|$$)

# The longest first, so that none of them is left to run alone at the end.
LONGEST := ./authsvc ./bridge ./bridge/internal/session

# A program under the race detector sleeps for a second before it ends, by
# default: so would each of the hundreds of children that the tests start.
unit: ## Unit tests with the race detector
	GORACE=atexit_sleep_ms=50 go test -race -count=1 -timeout 20m $(LONGEST) $$(go list ./... | grep -Ev '$(OWN_PART)')

# The longest first, for the same reason; the end-to-end suite is past the one of compose-test then.
LONG_PARTS := compose-test unit e2e bridge-test soak-test

test: deps build ## Everything: each part of TEST_PARTS, with its seconds
	@test/parts.sh $(LONG_PARTS) $(filter-out $(LONG_PARTS),$(TEST_PARTS))

test-late: ## What downloads or builds much: each part of LATE_PARTS, one after another
	@test/late.sh $(LATE_PARTS)

clean: ## Take away what the other targets made
	rm -rf bin dist .cache
