#!/bin/sh
# apply.sh: bring a running Keycloak to deploy/keycloak/gatehouse-realm.json,
# as often as you like: what is there already is left, what differs is changed,
# nothing is deleted, no person is touched. Says what it changed. Needs curl, jq.
#
#   KEYCLOAK_URL                     https://auth.example.com (with its relative path, if any)
#   KEYCLOAK_ADMIN                   admin
#   KEYCLOAK_ADMIN_REALM             where that is a user: master (default), or the realm itself, for an
#                                    administrator of it alone (realm-management: realm-admin)
#   KEYCLOAK_ADMIN_PASSWORD_FILE     file with the admin's password
#   GATEHOUSE_PUBLIC_URL             https://mcp.example.com
#   GATEHOUSE_BACKCHANNEL_URL        where Keycloak reaches authsvc (default PUBLIC_URL/backchannel-logout)
#   GATEHOUSE_CLIENT_SECRET_FILE     file with mcp-gateway's secret
#   GATEHOUSE_FRONTEND_URL           where the public reaches Keycloak, if that is not the server's own
#                                    name: https://mcp.example.com/auth
#   GATEHOUSE_SERVERS                servers that get a scope of their own, mcp.access.NAME (default none); then
#                                    tell authsvc: --server-scope mcp.access.{server}
#   GATEHOUSE_REALM                  name of the realm (default gatehouse)
#   GATEHOUSE_LOCAL_PASSWORD_GRANT   true for a laptop alone, whose samples fetch tokens by password (default false)
set -eu
umask 077
: "${KEYCLOAK_URL:?}" "${KEYCLOAK_ADMIN_PASSWORD_FILE:?}" "${GATEHOUSE_PUBLIC_URL:?}" "${GATEHOUSE_CLIENT_SECRET_FILE:?}"
realm=${GATEHOUSE_REALM:-gatehouse}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
changed=0

# The file with its values filled in; by jq, so that no value is read as code.
jq --arg url "$GATEHOUSE_PUBLIC_URL" --rawfile secret "$GATEHOUSE_CLIENT_SECRET_FILE" --arg realm "$realm" --arg front "${GATEHOUSE_FRONTEND_URL-}" \
	--arg back "${GATEHOUSE_BACKCHANNEL_URL:-$GATEHOUSE_PUBLIC_URL/backchannel-logout}" '
	walk(if type == "string" then
		gsub("\\$\\{GATEHOUSE_PUBLIC_URL\\}"; $url) | gsub("\\$\\{GATEHOUSE_BACKCHANNEL_URL\\}"; $back)
		| gsub("\\$\\{GATEHOUSE_CLIENT_SECRET\\}"; $secret | rtrimstr("\n"))
		| if . == "${GATEHOUSE_LOCAL_PASSWORD_GRANT:false}" then env.GATEHOUSE_LOCAL_PASSWORD_GRANT == "true" else . end else . end)
	| .realm = $realm | if $front != "" then .attributes.frontendUrl = $front else . end
	| .scopeMappings[].roles |= map(if . == "default-roles-gatehouse" then "default-roles-" + ($realm | ascii_downcase) else . end)' \
	"$(dirname "$0")/gatehouse-realm.json" >"$work/want"

# Secrets go by file and header file: an argument would show them in ps.
jq -rn --arg user "${KEYCLOAK_ADMIN:-admin}" --rawfile password "$KEYCLOAK_ADMIN_PASSWORD_FILE" \
	'"grant_type=password&client_id=admin-cli&username=\($user | @uri)&password=\($password | rtrimstr("\n") | @uri)"' >"$work/login"
login() {
	curl -sS --fail-with-body "$KEYCLOAK_URL/realms/${KEYCLOAK_ADMIN_REALM:-master}/protocol/openid-connect/token" --data "@$work/login" >"$work/token" ||
		{ echo "apply: no admin token from $KEYCLOAK_URL: check KEYCLOAK_ADMIN and its password" >&2; exit 1; }
	jq -r '"Authorization: Bearer \(.access_token)"' "$work/token" >"$work/header"
	until=$(($(date +%s) + 30)) # an admin's token lives for a minute
}
login

