# Who used what today (UTC): requests, refused ones, first and last.
#   jq -nrRf used-today.jq mcp-access.log
def seconds: capture("^(?<t>.{19})(?<sign>[+-])(?<h>..):(?<m>..)$")
    | (.t + "Z" | fromdate) - ((.sign + "1" | tonumber) * ((.h | tonumber) * 3600 + (.m | tonumber) * 60));
(env.NOW // now | tonumber | todate[:10]) as $today
| [inputs | fromjson? | objects]   # a torn line is passed over
| map(select((.user // "") != "" and (.time | seconds | todate[:10]) == $today))
| group_by([.user, .uri])
| map([(.[0].user_email | if . == "" then "-" else . end), .[0].uri, length, (map(select(.status >= 400)) | length), (map(.time | seconds) | (min, max) | todate[11:19])])
| sort_by(.[0], -.[2])[] | @tsv
