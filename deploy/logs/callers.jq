# Who called a tool in the last seven days, and how often:
#   jq -rsf callers.jq --arg tool send_message audit.jsonl
map(select(.tool == $tool and .method == "tools/call" and ((.time | sub("\\.[0-9]+"; "") | fromdate) > now - 604800)))
| group_by(.user) | map({user: .[0].user, email: .[0].user_email, calls: length, refused: map(select(.outcome == "denied" or .outcome == "missing_scope" or .outcome == "limited")) | length})
| sort_by(-.calls)[] | [.user, .email, .calls, .refused] | @tsv