api() { # api METHOD PATH [FILE]: one call of the admin API
	[ "$(date +%s)" -lt "$until" ] || login
	curl -sS --fail-with-body -X "$1" "$KEYCLOAK_URL/admin/realms$2" -H "@$work/header" -H 'Content-Type: application/json' \
		${3:+--data "@$3"} >"$work/answer" || { echo "apply: $1 $2: $(head -c 300 "$work/answer")" >&2; exit 1; }
}
want() { jq -c "$1" "$work/want" >"$work/one"; }
tell() { changed=$((changed + 1)); echo "apply: $*"; }

# upsert WHAT LIST MATCH: make $work/one be in the list at a path; MATCH is a
# jq condition on a present one, with $one. $id is then its id.
upsert() {
	api GET "$2"
	jq -c --slurpfile one "$work/one" "\$one[0] as \$one | map(select($3)) | .[0] // empty" "$work/answer" >"$work/have"
	if [ ! -s "$work/have" ]; then
		api POST "${2%%\?*}" "$work/one"
		tell "$1: made"
		api GET "$2"
		jq -c --slurpfile one "$work/one" "\$one[0] as \$one | map(select($3)) | .[0]" "$work/answer" >"$work/have"
	elif jq -ce --slurpfile one "$work/one" "$merge" "$work/have" >"$work/merged"; then
		api PUT "${2%%\?*}/$(jq -r "$key" "$work/have")" "$work/merged"
		tell "$1: changed"
	fi
	id=$(jq -r .id "$work/have")
}
# What differs, or nothing. The order in a list has no meaning to Keycloak.
merge='def sorted: walk(if type == "array" then sort else . end);
	. as $have | ($have * $one[0]) as $new | if ($new | sorted) == ($have | sorted) then empty else $new end'

# 1. The realm: its own values only, and the lists that are values.
scalars='with_entries(select((.key | IN("supportedLocales", "enabledEventTypes", "attributes"))
	or (.value | type != "array" and type != "object")))'
want "$scalars"
if curl -sS -o /dev/null --fail "$KEYCLOAK_URL/admin/realms/$realm" -H "@$work/header" 2>/dev/null; then
	api GET "/$realm"
	mv "$work/answer" "$work/have"
	if jq -ce --slurpfile one "$work/one" "$merge" "$work/have" >"$work/merged"; then
		# What an update does not name among the attributes, Keycloak takes away.
		jq -c --slurpfile have "$work/have" '.attributes = ($have[0].attributes // {}) + .attributes' "$work/one" >"$work/merged"
		api PUT "/$realm" "$work/merged"
		tell "realm $realm: changed"
	fi
else
	api POST "" "$work/one"
	tell "realm $realm: made"
fi

# 2. Roles, scopes with their mappers, the clients.
key=.name # the path of a role ends in its name, of all else in its id
for name in $(jq -r '.roles.realm[].name' "$work/want"); do
	want ".roles.realm[] | select(.name == \"$name\")"
	upsert "role $name" "/$realm/roles" '.name == $one.name'
done
key=.id
for scope in $(jq -r '.clientScopes[].name' "$work/want"); do
	want ".clientScopes[] | select(.name == \"$scope\") | del(.protocolMappers)"
	upsert "scope $scope" "/$realm/client-scopes" '.name == $one.name'
	scope_id=$id
	n=$(jq ".clientScopes[] | select(.name == \"$scope\") | .protocolMappers | length" "$work/want")
	i=0
	while [ $i -lt "$n" ]; do
		want ".clientScopes[] | select(.name == \"$scope\") | .protocolMappers[$i]"
		upsert "scope $scope, mapper $(jq -r .name "$work/one")" "/$realm/client-scopes/$scope_id/protocol-mappers/models" '.name == $one.name'
		i=$((i + 1))
	done
