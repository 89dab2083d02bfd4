# Real programs against the whole gate, each from nothing but its address.
.PHONY: field-test
LATE_PARTS += field-test

FIELD_NPM := @anthropic-ai/claude-code@2.1.332 @openai/codex@0.171.0 opencode-ai@1.18.33 @modelcontextprotocol/inspector@2.12.0
FIELD_PIP := fastmcp==4.2.3
FIELD := $(GATEHOUSE_CACHE)/field-$(shell echo $(FIELD_NPM) $(FIELD_PIP) | sha256sum | cut -c1-12)

$(FIELD)/.installed:
	mkdir -p $(FIELD)
	npm install --prefix $(FIELD) --no-save --no-audit --no-fund --loglevel=error $(FIELD_NPM)
	python3 -m venv $(FIELD)/py && $(FIELD)/py/bin/pip install -q --disable-pip-version-check $(FIELD_PIP)
	touch $@

field-test: deps-run deps-test programs $(KEYCLOAK)/.unpacked $(FIELD)/.installed ## Claude Code, Codex, opencode, Inspector, fastmcp: sign in, tools, renewal, sign-out
	GATEHOUSE_KEYCLOAK=$(KEYCLOAK) GATEHOUSE_FIELD=$(FIELD) go test -tags "e2e field" -run TestField -count=1 -timeout 12m -v ./test/e2e
