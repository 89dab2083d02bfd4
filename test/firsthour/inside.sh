#!/bin/bash
# Runs inside the tree, where nothing was typed yet.
set -euo pipefail
release=$1 began=$(date +%s)
say() { printf 'first hour: %s: %s\n' "$release" "$*"; }
fail() { say "$*"; tail -n 30 /root/*.log; exit 1; }

# What the README asks for beside Go.
export DEBIAN_FRONTEND=noninteractive
{ update-ca-certificates && apt-get update -q && apt-get install -y -q --no-install-recommends git make; } >/root/before.log 2>&1 || fail "git and make"
cd /root/gatehouse
git config --global --add safe.directory /root/gatehouse
say "$(. /etc/os-release && echo "$PRETTY_NAME"), $(go version | cut -d' ' -f3), $(nproc) cores; git and make took $(($(date +%s) - began)) s"

# start LOG TYPED: types a line, and goes on when it says that all is ready.
start() {
	local log=$1 at
	at=$(date +%s)
	: >"$log"
	bash -c "$2" >"$log" 2>&1 & typed=$!
	until grep -q '^Ctrl-C stops everything' "$log"; do
		kill -0 $typed 2>/dev/null || fail "\`$2\` ended"
		[ $(($(date +%s) - at)) -lt 900 ] || fail "\`$2\` is not ready after 15 minutes"
		sleep 0.2
	done
	say "\`$2\` is ready after $(($(date +%s) - at)) s"
	grep -E '^deps: installing|^deps:   (Need|After)| up: |^tools/|^ready in' "$log" | sed 's/^/    /'
}
stop() {
	kill -INT "$(cat .run/lock)"
	wait $typed || true
	# What it cost whatever else the machine did meanwhile: user and system time.
	times >/root/times # not in a pipe: that would be another shell, whose times these are not
	say "since the begin, CPU of user and system: $(tail -n 1 /root/times)"
}
since() { echo $(($(stat -c %Y "$1") - first)); }

first=$(date +%s)
start /root/first.log "make run"
say "of these: programs built at $(since bin/run) s, Keycloak unpacked at $(since "$HOME/.cache/gatehouse/keycloak-"*/.unpacked) s"
stop

# A server of one's own, in the file that a desktop client has.
cat >mcp.json <<'END'
{"mcpServers": {"mine": {"command": "/root/gatehouse/bin/demo"}}}
END
start /root/second.log 'make run RUN_ARGS="-config mcp.json"'
make user NAME=carol >/root/user.log 2>&1 || fail "make user"
say "$(cat /root/user.log)"

# Carol, by the lines that make run printed for curl, with her name in them.
eval "$(sed -n '/TOKEN=\$(curl/,/jq -r/p' /root/second.log | sed 's/username=alice/username=carol/; s/alice-local/carol-local/')"
printf %s "$TOKEN" >/root/token
: >/root/carol.log
{
	echo '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"hour","version":"1"}}}'
	echo '{"jsonrpc":"2.0","method":"notifications/initialized"}'
	echo '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"whoami","arguments":{}}}'
	for _ in $(seq 100); do ! grep -q '"id":2' /root/carol.log || break; sleep 0.1; done
} | bin/bridge connect --ca .run/ca.pem --token-file /root/token https://localhost:8443/mcp >/root/carol.log 2>/root/connect.log
grep -q 'carol@example.com' /root/carol.log || fail "carol cannot call: $(cat /root/carol.log)"
# curl, by the page's own lines.
page() { grep "^$1" docs/clients/curl.md; }
eval "$(page TOKEN=)"
SESSION=$(eval "$(page 'curl .*"initialize"')" 2>/dev/null | tr -d '\r' | sed -n 's/^mcp-session-id: //Ip')
[ -n "$SESSION" ] || fail "docs/clients/curl.md opens no session"
eval "$(page 'curl .*"tools/list"')" 2>/dev/null | grep -q '"whoami"' || fail "docs/clients/curl.md lists no tools"
say "docs/clients/curl.md: a token, a session, its tools"

say "carol, who was added while it ran, calls whoami on the server of mcp.json"
stop
say "$(($(date +%s) - began)) s in all"
