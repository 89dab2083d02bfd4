#!/bin/bash
# without-samples.sh: takes alice and bob, whose passwords are in the repository, and
# the grant by password out of a realm that is to be published; docs/compose.md has
# what comes after it:
#   docker compose exec keycloak bash /gatehouse/without-samples.sh
set -euo pipefail
. "$(dirname "$0")/admin.sh"
id() { kc get "$1" -q "$2" -q exact=true --fields id --format csv --noquotes; } # id LIST NAME=VALUE
for name in alice bob; do
	user=$(id users "username=$name")
	[ -z "$user" ] || { kc delete "users/$user" && echo "$name is gone"; }
done
kc update "clients/$(id clients clientId=mcp-cli)" -s directAccessGrantsEnabled=false
echo "the grant by password is off"
