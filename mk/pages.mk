# The pages that people see.
TEST_PARTS += pages

AXE := .cache/axe/node_modules/axe-core/axe.min.js
LOOK := go test -count=1 -timeout 10m -run 'Chromium|Keyboard' ./authsvc ./test/edge

.PHONY: pages screenshots words
pages: $(AXE) ## axe on every page: light and dark, narrow and wide, English and Korean
	GATEHOUSE_AXE=$(CURDIR)/$(AXE) $(LOOK)

screenshots: ## Take the pictures of docs/images anew
	mkdir -p docs/images
	GATEHOUSE_SCREENSHOTS=$(CURDIR)/docs/images $(LOOK)

words: ## Copy the texts of the edge's pages into lua/gatehouse/words.lua
	go test -count=1 -run TheEdgeHasTheseWords ./authsvc/internal/page -update

$(AXE):
	npm install --prefix .cache/axe --no-save --no-audit --no-fund --loglevel=error axe-core@4.14.1
	touch $@
