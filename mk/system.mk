# After run.mk, whose variables it uses.
LATE_PARTS += production-test

KEYCLOAK_ZIP = $(HOME)/.m2/repository/org/keycloak/keycloak-quarkus-dist/$(KEYCLOAK_VERSION)/keycloak-quarkus-dist-$(KEYCLOAK_VERSION).zip

.PHONY: production-test
production-test: deps-run deps-test $(KEYCLOAK)/.unpacked packaged $(NFPM) ## Boot a Debian tree and do what docs/production.md says
	@[ -f $(KEYCLOAK_ZIP) ] || mvn -q dependency:get -Dartifact=org.keycloak:keycloak-quarkus-dist:$(KEYCLOAK_VERSION):zip -Dtransitive=false
	CACHE=$(GATEHOUSE_CACHE) NFPM=$(NFPM) KEYCLOAK_ZIP=$(KEYCLOAK_ZIP) bash test/production/run.sh
