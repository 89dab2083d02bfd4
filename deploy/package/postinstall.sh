#!/bin/sh
# Enables nothing: the values in /etc/gatehouse are the operator's first. After
# an upgrade (the second argument is the version before) what runs is restarted,
# or it would go on as the old program; and it is said where nginx still has
# the gate's files of the version before.
set -e
# What a bridge shows authsvc, made once.
if [ ! -s /etc/gatehouse/credentials/internal-tokens ]; then
	(
		umask 077
		token=$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')
		echo "$token" >/etc/gatehouse/credentials/authsvc-token
		echo "bridge $token ask" >/etc/gatehouse/credentials/internal-tokens
	)
fi
[ ! -d /run/systemd/system ] || systemctl daemon-reload
if [ "$1" = configure ] && [ -n "${2-}" ]; then
	if [ -d /run/systemd/system ]; then
		echo "gatehouse: restarting what runs of it"
		systemctl try-restart gatehouse-authsvc.service 'gatehouse-bridge@*.service' ||
			echo "gatehouse: a unit did not start again: systemctl status 'gatehouse-*'" >&2
	fi
	gatehouse-nginx differs || true
fi
