#!/bin/sh
# Stop the services on removal; an upgrade leaves them running.
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
	systemctl disable --now gatehouse-authsvc.service || true
	systemctl stop 'gatehouse-bridge@*.service' || true
fi