done
for client in $(jq -r '.clients[].clientId' "$work/want"); do
	want ".clients[] | select(.clientId == \"$client\") | del(.defaultClientScopes, .optionalClientScopes)"
	upsert "client $client" "/$realm/clients?clientId=$client" '.clientId == $one.clientId'
	client_id=$id
	api GET "/$realm/client-scopes"
	cp "$work/answer" "$work/scopes"
	for kind in default optional; do
		api GET "/$realm/clients/$client_id/$kind-client-scopes"
		cp "$work/answer" "$work/have"
		for scope in $(jq -r ".clients[] | select(.clientId == \"$client\") | .${kind}ClientScopes[]" "$work/want"); do
			jq -e --arg s "$scope" 'any(.[]; .name == $s)' "$work/have" >/dev/null && continue
			api PUT "/$realm/clients/$client_id/$kind-client-scopes/$(jq -r --arg s "$scope" '.[] | select(.name == $s) | .id' "$work/scopes")"
			tell "client $client: scope $scope given"
		done
	done
done

# 3. What a client that registers itself gets, and the roles that a scope shows.
for scope in $(jq -r '.defaultDefaultClientScopes[]' "$work/want"); do
	api GET "/$realm/default-default-client-scopes"
	jq -e --arg s "$scope" 'any(.[]; .name == $s)' "$work/answer" >/dev/null && continue
	api PUT "/$realm/default-default-client-scopes/$(jq -r --arg s "$scope" '.[] | select(.name == $s) | .id' "$work/scopes")"
	tell "realm $realm: scope $scope by default"
done
for scope in $(jq -r '.scopeMappings[].clientScope' "$work/want"); do
	scope_id=$(jq -r --arg s "$scope" '.[] | select(.name == $s) | .id' "$work/scopes")
	api GET "/$realm/roles"
	jq -c --slurpfile want "$work/want" --arg s "$scope" \
		'($want[0].scopeMappings[] | select(.clientScope == $s) | .roles) as $roles | map(select(.name | IN($roles[])))' "$work/answer" >"$work/one"
	api GET "/$realm/client-scopes/$scope_id/scope-mappings/realm"
	jq -ce --slurpfile one "$work/one" '[$one[0][].id] - [.[].id] | if length > 0 then . else empty end' "$work/answer" >/dev/null || continue
	api POST "/$realm/client-scopes/$scope_id/scope-mappings/realm" "$work/one"
	tell "scope $scope: roles given"
done
# The gate's own account: what it may ask and end.
for name in $(jq -r '.users[].serviceAccountClientId' "$work/want"); do
	api GET "/$realm/clients?clientId=$name"
	api GET "/$realm/clients/$(jq -r '.[0].id' "$work/answer")/service-account-user"
	user_id=$(jq -r .id "$work/answer")
	api GET "/$realm/clients?clientId=realm-management"
	owner=$(jq -r '.[0].id' "$work/answer")
	api GET "/$realm/clients/$owner/roles"
	jq -c --slurpfile want "$work/want" --arg client "$name" \
		'($want[0].users[] | select(.serviceAccountClientId == $client) | .clientRoles["realm-management"]) as $roles
		| map(select(.name | IN($roles[])))' "$work/answer" >"$work/one"
	api GET "/$realm/users/$user_id/role-mappings/clients/$owner"
	jq -ce --slurpfile one "$work/one" '[$one[0][].id] - [.[].id] | if length > 0 then . else empty end' "$work/answer" >/dev/null || continue
	api POST "/$realm/users/$user_id/role-mappings/clients/$owner" "$work/one"
	tell "client $name: roles given to its account"
done
api GET "/$realm"
realm_id=$(jq -r .id "$work/answer")
type=org.keycloak.services.clientregistration.policy.ClientRegistrationPolicy
n=$(jq --arg type "$type" '.components[$type] | length' "$work/want")
i=0
while [ $i -lt "$n" ]; do
	jq -c --arg type "$type" --arg parent "$realm_id" ".components[\$type][$i] + {providerType: \$type, parentId: \$parent}" "$work/want" >"$work/one"
	upsert "registration policy $(jq -r '"\(.name) (\(.subType))"' "$work/one")" "/$realm/components?type=$type" '.name == $one.name and .subType == $one.subType'
	i=$((i + 1))
done

