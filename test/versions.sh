#!/bin/bash
# versions.sh go|java|node...: each is there and new enough, or one line says
# what is wanted and how to get it.
set -euo pipefail
fail() { printf '%s\n' "$*" >&2; exit 1; }
older() { [ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -1)" = "$1" ]; }

for what in "$@"; do
	case $what in
	go)
		want=$(sed -n 's/^go //p' go.mod)
		command -v go >/dev/null || fail "go: none on the PATH; install $want or newer from https://go.dev/dl"
		have=$(go env GOVERSION | sed 's/^go//')
		! older "$have" "$want" || fail "go: $have is too old, $want is wanted; \`go env -w GOTOOLCHAIN=auto\` lets Go fetch it, or install it from https://go.dev/dl"
		;;
	java)
		# Without one the package brings it.
		command -v java >/dev/null || continue
		have=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -1)
		[ "${have:-0}" -ge 17 ] || fail "java: $have is too old for Keycloak, 17 is wanted; install default-jre-headless and put it first on the PATH"
		;;
	node)
		command -v node >/dev/null || fail "node: none on the PATH; the tests drive clients that need Node 20 or newer with npx: install it from https://nodejs.org"
		have=$(node --version | sed 's/^v//')
		! older "$have" 20 || fail "node: $have is too old, 20 is wanted: install it from https://nodejs.org"
		command -v npx >/dev/null || fail "node: npx is not on the PATH; it comes with npm"
		;;
	esac
done
