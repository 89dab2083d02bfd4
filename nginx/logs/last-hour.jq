# The last hour, readable:
#   jq -nrRf last-hour.jq mcp-access.log
def seconds: capture("^(?<t>.{19})(?<sign>[+-])(?<h>..):(?<m>..)$")
    | (.t + "Z" | fromdate) - ((.sign + "1" | tonumber) * ((.h | tonumber) * 3600 + (.m | tonumber) * 60));
(env.NOW // now | tonumber) as $now
| inputs | fromjson? | objects   # a torn line is passed over
| select(.time | seconds > $now - 3600)
| "\(.time[11:19])  \(.status)  \(.request_time) s  \(if .user_email == "" then "-" else .user_email end)  \(.method) \(.uri)  \(.client_ip)"
