package shortcut

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
)

// FuzzHead: what is taken here, net/http takes too and reads alike; and where it
// is not taken, net/http holds no more than that head unless it is alone.
func FuzzHead(f *testing.F) {
	const line = "GET /auth HTTP/1.1\r\nHost: x\r\n"
	for _, headers := range []string{
		"", "Cookie: a=b\r\n", "Authorization: Bearer x\r\ncookie: a\r\n", "Cookie: a\r\nCookie: b\r\n", "Cookie : a\r\n",
		" folded: a\r\n", "Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n", "Connection: close\r\n", "X: a\nCookie: b\r\n",
		"X: a\rCookie: b\r\n", "Host: y\r\n", "X\r\n", ": a\r\n", "Authorization:\r\n", "Cookie: a\x00\r\n", "Cookie: \ta\r\n",
	} {
		f.Add(line + headers + "\r\n")
	}
	f.Add("GET /auth HTTP/1.1\r\n\r\n")
	f.Add("GET / HTTP/1.1\nHost: x\n\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")
	f.Add("GET / HTTP/1.1\r\nHost: x\n\r\nGET / HTTP/1.1\r\n\r\n")
	f.Add("GET /auth?x HTTP/1.1\r\nHost: x\r\n\r\n")
	f.Add("GET /auth HTTP/1.1\r\nHost: /\r\n\r\n")
	f.Fuzz(func(t *testing.T, head string) {
		if !isHead([]byte(head)) {
			return
		}
		authorization, cookie, ok := parse(head, "/auth")
		in := bufio.NewReaderSize(strings.NewReader(head), len(head))
		r, err := http.ReadRequest(in)
		if !ok {
			if err == nil && in.Buffered() > 0 && !endsSooner([]byte(head)) {
				t.Errorf("%q: net/http holds %d bytes more", head, in.Buffered())
			}
			return
		}
		if endsSooner([]byte(head)) {
			t.Errorf("%q is taken, and ends sooner", head)
		}
		if err != nil {
			t.Fatalf("%q: net/http refuses it: %v", head, err)
		}
		if r.Method != http.MethodGet || r.URL.Path != "/auth" || r.Close || r.ContentLength != 0 || len(r.TransferEncoding) > 0 || in.Buffered() > 0 {
			t.Errorf("%q: net/http reads %+v, %d bytes left", head, r, in.Buffered())
		}
		for name, value := range map[string]string{"Authorization": authorization, "Cookie": cookie} {
			if have := r.Header[name]; len(have) > 1 || r.Header.Get(name) != value || (value == "") != (len(have) == 0) {
				t.Errorf("%q: %s is %q here and %q in net/http", head, name, value, have)
			}
		}
	})
}
