# Who met a limit (429) most often, and which one:
#   jq -nrRf limited.jq mcp-access.log
[inputs | fromjson? | objects]   # a torn line is passed over
| map(select(.status == 429))
| group_by([.user_email, .client_ip, .limit])
| map([length, (.[0].user_email | if . == "" then "-" else . end), .[0].client_ip, .[0].limit])
| sort_by(-.[0])[:20][] | @tsv
