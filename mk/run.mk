TEST_PARTS += e2e

GATEHOUSE_CACHE ?= $(HOME)/.cache/gatehouse
KEYCLOAK_VERSION := 26.7.3
KEYCLOAK := $(GATEHOUSE_CACHE)/keycloak-$(KEYCLOAK_VERSION)
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
RUN_PACKAGES := nginx libnginx-mod-http-lua lua-resty-core lua-resty-lrucache redis-server openjdk-17-jre-headless jq curl unzip maven
TEST_PACKAGES := certbot chromium debootstrap docker.io dpkg-dev iproute2 iptables logrotate lua-busted lua-check openssl pebble prometheus python3-venv systemd

.PHONY: run deps deps-run deps-test e2e programs

run: deps-run programs $(KEYCLOAK)/.unpacked ## Start the whole gate on this machine; Ctrl-C stops it
	@exec bin/run -keycloak $(KEYCLOAK) $(RUN_ARGS)

e2e: deps-run programs $(KEYCLOAK)/.unpacked ## End-to-end tests on real nginx, Redis and Keycloak
	GATEHOUSE_KEYCLOAK=$(KEYCLOAK) go test -tags e2e -count=1 -timeout 8m -v ./test/e2e

programs: build
	CGO_ENABLED=0 go build -trimpath -o bin/ ./deploy/demo ./test/run

deps: deps-run deps-test ## Install what is missing, by package name

# A package is asked for by its files' presence, so that a machine which has all
# needs no network.
define install_missing
	@missing=""; for p in $(1); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then echo "installing:$$missing"; $(SUDO) apt-get update -q && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing; fi
endef

deps-run:
	$(call install_missing,$(filter-out $(if $(shell command -v java),openjdk-17-jre-headless) $(if $(shell command -v mvn),maven),$(RUN_PACKAGES)))

deps-test:
	@node --version 2>/dev/null | grep -qE '^v(2[0-9]|[3-9][0-9])\.' || { echo "node: the tests drive clients that need Node 20 or newer with npx on the PATH; install it from nodejs.org" >&2; exit 1; }
	$(call install_missing,$(TEST_PACKAGES))

$(KEYCLOAK)/.unpacked: | deps-run
	mvn -q dependency:get -Dartifact=org.keycloak:keycloak-quarkus-dist:$(KEYCLOAK_VERSION):zip -Dtransitive=false
	mkdir -p $(GATEHOUSE_CACHE)
	cd $(GATEHOUSE_CACHE) && rm -rf keycloak-$(KEYCLOAK_VERSION) && \
	  unzip -q $(HOME)/.m2/repository/org/keycloak/keycloak-quarkus-dist/$(KEYCLOAK_VERSION)/keycloak-quarkus-dist-$(KEYCLOAK_VERSION).zip && \
	  chmod +x keycloak-$(KEYCLOAK_VERSION)/bin/*.sh
	touch $@
