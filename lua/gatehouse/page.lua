-- A refusal as a page, for a person with a browser, in the person's language.
-- It needs nothing but this nginx: authsvc may be what is out of reach.

local words = require("gatehouse.words")

local ngx = ngx
local find, format, gmatch, lower, match, sub = string.find, string.format, string.gmatch, string.lower, string.match, string.sub
local tonumber = tonumber

local _M = {}

local fallback = "en"
local policy = "default-src 'none'; style-src '" .. words.style_hash .. "'; img-src 'self'; base-uri 'none'; "
    .. "frame-ancestors 'none'; form-action 'none'"

local frame = [[<!doctype html>
<html lang="%s">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>%s · gatehouse</title>
<link rel="icon" href="/favicon.ico">
<style>%s</style>
</head>
<body>
<header><strong class="brand">gatehouse</strong></header>
<main>
<h1>%s</h1>
<p>%s</p>
<p>%s</p>%s
<p class="quiet">%s <code>%s</code></p>
</main>
</body>
</html>
]]

-- A browser that goes somewhere, and no API client: those must see the status and
-- JSON. A client of MCP names text/event-stream in what it accepts.
function _M.wanted()
    local var = ngx.var
    local mode, accept = var.http_sec_fetch_mode, var.http_accept or ""
    return ngx.req.get_method() == "GET"
        and find(accept, "text/html", 1, true) ~= nil
        and not find(accept, "text/event-stream", 1, true)
        and (mode == nil or mode == "navigate")
end

-- The language that the switch on authsvc's pages has set, else the browser's
-- best of those there are (RFC 9110, 12.5.4).
function _M.language(var)
    local chosen = match("; " .. (var.gatehouse_cookie or ""), "; *gatehouse_lang=(%a+)")
    if chosen and words.languages[chosen] then
        return chosen
    end
    local best, most = fallback, 0
    for range in gmatch(sub(var.http_accept_language or "", 1, 512), "[^,]+") do
        local tag = lower(match(range, "^%s*(%a+)") or "")
        local weight = tonumber(match(range, ";%s*q=([%d.]+)") or 1) or 0
        if words.languages[tag] and weight > most then
            best, most = tag, weight
        end
    end
    return best
end

-- The page of a status. home is where the first page is, nil for nowhere.
function _M.of(status, home)
    local var = ngx.var
    local language = _M.language(var)
    local text = words.languages[language]
    local title = text[status .. ".title"]
    local header = ngx.header
    header["Content-Type"] = "text/html; charset=utf-8"
    header["Content-Language"] = language
    header["Content-Security-Policy"] = policy
    local link = home and format('\n<p><a class="button" href="%s">%s</a></p>', home, text.home) or ""
    return format(frame, language, title, words.style, title, text[status .. ".what"], text[status .. ".now"], link,
        text["frame.ask"], var.request_id)
end

return _M
