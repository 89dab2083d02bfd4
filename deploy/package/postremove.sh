#!/bin/sh
# purge takes the secrets too; remove keeps every configuration file.
set -e
if [ "$1" = purge ]; then
	rm -rf /etc/gatehouse
fi
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
