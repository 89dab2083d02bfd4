# Refusals by reason and status:
#   jq -nrRf refusals.jq mcp-access.log
[inputs | fromjson? | objects]   # a torn line is passed over
| map(select((.refusal // "") != ""))
| group_by([.refusal, .status])
| map([length, .[0].status, .[0].refusal, (map(.client_ip) | unique | length)])
| sort_by(-.[0])[] | @tsv
