# The pages that are made from the programs.
REFERENCE_TESTS := ./bridge ./bridge/internal/connect/cli ./authsvc ./test/doctor ./test/run ./deploy/check ./test/reference

.PHONY: reference
reference: ## Write docs/reference from the programs' own flags, fields and metrics; a test fails where it differs
	REFERENCE=write go test -count=1 -p 1 -run 'Reference$$|^TestNginxSite$$|^TestAuditFields$$' $(REFERENCE_TESTS)
