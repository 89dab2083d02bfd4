package audit

import (
	"encoding/json"
	"strconv"
	"time"
)

// append writes the record as json.Marshal would, but that it makes nothing:
// it runs once a call.
func (r *Record) append(b []byte) []byte {
	b = r.Time.UTC().AppendFormat(append(b, `{"time":"`...), time.RFC3339Nano)
	b = append(b, '"')
	for _, f := range [...]struct {
		name, value string
		always      bool
	}{
		{"program", r.Program, true}, {"request_id", r.RequestID, false}, {"session", r.Session, false},
		{"user", r.User, false}, {"user_email", r.UserEmail, false}, {"server", r.Server, true},
		{"method", r.Method, true}, {"kind", r.Kind, false}, {"tool", r.Tool, false}, {"era", r.Era, false},
		{"outcome", r.Outcome, true}, {"rule", r.Rule, false}, {"args_hash", r.ArgsHash, false},
	} {
		if f.always || f.value != "" {
			b = appendText(append(append(append(b, `,"`...), f.name...), `":`...), f.value)
		}
	}
	b = strconv.AppendFloat(append(b, `,"ms":`...), r.Millis, 'f', -1, 64)
	b = strconv.AppendInt(append(b, `,"bytes_in":`...), int64(r.BytesIn), 10)
	b = strconv.AppendInt(append(b, `,"bytes_out":`...), int64(r.BytesOut), 10)
	if len(r.Args) > 0 {
		b = append(append(b, `,"args":`...), r.Args...)
	}
	return append(b, '}')
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
