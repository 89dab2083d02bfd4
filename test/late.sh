#!/usr/bin/env bash
# Runs each named make target, one after another: the parts that download or
# build much, and so are no part of `make test`. None is started once LATE_AFTER
# seconds (50 minutes) have passed since STARTED (epoch seconds): a slow machine
# then says loudly what it left out in place of being ended half-way. Exit 1
# when any failed.
set -uo pipefail

started=${STARTED:-$(date +%s)} after=${LATE_AFTER:-3000} passed=() failed=() left=()

for part in "$@"; do
    if [ $(($(date +%s) - started)) -ge "$after" ]; then
        left+=("$part")
        continue
    fi
    printf '\n== %s\n' "$part"
    SECONDS=0
    if make --no-print-directory "$part"; then verdict=passed passed+=("$part"); else verdict=FAILED failed+=("$part"); fi
    printf '%-18s %s  %4d s\n' "$part" "$verdict" "$SECONDS"
done

if [ ${#left[@]} -gt 0 ]; then
    printf '\n!! NOT RUN, for %d minutes had passed: %s\n' $((after / 60)) "${left[*]}"
fi
printf '%d passed, %d failed, %d skipped\n' ${#passed[@]} ${#failed[@]} ${#left[@]}
[ ${#failed[@]} -eq 0 ] || { printf 'failed: %s\n' "${failed[*]}"; exit 1; }
