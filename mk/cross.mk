TEST_PARTS += cross

SYSTEMS := darwin/arm64 darwin/amd64 windows/amd64

.PHONY: cross
cross: ## Build the programs for macOS and Windows, and vet what is different there
	@for s in $(SYSTEMS); do echo $$s; \
	  GOOS=$${s%/*} GOARCH=$${s#*/} CGO_ENABLED=0 go build ./bridge ./authsvc || exit 1; done
	GOOS=darwin GOARCH=arm64 CGO_ENABLED=0 go vet ./bridge/... ./internal/...
	GOOS=windows GOARCH=amd64 CGO_ENABLED=0 go vet ./bridge/... ./internal/...
