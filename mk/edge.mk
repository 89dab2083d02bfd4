# The edge: nginx/ and lua/ on a real nginx.
.PHONY: edge
edge: ## the edge: nginx and Lua on a real nginx, with stand-ins behind it
	luacheck --quiet lua test/lua
	cd test/lua && busted --lpath="../../lua/?.lua;./?.lua" --pattern=_spec .
	go test -race -count=1 -parallel 6 -timeout 5m ./test/edge/... ./deploy/check/...

TEST_PARTS += edge
