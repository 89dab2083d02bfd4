// Package auditlog writes what happens to people's right to be here into one
// stream: sign-ins, refusals, revocations and what administrators do, one JSON
// line each.
//
// It holds no token, no cookie and no body; it must never decide anything.
package auditlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Line is one thing that happened. Empty fields are left out.
type Line struct {
	Time       time.Time `json:"time"`                 // in UTC
	Event      string    `json:"event"`                // login, refused, ended, or credential and what became of it
	By         string    `json:"by,omitempty"`         // a person, a name of the internal tokens, "the provider"
	User       string    `json:"user,omitempty"`       // whose it is: the id at the provider (sub)
	Email      string    `json:"email,omitempty"`      // the address, where it is verified
	SID        string    `json:"sid,omitempty"`        // the session at the provider
	Client     string    `json:"client,omitempty"`     // the MCP client that the token was made for
	Why        string    `json:"why,omitempty"`        // of a refusal
	IP         string    `json:"ip,omitempty"`         // of the caller, as nginx sees it
	Path       string    `json:"path,omitempty"`       // that was asked for
	Credential string    `json:"credential,omitempty"` // the entry of --credentials; never its value
	Server     string    `json:"server,omitempty"`     // of the bridge, that is to have the credential
	RequestID  string    `json:"request_id,omitempty"` // of nginx's line
	Error      string    `json:"error,omitempty"`      // what went wrong on the way
}

// Log is safe for concurrent use. The zero value writes nothing.
type Log struct {
	path string
	log  zerolog.Logger
	mu   sync.Mutex
}

// Open checks that lines can be written to a file; "" is nowhere.
func Open(path string, log zerolog.Logger) (*Log, error) {
	l := &Log{path: path, log: log}
	if path == "" {
		return l, nil
	}
	f, err := l.open()
	if err != nil {
		return nil, err
	}
	return l, f.Close()
}

func (l *Log) open() (*os.File, error) {
	return os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
}

// Write adds a line. The file is opened anew each time, so that it can be
// moved away and goes on under its name.
func (l *Log) Write(line Line) {
	if l == nil || l.path == "" {
		return
	}
	line.Time = time.Now().UTC()
	text, err := json.Marshal(line)
	if err == nil {
		err = l.append(append(text, '\n'))
	}
	if err != nil {
		l.log.Error().Err(err).Str("event", line.Event).Msg("a line of the audit stream was not written")
	}
}

func (l *Log) append(text []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	f, err := l.open()
	if err != nil {
		return err
	}
	n, err := f.Write(text)
	if err == nil && n < len(text) {
		err = fmt.Errorf("%d of %d bytes", n, len(text))
	}
	return errors.Join(err, f.Close())
}
