package identity

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"

	"gatehouse/bridge/internal/answer"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/internal/contract"
)

// Tokens are the callers of --identity token, each with bearer tokens of its
// own. Only hashes are kept, so how long a comparison takes tells nothing of a
// token.
type Tokens struct {
	path  string
	known atomic.Pointer[map[digest]*contract.Identity]
}

type digest [sha256.Size]byte

const (
	minToken   = 16 // bytes: a shorter one can be guessed
	hashPrefix = "sha256:"
)

// ErrTokens says that a file of tokens cannot be used.
var ErrTokens = errors.New("token file")

// OpenTokens reads the file: a line is a name and a token, or a name and
// "sha256:" with the hex of the token's hash. A name may have several.
func OpenTokens(path string) (*Tokens, error) {
	t := &Tokens{path: path}
	_, err := t.Reload()
	return t, err
}

// Reload reads the file again and names the logins that are gone. With an error
// the tokens that were in force stay so.
func (t *Tokens) Reload() (gone []string, err error) {
	text, err := os.ReadFile(t.path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTokens, err)
	}
	known, err := readTokens(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrTokens, t.path, err)
	}
	if before := t.known.Swap(&known); before != nil {
		for sum, id := range *before {
			if now := known[sum]; now == nil || now.Subject != id.Subject {
				gone = append(gone, id.SessionID)
			}
		}
	}
	return gone, nil
}

func readTokens(text []byte) (map[digest]*contract.Identity, error) {
	known := map[digest]*contract.Identity{}
	var faults []error
	number := 0
	for line := range bytes.Lines(bytes.TrimPrefix(text, []byte("\uFEFF"))) {
		number++
		fields := strings.Fields(string(line))
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		sum, err := readToken(fields)
		if err == nil && known[sum] != nil {
			err = errors.New("the token stands there twice")
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("line %d: %w", number, err))
			continue
		}
		known[sum] = &contract.Identity{
			Subject: fields[0], Name: fields[0], SessionID: "token-" + hex.EncodeToString(sum[:8]),
		}
	}
	if len(known) == 0 && len(faults) == 0 {
		return nil, errors.New("it names nobody; write NAME TOKEN in a line for each caller")
	}
	return known, errors.Join(faults...)
}

// readToken never tells what stands in the line: it may be a token.
func readToken(fields []string) (sum digest, err error) {
	if len(fields) != 2 {
		return sum, fmt.Errorf("it has %d words; write NAME TOKEN", len(fields))
	}
	if text, ok := strings.CutPrefix(fields[1], hashPrefix); ok {
		raw, err := hex.DecodeString(text)
		if err != nil || len(raw) != len(sum) {
			return sum, fmt.Errorf("after sha256: there must be %d hex digits", 2*len(sum))
		}
		return digest(raw), nil
	}
	if len(fields[1]) < minToken {
		return sum, fmt.Errorf("the token has %d bytes, the least is %d; make one with: openssl rand -hex 32",
			len(fields[1]), minToken)
	}
	return sha256.Sum256([]byte(fields[1])), nil
}

// Wrap is the middleware of --identity token.
func (t *Tokens) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := t.caller(r)
		if id == nil { // RFC 6750, 3: no error code where no token was sent
			challenge := "Bearer"
			if r.Header.Get("Authorization") != "" {
				challenge = `Bearer error="invalid_token"`
			}
			w.Header().Set("WWW-Authenticate", challenge)
			answer.Refuse(w, http.StatusUnauthorized, rpc.CodeInvalidRequest,
				"a token of this server is needed: Authorization: Bearer TOKEN")
			return
		}
		next.ServeHTTP(w, with(r, id))
	})
}

func (t *Tokens) caller(r *http.Request) *contract.Identity {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return nil
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return nil
	}
	return (*t.known.Load())[sha256.Sum256([]byte(strings.TrimSpace(token)))]
}
