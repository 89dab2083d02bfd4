#!/bin/sh
# execstart.sh: in a tree with the package installed, run the ExecStart line of
# each unit with its EnvironmentFile and its credentials, as systemd would, wait
# until the program lives, and stop it as systemd would.
set -eu
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
HOME=$(mktemp -d) # of the unit, where downloads of servers are kept
export HOME
units=/usr/lib/systemd/system
CREDENTIALS_DIRECTORY=$(mktemp -d)
export CREDENTIALS_DIRECTORY
trap 'rm -rf "$CREDENTIALS_DIRECTORY" "$HOME"' EXIT
echo secret >"$CREDENTIALS_DIRECTORY/client-secret"
echo memory >"$CREDENTIALS_DIRECTORY/redis-url"
echo "a store key of thirty-two bytes and more" >"$CREDENTIALS_DIRECTORY/store-key"
cp /etc/gatehouse/credentials/internal-tokens /etc/gatehouse/credentials/authsvc-token "$CREDENTIALS_DIRECTORY"
cp /etc/gatehouse/bridge/main.json "$CREDENTIALS_DIRECTORY/servers.json"

start() { # start UNIT ENVIRONMENT HEALTH-URL
	line=$(sed -e ':join' -e '/\\$/{N;s/\\\n//;b join' -e '}' "$units/$1" | sed -n 's/^ExecStart=//p')
	program=${line%% *}
	(
		set -a
		. "$2"
		eval "exec $line"
	) &
	pid=$!
	i=0
	until "$program" health "$3" 2>/dev/null; do
		i=$((i + 1))
		[ $i -lt 100 ] || { echo "package: $1 does not live: $line" >&2; exit 1; }
		sleep 0.1
	done
	kill -TERM $pid
	wait $pid || { echo "package: $1 exits with $? on SIGTERM" >&2; exit 1; }
	echo "package: ExecStart of $1 lives, and ends with 0 on SIGTERM"
}
start gatehouse-authsvc.service /etc/gatehouse/authsvc.env http://127.0.0.1:4181/health/live
start gatehouse-bridge@.service /etc/gatehouse/bridge/main.env http://127.0.0.1:3001/health/live
