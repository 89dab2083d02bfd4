package answer

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"gatehouse/bridge/internal/rpc"
)

// Body bounds the body of a request.
type Body struct {
	Max  int           // bytes
	Time time.Duration // until the first bytes, and on top of what Rate gives
	Rate int           // bytes a second at least; 0 means no bound
}

const firstRoom = 16 << 10 // for a body; more comes as the bytes do

// Read reads the body. On false it has answered. What it holds is never more
// than twice what came: a length that is only promised costs nothing.
func (b Body) Read(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	if coding := r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		w.Header().Set("Accept-Encoding", "identity") // RFC 9110, section 15.5.16
		Refuse(w, http.StatusUnsupportedMediaType, rpc.CodeInvalidRequest,
			fmt.Sprintf("Content-Encoding %q is not read; send the body as it is", rpc.Clip(coding, 64)))
		return nil, false
	}
	if r.ContentLength > int64(b.Max) {
		return b.tooLong(w)
	}
	body, err := b.read(http.NewResponseController(w), r)
	switch {
	case err == nil && len(body) > b.Max:
		return b.tooLong(w)
	case err == nil:
		return body, true
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.Header().Set("Connection", "close")
		Refuse(w, http.StatusRequestTimeout, rpc.CodeInvalidRequest, fmt.Sprintf(
			"the body did not come in time: %s, and %d bytes a second, are given to it", b.Time, b.Rate))
	default:
		Refuse(w, http.StatusBadRequest, rpc.CodeParse, "the body ended early")
	}
	return nil, false
}

func (b Body) tooLong(w http.ResponseWriter) ([]byte, bool) {
	Refuse(w, http.StatusRequestEntityTooLarge, rpc.CodeInvalidRequest,
		fmt.Sprintf("the body is longer than %d bytes", b.Max))
	return nil, false
}

// read reads up to one byte more than fits. Timed has given the first bytes
// their time; most bodies have come whole by then.
func (b Body) read(conn *http.ResponseController, r *http.Request) ([]byte, error) {
	most, known := b.Max+1, r.ContentLength >= 0
	if known {
		most = int(r.ContentLength)
	}
	var began time.Time
	defer func() { _ = conn.SetReadDeadline(time.Time{}) }() // the next request has its own
	body := make([]byte, 0, min(most, firstRoom))
	for len(body) < most {
		if len(body) == cap(body) {
			body = append(make([]byte, 0, min(most, 2*cap(body))), body...)
		}
		if len(body) > 0 {
			if began.IsZero() {
				began = time.Now()
			}
			b.hurry(conn, began, len(body))
		}
		n, err := r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case err == io.EOF && (!known || len(body) == most): //nolint:errorlint // readers return this very value
			return body, nil
		case err == io.EOF: //nolint:errorlint // as above
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		}
	}
	return body, nil
}

// Timed gives the body of each request its time before anybody reads it: what
// is refused unread waits for the body too, for net/http reads what is left of
// it before the next request.
func (b Body) Timed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			b.hurry(http.NewResponseController(w), time.Now(), 0)
		}
		next.ServeHTTP(w, r)
	})
}

// hurry gives the next bytes until when a body of the least rate would have had
// them. A test's writer has no deadlines.
func (b Body) hurry(conn *http.ResponseController, began time.Time, have int) {
	if b.Time <= 0 {
		return
	}
	end := began.Add(b.Time)
	if b.Rate > 0 {
		end = end.Add(time.Duration(have) * time.Second / time.Duration(b.Rate))
	}
	_ = conn.SetReadDeadline(end)
}
