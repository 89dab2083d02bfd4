COMPOSE := .cache/tools/compose

$(COMPOSE): test/tools/compose.mod
	go build -trimpath -ldflags='-s -w' -modfile=test/tools/compose.mod -o $@ github.com/docker/compose/v2/cmd

.PHONY: compose-test env-check
compose-test: $(COMPOSE) env-check ## Bring the compose file up on an engine of its own, and down
	bash test/compose/run.sh

env-check: ## Warn where .env can be read by others
	@[ ! -e .env ] || [ "$$(stat -c %a .env)" = 600 ] || echo "warning: .env has mode $$(stat -c %a .env): chmod 600 .env" >&2
