package httpkit

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5/middleware"
	"github.com/rs/zerolog"
)

// Middleware wraps a handler with one concern.
type Middleware func(http.Handler) http.Handler

// Chain wraps h so that the first middleware is the outermost.
func Chain(h http.Handler, mws ...Middleware) http.Handler {
	for i := len(mws) - 1; i >= 0; i-- {
		h = mws[i](h)
	}
	return h
}

const (
	requestIDHeader = "X-Request-Id"
	maxRequestID    = 64
)

type requestIDKey struct{}

// RequestID returns the id that WithRequestID put into the context, or "".
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// WithRequestID takes the id that the proxy in front gave, so that one id
// stands in every log, or makes one where it is missing or not plain. The
// request's logger carries it from here on.
func WithRequestID(log zerolog.Logger) Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id := r.Header.Get(requestIDHeader)
			if !plainID(id) {
				id = newID()
			}
			ctx := context.WithValue(r.Context(), requestIDKey{}, id)
			ctx = log.With().Str("request_id", id).Logger().WithContext(ctx)
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
}

// PlainRequestID returns the id that the proxy in front gave, or "" where it
// has a form that does not belong in a log.
func PlainRequestID(r *http.Request) string {
	if id := r.Header.Get(requestIDHeader); plainID(id) {
		return id
	}
	return ""
}

func plainID(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	for i := 0; i < len(id); i++ {
		c := id[i]
		plain := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_'
		if !plain {
			return false
		}
	}
	return true
}

func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}

// AccessLog writes one line for each request when it has ended, at level. It
// logs the path without its query: a query can hold a secret.
func AccessLog(level zerolog.Level) Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			log := zerolog.Ctx(r.Context())
			if log.GetLevel() > level {
				next.ServeHTTP(w, r)
				return
			}
			start := time.Now()
			ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
			defer func() {
				log.WithLevel(level).Str("method", r.Method).Str("path", r.URL.Path).
					Int("status", ww.Status()).Int("bytes", ww.BytesWritten()).
					Dur("ms", time.Since(start)).Msg("request")
			}()
			next.ServeHTTP(ww, r)
		})
	}
}

// Recover turns a panic into a 500 and a log line with its stack, so that one
// request cannot end the program. http.ErrAbortHandler passes.
func Recover() Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				p := recover()
				if p == nil {
					return
				}
				if p == http.ErrAbortHandler { //nolint:errorlint // net/http panics with this very value
					panic(p)
				}
				zerolog.Ctx(r.Context()).Error().Any("panic", p).Stack().Msg("handler panicked")
				WriteError(w, r, &Error{Code: http.StatusInternalServerError, Msg: "internal error"})
			}()
			next.ServeHTTP(w, r)
		})
	}
}
