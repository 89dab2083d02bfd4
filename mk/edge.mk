# The edge: nginx/ and lua/ on a real nginx.
.PHONY: edge
edge: ## the edge: nginx and Lua on a real nginx, with stand-ins behind it
	luacheck --std ngx_lua --no-max-line-length lua
	go test -race -count=1 -timeout 3m ./test/edge/...

TEST_PARTS += edge
