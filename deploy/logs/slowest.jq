# The slowest tools, by their 95th percentile in milliseconds:
#   jq -rsf slowest.jq audit.jsonl
map(select(.method == "tools/call" and .outcome == "ok"))
| group_by([.server, .tool]) | map({server: .[0].server, tool: .[0].tool, calls: length, p95: (map(.ms) | sort | .[(length * 0.95 | floor)])})
| sort_by(-.p95)[:20][] | [.server, .tool, .calls, .p95] | @tsv
