package audit

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"
)

// append writes the record as json.Marshal would, without its allocations: it
// runs once for each call.
func (r *Record) append(b []byte, c *calendar) []byte {
	b = c.append(append(b, `{"time":"`...), r.Time)
	b = appendText(append(b, `","program":`...), r.Program)
	b = optional(b, `,"request_id":`, r.RequestID)
	b = optional(b, `,"session":`, r.Session)
	b = optional(b, `,"user":`, r.User)
	b = optional(b, `,"user_email":`, r.UserEmail)
	b = appendText(append(b, `,"server":`...), r.Server)
	b = appendText(append(b, `,"method":`...), r.Method)
	b = optional(b, `,"kind":`, r.Kind)
	b = optional(b, `,"tool":`, r.Tool)
	b = optional(b, `,"era":`, r.Era)
	b = optional(b, `,"credential":`, r.Credential)
	b = appendText(append(b, `,"outcome":`...), r.Outcome)
	b = optional(b, `,"rule":`, r.Rule)
	b = optional(b, `,"args_hash":`, r.ArgsHash)
	b = strconv.AppendFloat(append(b, `,"ms":`...), r.Millis, 'f', -1, 64)
	b = strconv.AppendInt(append(b, `,"bytes_in":`...), int64(r.BytesIn), 10)
	b = strconv.AppendInt(append(b, `,"bytes_out":`...), int64(r.BytesOut), 10)
	if len(r.Args) > 0 {
		b = append(append(b, `,"args":`...), r.Args...)
	}
	return append(b, '}')
}

// calendar writes times as time.RFC3339Nano does, in UTC. Most are of the same
// second as the one before, whose date is not worked out again.
type calendar struct {
	second int64
	date   []byte // of the second; nil before the first
}

func (c *calendar) append(b []byte, t time.Time) []byte {
	if s := t.Unix(); s != c.second || c.date == nil {
		c.second, c.date = s, t.UTC().AppendFormat(c.date[:0], "2006-01-02T15:04:05")
	}
	b = append(b, c.date...)
	if rest := t.Nanosecond(); rest > 0 {
		var digits [len(".999999999")]byte
		for i := len(digits) - 1; i > 0; i-- {
			digits[i], rest = byte('0'+rest%10), rest/10 //nolint:gosec // a digit
		}
		digits[0] = '.'
		b = append(b, bytes.TrimRight(digits[:], "0")...)
	}
	return append(b, 'Z')
}

// optional leaves out what is empty.
func optional(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return appendText(append(b, name...), value)
}

// appendText quotes a string. Most need nothing but the quotes.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			quoted, _ := json.Marshal(s) // a string always has a form in JSON
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}
