#!/bin/sh
# expire-clients.sh: take away clients that registered themselves and that
# nobody uses any more. A client is unused while it has no session, online or
# offline, in two runs and in all runs between them. Run it once a day.
# Says what it took away. Needs curl, jq.
#
#   KEYCLOAK_URL                     https://auth.example.com (with its relative path, if any)
#   KEYCLOAK_ADMIN                   admin
#   KEYCLOAK_ADMIN_REALM             where that is a user: master (default), or the realm itself
#   KEYCLOAK_ADMIN_PASSWORD_FILE     file with the admin's password
#   GATEHOUSE_REALM                  name of the realm (default gatehouse)
#   UNUSED_DAYS                      for how long (default 90)
set -eu
umask 077
: "${KEYCLOAK_URL:?}" "${KEYCLOAK_ADMIN_PASSWORD_FILE:?}"
admin=$KEYCLOAK_URL/admin/realms/${GATEHOUSE_REALM:-gatehouse}
limit=$((${UNUSED_DAYS:-90} * 86400))
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Secrets go by file and header file: an argument would show them in ps.
jq -rn --arg user "${KEYCLOAK_ADMIN:-admin}" --rawfile password "$KEYCLOAK_ADMIN_PASSWORD_FILE" \
	'"grant_type=password&client_id=admin-cli&username=\($user | @uri)&password=\($password | rtrimstr("\n") | @uri)"' >"$work/login"
until=0
api() { # api METHOD PATH [FILE]: one call of the admin API
	if [ "$(date +%s)" -ge "$until" ]; then
		curl -sS --fail-with-body "$KEYCLOAK_URL/realms/${KEYCLOAK_ADMIN_REALM:-master}/protocol/openid-connect/token" --data "@$work/login" >"$work/token" ||
			{ echo "expire-clients: no admin token from $KEYCLOAK_URL: check KEYCLOAK_ADMIN and its password" >&2; exit 1; }
		jq -r '"Authorization: Bearer \(.access_token)"' "$work/token" >"$work/header"
		until=$(($(date +%s) + 30)) # an admin's token lives for a minute
	fi
	curl -sS --fail-with-body -X "$1" "$admin$2" -H "@$work/header" -H 'Content-Type: application/json' \
		${3:+--data "@$3"} >"$work/answer" || { echo "expire-clients: $1 $2: $(head -c 300 "$work/answer")" >&2; exit 1; }
}

# Who registered itself has a random id for a name and asks for consent.
first=0
: >"$work/list"
while :; do
	api GET "/clients?first=$first&max=500"
	jq -c '.[] | select(.consentRequired and (.clientId | test("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")))' "$work/answer" >>"$work/list"
	[ "$(jq length "$work/answer")" -eq 500 ] || break
	first=$((first + 500))
done

seen=0 gone=0 now=$(date +%s)
while read -r line; do
	seen=$((seen + 1))
	printf '%s\n' "$line" >"$work/client"
	id=$(jq -r .id "$work/client")
	api GET "/clients/$id/session-count"
	online=$(jq .count "$work/answer")
	api GET "/clients/$id/offline-session-count"
	sessions=$((online + $(jq .count "$work/answer")))
	since=$(jq -r '.attributes["gatehouse.unused.since"] // "" | select(. != "") // "0"' "$work/client")
	if [ "$sessions" -gt 0 ]; then
		[ "$since" = 0 ] && continue
		mark="" # in use again
	elif [ "$since" = 0 ]; then
		mark=$now
	elif [ $((now - since)) -ge "$limit" ]; then
		api DELETE "/clients/$id"
		gone=$((gone + 1))
		continue
	else
		continue
	fi
	jq -c --arg mark "$mark" '.attributes["gatehouse.unused.since"] = $mark' "$work/client" >"$work/one"
	api PUT "/clients/$id" "$work/one"
done <"$work/list"
echo "expire-clients: $seen registered themselves, $gone were unused for ${UNUSED_DAYS:-90} days and are gone"
