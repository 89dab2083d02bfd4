# The soak: the whole gate for hours while one part after another breaks.
HOURS    ?= 2
SEED     ?= 0

.PHONY: soak soak-test
soak: deps-run programs $(KEYCLOAK)/.unpacked ## Run the gate for HOURS=2 under 200 callers while it breaks, by SEED (SOAK="-sessions 200"); the same seed goes on where it was stopped
	go build -o bin/ ./test/soak
	bin/soak -for $(HOURS)h -seed $(SEED) -keycloak $(KEYCLOAK) $(SOAK)

# A minute of faults; the rest of the two is the start and the way back from the last.
soak-test: deps-run programs $(KEYCLOAK)/.unpacked ## The same, short: a minute of faults
	go build -o bin/ ./test/soak
	rm -f .cache/soak/short.json
	bin/soak -short -for 60s -sessions 28 -each 4 -seed $(if $(filter-out 0,$(SEED)),$(SEED),19) -keycloak $(KEYCLOAK) -state .cache/soak/short.json

TEST_PARTS += soak-test
