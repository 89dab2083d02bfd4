package httpkit

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"sync"
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

// named is the context that WithRequestID makes. The logger with the id in it is
// made by Log, for most requests log nothing.
type named struct {
	context.Context
	once sync.Once
	id   string // made when it is asked for, where the proxy gave none
	log  *zerolog.Logger
}

func (n *named) name() string {
	n.once.Do(func() {
		if n.id == "" {
			n.id = newID()
		}
	})
	return n.id
}

type namedKey struct{}

// Value implements context.Context.
func (n *named) Value(key any) any {
	if key == (namedKey{}) {
		return n
	}
	return n.Context.Value(key)
}

// RequestID returns the id that WithRequestID put into the context, or "".
func RequestID(ctx context.Context) string {
	n, _ := ctx.Value(namedKey{}).(*named)
	if n == nil {
		return ""
	}
	return n.name()
}

// Log is the logger of the request, whose lines carry its id; without one that
// which the context itself holds.
func Log(ctx context.Context) *zerolog.Logger {
	n, _ := ctx.Value(namedKey{}).(*named)
	if n == nil {
		return zerolog.Ctx(ctx)
	}
	log := n.log.With().Str("request_id", n.name()).Logger()
	return &log
}

// WithRequestID takes the id that the proxy in front gave, so that one id
// stands in every log, or makes one where it is missing or not plain. Log finds
// the request's logger from here on.
func WithRequestID(log zerolog.Logger) Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, name(r, &log))
		})
	}
}

func name(r *http.Request, log *zerolog.Logger) *http.Request {
	return r.WithContext(&named{Context: r.Context(), id: PlainRequestID(r), log: log})
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

// newID names a request in logs. It is no secret, so it need not cost what one
// does.
func newID() string {
	var b [16]byte
	binary.NativeEndian.PutUint64(b[:], rand.Uint64())  //nolint:gosec // no secret
	binary.NativeEndian.PutUint64(b[8:], rand.Uint64()) //nolint:gosec // no secret
	return hex.EncodeToString(b[:])
}

// AccessLog writes one line for each request when it has ended, at level. It
// logs the path without its query: a query can hold a secret. The path is decoded,
// so that it can hold any byte.
func AccessLog(log zerolog.Logger, level zerolog.Level) Middleware {
	return func(next http.Handler) http.Handler {
		if log.GetLevel() > level {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			start := time.Now()
			ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
			defer func() {
				Log(r.Context()).WithLevel(level).Str("method", r.Method).Str("path", Printable(r.URL.Path)).
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
				Log(r.Context()).Error().Any("panic", p).Stack().Msg("handler panicked")
				WriteError(w, r, &Error{Code: http.StatusInternalServerError, Msg: "internal error"})
			}()
			next.ServeHTTP(w, r)
		})
	}
}
