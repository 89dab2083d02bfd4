.PHONY: policy-test policy-bench policy-fuzz
policy-test: ## Policy, audit log, metrics and the guard that joins them
	go test -race -timeout 5m ./bridge/internal/policy ./bridge/internal/audit ./bridge/internal/telemetry ./bridge/internal/guard

policy-bench: ## What policy, audit and metrics cost a call, and tracing that is off
	go test -run '^$$' -bench 'Decide|Call|Off' ./bridge/internal/policy ./bridge/internal/guard ./internal/tracing

policy-fuzz: ## Fuzz the readers of policies, params, URIs and trace contexts and the writer of audit lines, 30 s each
	go test -run '^$$' -fuzz FuzzParse -fuzztime 30s ./bridge/internal/policy
	go test -run '^$$' -fuzz FuzzItems -fuzztime 30s ./bridge/internal/policy
	go test -run '^$$' -fuzz FuzzResource -fuzztime 30s ./bridge/internal/policy
	go test -run '^$$' -fuzz FuzzArgs -fuzztime 30s ./bridge/internal/policy
	go test -run '^$$' -fuzz FuzzRecord -fuzztime 30s ./bridge/internal/audit
	go test -run '^$$' -fuzz FuzzTrace -fuzztime 30s ./bridge/internal/rpc

TEST_PARTS += observe-check

.PHONY: observe-check
observe-check: ## Prometheus configuration, alert rules and their tests, by promtool, and the dashboard by Grafana's schemas
	promtool check config deploy/prometheus/prometheus.yml deploy/prometheus/compose.yml
	cd deploy/prometheus && promtool test rules rules_test.yml
	cd test/grafana && go run . ../../deploy/grafana/dashboards/gatehouse.json ../../deploy/grafana/provisioning/datasources/prometheus.yml
