CONFORMANCE := .cache/conformance

.PHONY: conformance
conformance: $(CONFORMANCE)/installed ## the official MCP conformance suite, both versions, both kinds of child
	go test -tags conformance -count=1 -timeout 10m -v ./test/conformance

$(CONFORMANCE)/installed: test/conformance/package.json
	mkdir -p $(CONFORMANCE)
	cp $< $(CONFORMANCE)/package.json
	cd $(CONFORMANCE) && npm install --no-package-lock --no-audit --no-fund --loglevel=error
	test -x $(CONFORMANCE)/node_modules/node/bin/node
	touch $@

TEST_PARTS += conformance
