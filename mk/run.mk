TEST_PARTS += e2e

GATEHOUSE_CACHE ?= $(HOME)/.cache/gatehouse
KEYCLOAK_VERSION := 26.7.3
KEYCLOAK := $(GATEHOUSE_CACHE)/keycloak-$(KEYCLOAK_VERSION)
RUN_PACKAGES := nginx libnginx-mod-http-lua lua-resty-core lua-resty-lrucache redis-server default-jre-headless jq curl unzip maven
TEST_PACKAGES := certbot chromium debootstrap docker.io dpkg-dev iproute2 iptables logrotate lua-busted lua-check openssl pebble prometheus python3-venv systemd

.PHONY: run user deps deps-run deps-test e2e programs runner seeded

# The programs are built while packages are installed, Keycloak is fetched, and it
# makes itself ready.
run: ## Start the whole gate on this machine, before the demo or your own server (RUN_ARGS="-- COMMAND ARG..."); Ctrl-C stops it
	@test/versions.sh go java
	@$(MAKE) --no-print-directory -j2 runner deps-run seeded programs
	@exec bin/run -keycloak $(KEYCLOAK) $(RUN_ARGS)

user: ## Add a colleague with the role to the gate that runs (NAME=carol)
	@exec bin/run user $(NAME)

e2e: deps-run programs $(KEYCLOAK)/.unpacked ## End-to-end tests on real nginx, Redis and Keycloak
	GATEHOUSE_KEYCLOAK=$(KEYCLOAK) go test -tags e2e -count=1 -timeout 20m -v ./test/e2e

programs: build runner
	CGO_ENABLED=0 go build -trimpath -o bin/ ./deploy/demo

# What the rest is started by comes first.
runner:
	CGO_ENABLED=0 go build -trimpath -o bin/ ./test/run

seeded: runner deps-run $(KEYCLOAK)/.unpacked
	@bin/run seed -keycloak $(KEYCLOAK) $(RUN_ARGS)

deps: deps-run deps-test ## Install what is missing, by package name

define install_missing
	@test/deps.sh $(1)
endef

# Any JRE from 17 on; Debian's default is 17 or 21.
deps-run:
	@test/versions.sh go java
	$(call install_missing,$(filter-out $(if $(shell command -v java),default-jre-headless) $(if $(shell command -v mvn),maven),$(RUN_PACKAGES)))

deps-test:
	@test/versions.sh go node
	$(call install_missing,$(TEST_PACKAGES))

$(KEYCLOAK)/.unpacked: | deps-run
	mvn -q dependency:get -Dartifact=org.keycloak:keycloak-quarkus-dist:$(KEYCLOAK_VERSION):zip -Dtransitive=false
	mkdir -p $(GATEHOUSE_CACHE)
	cd $(GATEHOUSE_CACHE) && rm -rf keycloak-$(KEYCLOAK_VERSION) && \
	  unzip -q $(HOME)/.m2/repository/org/keycloak/keycloak-quarkus-dist/$(KEYCLOAK_VERSION)/keycloak-quarkus-dist-$(KEYCLOAK_VERSION).zip && \
	  chmod +x keycloak-$(KEYCLOAK_VERSION)/bin/*.sh
	touch $@

# Real programs against the whole gate, each from nothing but its address.
.PHONY: field-test
LATE_PARTS += field-test

FIELD_NPM := @anthropic-ai/claude-code@2.1.332 @openai/codex@0.171.0 opencode-ai@1.18.33 \
	@modelcontextprotocol/inspector@2.12.0 @google/gemini-cli@0.61.0 @github/copilot@1.0.102
FIELD_PIP := fastmcp==4.2.3
FIELD := $(GATEHOUSE_CACHE)/field-$(shell echo $(FIELD_NPM) $(FIELD_PIP) | sha256sum | cut -c1-12)

$(FIELD)/.installed:
	mkdir -p $(FIELD)
	npm install --prefix $(FIELD) --no-save --no-audit --no-fund --loglevel=error $(FIELD_NPM)
	python3 -m venv $(FIELD)/py && $(FIELD)/py/bin/pip install -q --disable-pip-version-check $(FIELD_PIP)
	touch $@

field-test: deps-run deps-test programs $(KEYCLOAK)/.unpacked $(FIELD)/.installed ## Seven clients as people have them: a token and a call; sign in, tools, renewal, sign-out
	GATEHOUSE_KEYCLOAK=$(KEYCLOAK) GATEHOUSE_FIELD=$(FIELD) go test -tags "e2e field" -run TestField -count=1 -timeout 12m -v ./test/e2e
