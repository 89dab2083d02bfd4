# Refusals by rule:
#   jq -rsf refusals.jq audit.jsonl
map(select(.outcome == "denied" or .outcome == "missing_scope" or .outcome == "limited" or .outcome == "invalid"))
| group_by([.rule, .outcome]) | map({rule: (.[0].rule // "-"), outcome: .[0].outcome, n: length, users: (map(.user) | unique | length)})
| sort_by(-.n)[] | [.rule, .outcome, .n, .users] | @tsv
