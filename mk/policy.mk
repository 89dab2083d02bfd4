TEST_PARTS += policy-test

.PHONY: policy-test policy-bench policy-fuzz
policy-test: ## Policy, audit log, metrics and the guard that joins them
	go test -race -timeout 5m ./bridge/internal/policy ./bridge/internal/audit ./bridge/internal/telemetry ./bridge/internal/guard

policy-bench: ## How long a decision of a 200-rule policy takes, with and without CEL
	go test -run '^$$' -bench Decide ./bridge/internal/policy

policy-fuzz: ## Fuzz the policy reader and the reader of params, 30 s each
	go test -run '^$$' -fuzz FuzzParse -fuzztime 30s ./bridge/internal/policy
	go test -run '^$$' -fuzz FuzzItems -fuzztime 30s ./bridge/internal/policy

TEST_PARTS += observe-check

.PHONY: observe-check
observe-check: ## Prometheus configuration, alert rules and their tests, by promtool
	promtool check config deploy/prometheus/prometheus.yml
	cd deploy/prometheus && promtool test rules rules_test.yml
