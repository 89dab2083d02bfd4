#!/bin/bash
# parts.sh stop|start PART: what the end-to-end suite asks of a gate's parts,
# said to the cluster.
set -euo pipefail
verb=$1 part=$2
case $part in
redis | bridge) object=statefulset/$part ;;
*) object=deployment/$part ;;
esac
k() { kubectl -n gatehouse "$@"; }
case $verb in
stop)
	k scale "$object" --replicas=0 >/dev/null
	k wait --for=delete pod -l "app.kubernetes.io/name=$part" --timeout=120s >/dev/null
	;;
start)
	case $part in redis | keycloak) count=1 ;; *) count=2 ;; esac
	k scale "$object" --replicas=$count >/dev/null
	k wait --for=jsonpath='{.status.readyReplicas}'=$count --timeout=240s "$object" >/dev/null
	;;
esac
