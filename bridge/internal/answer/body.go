package answer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
)

// Body bounds the body of a request.
type Body struct {
	Max  int           // bytes
	Time time.Duration // until the first bytes, and on top of what Rate gives
	Rate int           // bytes a second at least; 0 means no bound
	Room *Room         // of all large ones together; nil means no bound
}

const firstRoom = 16 << 10 // for a body; more comes as the bytes do

// Read reads the body. On false it has answered. What it holds is never more
// than twice what came: a length that is only promised costs nothing. handed
// frees the room that a large one has taken: it is called when the message was
// handed on, and may be called again.
func (b Body) Read(w http.ResponseWriter, r *http.Request) (body []byte, handed func(), ok bool) {
	if coding := r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		w.Header().Set("Accept-Encoding", "identity") // RFC 9110, section 15.5.16
		Refuse(w, http.StatusUnsupportedMediaType, rpc.CodeInvalidRequest,
			fmt.Sprintf("Content-Encoding %q is not read; send the body as it is", rpc.Clip(coding, 64)))
		return nil, nil, false
	}
	if r.ContentLength > int64(b.Max) {
		b.refuse(w, errTooLong)
		return nil, nil, false
	}
	reading := reading{Body: b, w: w}
	body, err := reading.read(r)
	if err == nil && len(body) > b.Max {
		err = errTooLong
	}
	handed = holdsNothing
	if reading.share != nil {
		handed = reading.share.give
	}
	if err != nil {
		handed()
		b.refuse(w, err)
		return nil, nil, false
	}
	_ = r.Body.Close() // read whole; net/http would look for more before it answers
	return body, handed, true
}

func holdsNothing() {}

var (
	errTooLong = errors.New("the body is too long")
	errNoRoom  = errors.New("no room for the body")
)

func (b Body) refuse(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, errTooLong):
		Refuse(w, http.StatusRequestEntityTooLarge, rpc.CodeInvalidRequest,
			fmt.Sprintf("the body is longer than %d bytes", b.Max))
	case errors.Is(err, errNoRoom):
		w.Header().Set("Connection", "close")
		Error(w, http.StatusServiceUnavailable, nil, &mux.Refusal{Retry: 5 * time.Second, Reason: fmt.Sprintf(
			"large bodies hold %d bytes, the most that they may, and none was done within %s", b.Room.Most, b.Room.wait)})
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.Header().Set("Connection", "close")
		Refuse(w, http.StatusRequestTimeout, rpc.CodeInvalidRequest, fmt.Sprintf("the body did not come in time: "+
			"%s, and %d bytes a second, are given to it; %d while others wait for room", b.Time, b.Rate, pace))
	default:
		Refuse(w, http.StatusBadRequest, rpc.CodeParse, "the body ended early")
	}
}

// reading is one body on its way.
type reading struct {
	Body
	w     http.ResponseWriter
	began time.Time // zero until the first bytes are there
	share *share    // of the room; nil while the body is small
}

// read reads up to one byte more than fits. Timed has given the first bytes
// their time; most bodies have come whole by then.
func (b *reading) read(r *http.Request) ([]byte, error) {
	most, known := b.Max+1, r.ContentLength >= 0
	if known {
		most = int(r.ContentLength)
	}
	defer b.unhurried()
	body := make([]byte, 0, min(most, firstRoom))
	for len(body) < most {
		if b.began.IsZero() && len(body) > 0 {
			b.began = time.Now()
		}
		if len(body) == cap(body) {
			room := min(most, 2*cap(body))
			if err := b.hold(r.Context(), room); err != nil {
				return nil, err
			}
			body = append(make([]byte, 0, room), body...)
		}
		if len(body) > 0 {
			b.hurry(len(body))
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

// hold lets the body hold n bytes, when there is room for them. The time of its
// sender stands still meanwhile.
func (b *reading) hold(ctx context.Context, n int) error {
	if b.Room == nil || n <= freeRoom {
		return nil
	}
	if b.share == nil {
		b.share = &share{room: b.Room, conn: http.NewResponseController(b.w)}
	}
	asked := time.Now()
	err := b.share.take(ctx, n)
	b.began = b.began.Add(time.Since(asked))
	return err
}

// hurry gives the next bytes until when a body of the least rate would have had
// them. A test's writer has no deadlines.
func (b *reading) hurry(have int) {
	end, ok := b.due(b.began, have)
	if b.share != nil {
		if sooner, crowded := b.share.due(have); crowded && (!ok || sooner.Before(end)) {
			end, ok = sooner, true
		}
	}
	if ok {
		_ = http.NewResponseController(b.w).SetReadDeadline(end)
	}
}

// unhurried takes the deadline back: the next request has its own.
func (b *reading) unhurried() {
	if b.share != nil {
		b.share.read()
	}
	_ = http.NewResponseController(b.w).SetReadDeadline(time.Time{})
}

// due is until when a body that began then must have more than it has.
func (b Body) due(began time.Time, have int) (end time.Time, ok bool) {
	if b.Time <= 0 {
		return end, false
	}
	end = began.Add(b.Time)
	if b.Rate > 0 {
		end = end.Add(time.Duration(have) * time.Second / time.Duration(b.Rate))
	}
	return end, true
}

// Timed gives the body of each request its time before anybody reads it: what
// is refused unread waits for the body too, for net/http reads what is left of
// it before the next request.
func (b Body) Timed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			if end, ok := b.due(time.Now(), 0); ok {
				_ = http.NewResponseController(w).SetReadDeadline(end)
			}
		}
		next.ServeHTTP(w, r)
	})
}
