#!/bin/bash
# start.sh: Keycloak in its container, with the realm of /realm. It imports what is
# not there yet. The folder that it imports from is in memory: what an earlier start
# has put there is not imported again.
set -euo pipefail
GATEHOUSE_CLIENT_SECRET=$(cat /gate/keycloak-client-secret)
KC_BOOTSTRAP_ADMIN_PASSWORD=$(cat /gate/keycloak-admin-password)
export GATEHOUSE_CLIENT_SECRET KC_BOOTSTRAP_ADMIN_PASSWORD
cp /realm/gatehouse-realm.json /opt/keycloak/data/import/
# alice and bob, and the grant by password for the samples of the docs: init says
# whether only this machine reaches them.
if [ "$(cat /gate/users)" = samples ]; then
	cp /realm/gatehouse-users-0.json /opt/keycloak/data/import/
	export GATEHOUSE_LOCAL_PASSWORD_GRANT=true
fi
exec /opt/keycloak/bin/kc.sh start-dev --import-realm
