#!/bin/bash
# add-user.sh: somebody who may sign in, with a password for the first time:
#   docker compose exec keycloak bash /gatehouse/add-user.sh NAME EMAIL [ROLE...]
set -euo pipefail
[ $# -ge 2 ] || { echo "add-user: want NAME EMAIL [ROLE...], as in carol carol@example.com mcp-admin" >&2; exit 2; }
name=$1 email=$2
shift 2
. "$(dirname "$0")/admin.sh"
password=$(head -c 15 /dev/urandom | base64)
kc create users -s "username=$name" -s "email=$email" -s emailVerified=true -s enabled=true
KC_CLI_PASSWORD=$password kc set-password --username "$name" --temporary
for role in mcp-user "$@"; do kc add-roles --uusername "$name" --rolename "$role"; done
echo "$name signs in with $password, and is then asked for another"
