std = "ngx_lua"
max_line_length = 140
files["test/lua"] = { std = "+busted", globals = { "ngx" } }
files["lua/gatehouse/words.lua"] = { max_line_length = false }