# 4. Who may edit what of a user: an address that each may choose is no identity.
# Attributes of the operator's own stay as they are.
jq -c '.components["org.keycloak.userprofile.UserProfileProvider"][0].config["kc.user.profile.config"][0] | fromjson' "$work/want" >"$work/one"
api GET "/$realm/users/profile"
if jq -ce --slurpfile one "$work/one" 'def sorted: walk(if type == "array" then sort else . end);
	. as $have | .attributes |= map(. as $a
	| ($one[0].attributes[] | select(.name == $a.name) | {permissions}) // {} | $a + .)
	| if sorted == ($have | sorted) then empty else . end' "$work/answer" >"$work/merged"; then
	api PUT "/$realm/users/profile" "$work/merged"
	tell "realm $realm: who may edit a user's attributes: changed"
fi

# 5. Each server that is to be opened by a token of its own: a scope like
# mcp.access, with the audience of that server in place of the gate's.
# The gate's challenges name it and the metadata do not: a client that asks for
# all that is listed would ask for what it may not have.
for server in ${GATEHOUSE_SERVERS:-}; do
	scope=mcp.access.$server
	jq -c --arg scope "$scope" --arg server "$server" '.clientScopes[] | select(.name == "mcp.access")
		| .name = $scope | .description = "call the MCP server \($server) and no other" | del(.protocolMappers)
		| .attributes["include.in.openid.provider.metadata"] = "false"' "$work/want" >"$work/one"
	upsert "scope $scope" "/$realm/client-scopes" '.name == $one.name'
	scope_id=$id
	n=$(jq '.clientScopes[] | select(.name == "mcp.access") | .protocolMappers | length' "$work/want")
	i=0
	while [ $i -lt "$n" ]; do
		jq -c --argjson i "$i" --arg aud "$GATEHOUSE_PUBLIC_URL/servers/$server/mcp" '.clientScopes[] | select(.name == "mcp.access") | .protocolMappers[$i]
			| if .protocolMapper == "oidc-audience-mapper" then .name = "audience of the server" | .config["included.custom.audience"] = $aud else . end' \
			"$work/want" >"$work/one"
		upsert "scope $scope, mapper $(jq -r .name "$work/one")" "/$realm/client-scopes/$scope_id/protocol-mappers/models" '.name == $one.name'
		i=$((i + 1))
	done
	api GET "/$realm/roles"
	jq -c --slurpfile want "$work/want" '($want[0].scopeMappings[] | select(.clientScope == "mcp.access") | .roles) as $roles
		| map(select(.name | IN($roles[])))' "$work/answer" >"$work/one"
	api GET "/$realm/client-scopes/$scope_id/scope-mappings/realm"
	if jq -ce --slurpfile one "$work/one" '[$one[0][].id] - [.[].id] | if length > 0 then . else empty end' "$work/answer" >/dev/null; then
		api POST "/$realm/client-scopes/$scope_id/scope-mappings/realm" "$work/one"
		tell "scope $scope: roles given"
	fi
	api GET "/$realm/default-optional-client-scopes"
	if ! jq -e --arg s "$scope" 'any(.[]; .name == $s)' "$work/answer" >/dev/null; then
		api PUT "/$realm/default-optional-client-scopes/$scope_id"
		tell "realm $realm: clients may ask for scope $scope"
	fi
	for client in $(jq -r '.clients[].clientId' "$work/want"); do # they were made before
		api GET "/$realm/clients?clientId=$client"
		client_id=$(jq -r '.[0].id' "$work/answer")
		api GET "/$realm/clients/$client_id/optional-client-scopes"
		jq -e --arg s "$scope" 'any(.[]; .name == $s)' "$work/answer" >/dev/null && continue
		api PUT "/$realm/clients/$client_id/optional-client-scopes/$scope_id"
		tell "client $client: scope $scope given"
	done
done
# 6. Who registered itself with claims of its own while that was possible. What
# such a client's tokens say is not to be believed: its owner is a stranger.
first=0
while :; do
	api GET "/$realm/clients?first=$first&max=500"
	jq -r '.[] | select(.consentRequired and any(.protocolMappers[]?; .protocolMapper != "oidc-full-name-mapper"))
		| "apply: LOOK AT the client \(.clientId) (\(.name // "no name")): it registered itself with claims of its own; delete it unless you know it"' "$work/answer" >&2
	[ "$(jq length "$work/answer")" -eq 500 ] || break
	first=$((first + 500))
done
echo "apply: realm $realm at $KEYCLOAK_URL: $changed changed"
