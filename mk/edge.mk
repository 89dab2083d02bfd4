# The edge: nginx/ and lua/ on a real nginx.
.PHONY: edge edge-trixie
# This machine's nginx, or that of a Debian release in a tree of its own.
NGINX ?=
unexport NGINX   # nginx itself reads sockets from a variable of that name
EDGE_TREE = $(if $(NGINX),$(shell CACHE=$(GATEHOUSE_CACHE) sh test/edge/tree.sh $(NGINX) || echo failed))
EDGE_ENV = $(if $(NGINX),PATH="$(EDGE_TREE)/.bin:$$PATH" GATEHOUSE_NGINX_TREE="$(EDGE_TREE)")

edge: ## the edge: nginx and Lua on a real nginx, with stand-ins behind it (NGINX=bookworm|trixie|sid: that release's nginx)
	luacheck --quiet lua test/lua
	cd test/lua && busted --lpath="../../lua/?.lua;./?.lua" --pattern=_spec .
	$(EDGE_ENV) nginx -v
	$(EDGE_ENV) go test -race -count=1 -parallel 6 -timeout 15m ./test/edge/... ./deploy/check/...

edge-trixie: ## the edge on the nginx of Debian 13
	$(MAKE) --no-print-directory edge NGINX=trixie

TEST_PARTS += edge
LATE_PARTS += edge-trixie
