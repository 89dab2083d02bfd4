package connect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gatehouse/bridge/internal/connect/outbound"
)

const (
	maxLine    = 128 << 20        // bytes of one message, as of a child's
	maxOpen    = 1024             // calls of the client in flight
	maxWait    = 2 * time.Minute  // that a server may ask for in all before a message is given up
	drainTime  = 10 * time.Second // for calls in flight once the client has closed its end
	standTime  = 2 * time.Second  // for the standing stream to open before the next message is sent
	lingerTime = time.Second      // for the end of a stream after its answer
	byeTime    = 2 * time.Second  // for the end of the session
	firstWait  = time.Second      // before a broken stream is opened again, where the server names no time
	mostWait   = 30 * time.Second // between two tries
	resumes    = 8                // tries in a row to take up a stream
)

// Credentials give each request its token.
type Credentials interface {
	// Token is what to send now; "" sends none.
	Token(ctx context.Context) (string, error)
	// Refused is told of a 401, or of a 403 with insufficient_scope, to a
	// request that carried the token. nil means that another try may do.
	Refused(ctx context.Context, token string, status int, header http.Header) error
}

// Options say what to connect to.
type Options struct {
	URL         string
	Header      http.Header // sent with each request to the server
	Transport   http.RoundTripper
	Credentials Credentials // may be nil
	TokenHeader string      // that a token goes into alone; "" or Authorization for a Bearer token
	Log         *slog.Logger
}

// Connector connects one client on stdio with one server.
type Connector struct {
	url    *url.URL
	header http.Header
	http   *http.Client
	creds  Credentials
	into   string // the header of a token; "" for a Bearer token
	log    *slog.Logger
}

// New checks the options.
func New(o Options) (*Connector, error) {
	u, err := outbound.Check(o.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("the address of the server: %w", err)
	}
	c := &Connector{url: u, header: o.Header, http: outbound.Confined(o.Transport), creds: o.Credentials, log: o.Log}
	if !strings.EqualFold(o.TokenHeader, authorization) {
		c.into = o.TokenHeader
	}
	if c.header == nil {
		c.header = http.Header{}
	}
	return c, nil
}

// errClosed is the end that the client wants.
var errClosed = errors.New("the client has closed its end")

// Run reads messages, one a line, and writes what the server says, until in
// ends, out cannot be written to or ctx is done. Once in has ended, calls in
// flight have a few seconds for their answers. It closes in where in is an
// io.Closer, so that no reader is left waiting.
func (c *Connector) Run(ctx context.Context, in io.Reader, out io.Writer) error {
	r := newRun(ctx, c, out)
	lines := make(chan []byte)
	go r.read(in, lines) // a read of a terminal cannot be broken off: nobody waits for it
	r.loop(lines)
	r.stop(nil)
	if closer, ok := in.(io.Closer); ok {
		_ = closer.Close() // it may have ended already
	}
	r.wg.Wait()
	r.leave()
	err := context.Cause(r.ctx)
	if errors.Is(err, errClosed) || ctx.Err() != nil {
		return nil //nolint:nilerr // an end that was asked for
	}
	return err
}
