# The benchmarks: what gatehouse costs beside its peers and beside the limit.
PART    ?= bridge,idle,auth,redis,gate,policy,connect
ROUNDS  ?= 5
WINDOW  ?= 1s
STREAMS ?= 2000
SESSIONS ?= 10000
ROWS    ?=
BESIDE  ?=
HOLD    ?= 10m
LOAD    := .cache/load
# Of part scale.
SCALE    ?= 10000
ACTIVE   ?= 50
SERVER   ?= everything
SLEEP    ?= 15s
TOLD     ?= user

.PHONY: bench bench-tools
bench: bench-tools $(if $(findstring scale,$(PART)),.cache/servers/npm/.installed) $(if $(findstring door,$(PART)),.cache/servers/venv/.installed) ## measure everything and write docs/benchmarks.md (PART=bridge,idle,auth,redis,gate,policy,connect, or door, or gate-idle: 500 streams for HOLD=10m, or scale: SCALE=10000 sessions of SERVER=everything|child that sleep after SLEEP=15s (TOLD=none: any child does for any user), ACTIVE=50 of them call at once for HOLD=5m, or fair: quiet users beside one who takes all he gets, WINDOW=10s; ROUNDS=5 WINDOW=1s STREAMS=2000 ROWS=limit,signed BESIDE=an-earlier-build-of-the-bridge)
	$(LOAD)/load -part $(PART) -rounds $(ROUNDS) -window $(WINDOW) -streams $(STREAMS) -sessions $(SESSIONS) -rows "$(ROWS)" -beside "$(BESIDE)" -hold $(HOLD) -scale $(SCALE) -active $(ACTIVE) -server $(SERVER) -sleep $(SLEEP) -told $(TOLD) -tools $(LOAD)
	@$(MAKE) --no-print-directory scale-table >/dev/null

.PHONY: scale-table
scale-table: ## Write the table "users to hosts" of docs/scale.md from the figures of docs/benchmarks.md
	go run ./test/load/sim

# As they are shipped: a build with cgo links libc, which is 1.5 MB of a process.
bench-tools: $(LOAD)/peers/.installed $(LOAD)/oauth2-proxy
	CGO_ENABLED=0 go build -trimpath -o bin/ ./bridge ./authsvc
	CGO_ENABLED=0 go build -trimpath -o $(LOAD)/ ./test/load ./test/load/limit ./test/load/child ./bridge/connect

# The peers, at the versions that the tables name.
$(LOAD)/peers/.installed:
	npm install --prefix $(LOAD)/peers --no-save --no-audit --no-fund supergateway@4.0.0 mcp-proxy@6.7.19 mcp-remote@0.15.1
	touch $@

$(LOAD)/oauth2-proxy: test/tools/oauth2proxy.mod
	go build -modfile=$< -o $@ github.com/oauth2-proxy/oauth2-proxy/v7

.PHONY: load-test
load-test: ## the load program's own tests: it finds wrong and foreign answers
	go test -race ./test/load/...

TEST_PARTS += load-test
