package connect

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	headerSession = "Mcp-Session-Id"
	headerVersion = "Mcp-Protocol-Version"
	headerLast    = "Last-Event-Id"
	acceptBoth    = "application/json, text/event-stream"
	acceptStream  = "text/event-stream"
	maxRefusal    = 64 << 10 // bytes of an answer that is no message
	tokenTries    = 4        // requests that are refused for their token before the refusal is the answer

	// A server that has just ended a login may refuse what is of the same second:
	// iat counts whole ones (RFC 7519, section 4.1.6).
	refusedWait = 1100 * time.Millisecond
)

const authorization = "Authorization"

// once makes one request to the server's origin with the token that there is.
func (r *run) once(ctx context.Context, method string, u *url.URL, h http.Header, body []byte) (*http.Response, error) {
	res, _, err := r.request(ctx, method, u, h, body)
	return res, err
}

func (r *run) request(
	ctx context.Context,
	method string,
	u *url.URL,
	h http.Header,
	body []byte,
) (*http.Response, string, error) {
	var token string
	if r.creds != nil {
		var err error
		if token, err = r.creds.Token(ctx); err != nil {
			return nil, "", err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	for name, values := range h {
		req.Header[name] = values
	}
	switch {
	case token != "" && r.into != "":
		req.Header.Set(r.into, token)
	case token != "":
		req.Header.Set(authorization, "Bearer "+token)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", acceptBoth)
	}
	res, err := r.http.Do(req)
	return res, token, err
}

type quietKey struct{}

// quietly marks what nobody waits for: a sign-in for it would open a page on a
// user who asked for nothing, perhaps just after signing out.
func quietly(ctx context.Context) context.Context { return context.WithValue(ctx, quietKey{}, true) }

func quiet(ctx context.Context) bool { return ctx.Value(quietKey{}) != nil }

// do makes a request until the server takes it: it waits as a 429 or a 503
// asks (mayRepeat), gets a token where one is wanted, and tries again where no connection
// could be made. What may have been taken is not sent twice.
func (r *run) do(ctx context.Context, method string, u *url.URL, h http.Header, body []byte) (*http.Response, error) {
	refused, waited, pause := 0, time.Duration(0), firstWait/2
	for {
		res, token, err := r.request(ctx, method, u, h, body)
		switch {
		case err != nil && neverSent(err):
			pause = later(pause)
		case err != nil:
			return nil, plainly(err)
		case r.creds != nil && refused < tokenTries && wantsToken(res) && !quiet(ctx):
			discard(res)
			if refused++; refused > 2 && !wait(ctx, refusedWait) {
				return nil, ctx.Err()
			}
			if err := r.creds.Refused(ctx, token, res.StatusCode, res.Header); err != nil {
				return nil, err
			}
			continue
		case asksToWait(res) && mayRepeat(method, body, res):
			pause = retryAfter(res.Header, later(pause), time.Now())
		default:
			return res, nil
		}
		if waited += pause; waited > maxWait {
			return res, plainly(err)
		}
		if err == nil {
			discard(res)
		}
		r.log.Debug("waiting before another try", "seconds", pause.Seconds())
		if !wait(ctx, pause) {
			return nil, ctx.Err()
		}
	}
}

func asksToWait(res *http.Response) bool {
	return res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusServiceUnavailable
}

// wantsToken reports whether another token may help.
func wantsToken(res *http.Response) bool {
	switch res.StatusCode {
	case http.StatusUnauthorized:
		return true
	case http.StatusForbidden:
		return strings.Contains(strings.Join(res.Header.Values("WWW-Authenticate"), ","), "insufficient_scope")
	}
	return false
}

// neverSent reports whether no connection could be made.
func neverSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// plainly is the error without the URL, in which a secret may be.
func plainly(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// retryAfter reads seconds or a date (RFC 9110, section 10.2.3).
func retryAfter(h http.Header, otherwise time.Duration, now time.Time) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(at.Sub(now), 0)
	}
	return otherwise
}

// discard reads what is left of a short answer, so that its connection serves
// again.
func discard(res *http.Response) {
	_, _ = io.CopyN(io.Discard, res.Body, maxRefusal)
	_ = res.Body.Close()
}
