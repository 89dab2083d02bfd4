# Who met a limit (429) most often, and which one:
#   jq -rsf limited.jq mcp-access.log
map(select(.status == 429))
| group_by([.user_email, .client_ip, .limit])
| map([length, (.[0].user_email | if . == "" then "-" else . end), .[0].client_ip, .[0].limit])
| sort_by(-.[0])[:20][] | @tsv
