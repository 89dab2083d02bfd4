# Refusals by reason and status:
#   jq -rsf refusals.jq mcp-access.log
map(select(.refusal != ""))
| group_by([.refusal, .status])
| map([length, .[0].status, .[0].refusal, (map(.client_ip) | unique | length)])
| sort_by(-.[0])[] | @tsv
