# The pages that people see.
TEST_PARTS += pages

AXE := .cache/axe/node_modules/axe-core/axe.min.js

.PHONY: pages words
pages: $(AXE) ## axe on every page, light and dark, narrow and wide, in English and Korean; writes docs/images
	GATEHOUSE_AXE=$(CURDIR)/$(AXE) GATEHOUSE_SCREENSHOTS=$(CURDIR)/docs/images \
	  go test -count=1 -timeout 3m -run 'Chromium|Keyboard' ./authsvc ./test/edge

words: ## Copy the texts of the edge's pages into lua/gatehouse/words.lua
	go test -count=1 -run TheEdgeHasTheseWords ./authsvc/internal/page -update

$(AXE):
	npm install --prefix .cache/axe --no-save --no-audit --no-fund --loglevel=error axe-core@4.14.1
	touch $@
