#!/usr/bin/env bash
# Runs each named make target, two at a time (PARTS_JOBS), says when one
# starts, prints what it said when it ends and how long it took, and goes on after a failure so that
# one run shows all of them. Exit 1 when any failed.
set -uo pipefail

said=$(mktemp -d)
trap 'rm -rf "$said"' EXIT

run() {
    local part=$1 start=$SECONDS verdict=passed
    printf '%-18s started\n' "$part"
    make --no-print-directory "$part" >"$said/$part.log" 2>&1 || verdict=FAILED
    printf '%-18s %s  %4d s\n' "$part" "$verdict" $((SECONDS - start)) >"$said/$part.end"
    # One write, so that two parts that end together do not mix.
    printf '\n== %s\n%s\n%s\n' "$part" "$(cat "$said/$part.log")" "$(cat "$said/$part.end")"
}

for part in "$@"; do
    while [ "$(jobs -rp | wc -l)" -ge "${PARTS_JOBS:-2}" ]; do wait -n; done
    run "$part" &
done
wait

printf '\n'
for part in "$@"; do cat "$said/$part.end"; done
failed=$(cat "$said"/*.end | grep -c FAILED)
printf '%d passed, %d failed, %d s in all\n' $(($# - failed)) "$failed" "$SECONDS"
[ "$failed" -eq 0 ]
