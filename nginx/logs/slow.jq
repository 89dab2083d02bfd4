# Requests over one second, the slowest first. A stream is open as long as its
# client wants, so GETs of /sse and /mcp are left out:
#   jq -nrRf slow.jq mcp-access.log
[inputs | fromjson? | objects]   # a torn line is passed over
| map(select(.request_time > 1 and (.method != "GET" or (.uri | test("/(sse|mcp)$") | not))))
| sort_by(-.request_time)[]
| [.request_time, .upstream_time, .status, (.user_email | if . == "" then "-" else . end), .method, .uri, .request_id] | @tsv
