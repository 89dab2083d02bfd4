# admin.sh, read by the scripts here: kc COMMAND...: a command of Keycloak's kcadm on
# the realm gatehouse, as Keycloak's own admin and from inside its container, so that
# it works where the console is closed. Passwords go by the environment: an argument
# would show in ps.
set -euo pipefail
umask 077
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
kcadm() { /opt/keycloak/bin/kcadm.sh "$@" --config "$work/kcadm"; }
kc() { kcadm "$@" -r gatehouse; }
KC_CLI_PASSWORD=$(cat /gate/keycloak-admin-password) \
	kcadm config credentials --server http://localhost:8080/auth --realm master --user admin 2>"$work/said" ||
	{ cat "$work/said" >&2; exit 1; }
