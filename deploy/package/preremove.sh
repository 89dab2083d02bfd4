#!/bin/sh
# Stop the services on removal and enable none any more: no link to a unit that
# is gone. An upgrade leaves them to postinstall.sh.
set -e
if [ "$1" = remove ]; then
	if [ -d /run/systemd/system ]; then
		systemctl stop gatehouse-authsvc.service 'gatehouse-bridge@*.service' || true
	fi
	for link in /etc/systemd/system/*.wants/gatehouse-authsvc.service /etc/systemd/system/*.wants/gatehouse-bridge@*.service; do
		[ ! -L "$link" ] || rm -f "$link"
	done
	if [ -d /etc/nginx/gatehouse ]; then
		echo "gatehouse: nginx still has the gate's files in /etc/nginx/gatehouse, and answers 503 where the gate was"
	fi
fi
