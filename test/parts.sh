#!/usr/bin/env bash
# Runs each named make target, says how long it took, and goes on after a
# failure so that one run shows all of them. Exit 1 when any failed.
set -uo pipefail

passed=0 failed=0 summary=""
for part in "$@"; do
    printf '\n== %s\n' "$part"
    start=$SECONDS
    if make --no-print-directory "$part"; then
        verdict=passed passed=$((passed + 1))
    else
        verdict=FAILED failed=$((failed + 1))
    fi
    summary+=$(printf '%-18s %s  %4d s' "$part" "$verdict" $((SECONDS - start)))$'\n'
done
printf '\n%s%d passed, %d failed\n' "$summary" "$passed" "$failed"
[ "$failed" -eq 0 ]
