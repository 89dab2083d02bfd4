TEST_PARTS += compose-test
LATE_PARTS += publish-test

GATEHOUSE_CACHE ?= $(HOME)/.cache/gatehouse
# By the sum of its module file: a fresh clone builds it only when that changed.
COMPOSE := $(GATEHOUSE_CACHE)/tools/compose-$(shell sha256sum test/tools/compose.sum | cut -c1-12)

$(COMPOSE):
	go build -trimpath -ldflags='-s -w' -modfile=test/tools/compose.mod -o $@ github.com/docker/compose/v2/cmd

.PHONY: compose-test publish-test env-check
compose-test: build deps-run deps-test $(COMPOSE) env-check ## Bring the compose file up on an engine of its own, test it whole, and down
	go test -count=1 ./test/compose
	CACHE=$(GATEHOUSE_CACHE) COMPOSE=$(COMPOSE) bash test/compose/run.sh

publish-test: build deps-run deps-test $(COMPOSE) ## Publish a gate of the compose file by the lines of its page
	CACHE=$(GATEHOUSE_CACHE) COMPOSE=$(COMPOSE) bash test/compose/run.sh published

ENV_FILE ?= .env
env-check: ## Warn where .env can be read by others
	@[ ! -e $(ENV_FILE) ] || [ "$$(stat -c %a $(ENV_FILE))" = 600 ] || \
	  echo "warning: $(ENV_FILE) has mode $$(stat -c %a $(ENV_FILE)): chmod 600 $(ENV_FILE)" >&2
