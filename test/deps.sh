#!/bin/bash
# deps.sh PACKAGE...: installs what is missing, and says before what that is. A
# package is asked for by its files' presence, so a machine that has all needs
# no network. No service of the packages is left running that did not run before:
# the gate starts nginx and Redis itself, in a folder of its own.
set -euo pipefail
say() { printf 'deps: %s\n' "$*"; }
fail() { printf 'deps: %s\n' "$*" >&2; exit 1; }
has() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }

command -v apt-get >/dev/null || fail "this target installs Debian packages, and there is no apt-get here; install by hand: $*"
missing=()
for package in "$@"; do has "$package" || missing+=("$package"); done
[ ${#missing[@]} -gt 0 ] || exit 0

sudo=()
[ "$(id -u)" = 0 ] || { command -v sudo >/dev/null || fail "root or sudo is needed to install: ${missing[*]}"; sudo=(sudo); }
"${sudo[@]}" apt-get update -q >/dev/null || fail "apt-get update fails; is there a network?"
plan=$(apt-get install --assume-no --no-install-recommends "${missing[@]}" 2>/dev/null || true)
say "installing ${missing[*]}"
grep -E '^(Need to get|After this operation)' <<<"$plan" | sed 's/^/deps:   /' || true

# A file of this name keeps packages from starting their services.
policy=/usr/sbin/policy-rc.d
units=(nginx redis-server docker containerd prometheus certbot.timer)
if [ ! -e $policy ]; then
	say "  their services (${units[*]}) are not started; what runs already goes on"
	printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee $policy >/dev/null
	"${sudo[@]}" chmod 755 $policy
	trap '"${sudo[@]}" rm -f $policy' EXIT
fi
absent=()
if [ -d /run/systemd/system ]; then
	for unit in "${units[@]}"; do systemctl cat "$unit" >/dev/null 2>&1 || absent+=("$unit"); done
fi
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
# Nor at the next boot.
for unit in "${absent[@]}"; do
	! systemctl cat "$unit" >/dev/null 2>&1 || "${sudo[@]}" systemctl disable --quiet "$unit" 2>/dev/null || true
done
