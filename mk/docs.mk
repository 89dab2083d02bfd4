# The pages that are made from the programs.
REFERENCE_TESTS := ./bridge ./bridge/internal/connect/cli ./authsvc ./test/doctor ./test/run ./deploy/check ./test/rules

.PHONY: reference
reference: ## Write docs/reference from the programs' own flags, fields and metrics; a test fails where it differs
	REFERENCE=write go test -count=1 -p 1 -run 'Reference$$|^TestNginxSite$$|^TestAuditFields$$' $(REFERENCE_TESTS)

# The README's lines on a fresh tree of Debian.
RELEASES ?= bookworm trixie

.PHONY: first-hour-test
first-hour-test: deps-test ## The README's lines on fresh Debian trees, timed by part (RELEASES="bookworm trixie")
	CACHE=$(GATEHOUSE_CACHE) bash test/firsthour/run.sh $(RELEASES)

LATE_PARTS += guide-test

.PHONY: guide-test
guide-test: deps-test ## A reader of the guide moves over by the lines of docs/guide.ko.md, and back
	CACHE=$(GATEHOUSE_CACHE) bash test/guide/run.sh
