#!/bin/sh
# purge takes the secrets, the servers' homes and the bridges' own audit logs
# too; remove keeps them. nginx's logs are nginx's.
set -e
if [ "$1" = purge ]; then
	rm -rf /etc/gatehouse
	for place in lib log; do
		rm -rf /var/$place/private/gatehouse /var/$place/gatehouse
	done
fi
rmdir /run/gatehouse /run/gatehouse-policy 2>/dev/null || true
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	systemctl reset-failed 'gatehouse-*' 2>/dev/null || true
fi
