package signin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// record is what is kept for one server.
type record struct {
	URL      string            `json:"url"`
	Resource string            `json:"resource,omitempty"` // of RFC 8707
	Issuer   *issuer           `json:"issuer,omitempty"`   // of the token
	Scopes   []string          `json:"scopes,omitempty"`   // asked for with it
	Token    *grant            `json:"token,omitempty"`
	Clients  map[string]client `json:"clients,omitempty"` // by issuer

	keep bool   // it is to be saved, whatever comes of what is done with it
	key  string // of the keyring, where the file is sealed
	with []byte // that key, where it has opened the file
}

// grant is a token and when it was given.
type grant struct {
	Access  string    `json:"access_token"`
	Refresh string    `json:"refresh_token,omitempty"`
	Given   time.Time `json:"given"`
	Expires time.Time `json:"expires,omitzero"`
}

// client is a registration at one issuer.
type client struct {
	ID       string    `json:"client_id"`
	Secret   string    `json:"client_secret,omitempty"`
	Method   string    `json:"token_endpoint_auth_method,omitempty"`
	Redirect string    `json:"redirect_uri,omitempty"`
	Device   bool      `json:"device,omitempty"` // it may use the device grant
	Expires  time.Time `json:"expires,omitzero"`

	// Where the registration can be deleted, and by what (RFC 7592, section 3).
	// Without the token it must not be asked.
	Manage      string `json:"registration_client_uri,omitempty"`
	ManageToken string `json:"registration_access_token,omitempty"`
}

// maxEarly is how long before its end a token is refreshed, at most.
const maxEarly = time.Minute

// good reports whether the token is worth sending: it is refreshed a minute
// before its end, or in the last quarter of a short life.
func (g *grant) good(now time.Time) bool {
	if g == nil {
		return false
	}
	return g.Expires.IsZero() || now.Before(g.Expires.Add(-min(maxEarly, g.Expires.Sub(g.Given)/4)))
}

// store is a file for one server, and the lock of those who change it.
type store struct {
	path string
	url  string
	lock *flock.Flock
	keys Keys // nil where none can be had
	seal bool // also a file that was plain
}

// newStore names the file after the host, for people, and the whole address.
func newStore(dir string, u *url.URL, keys Keys, seal bool) *store {
	sum := sha256.Sum256([]byte(u.String()))
	host := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '-' {
			return c
		}
		return '_'
	}, strings.ToLower(u.Host))
	path := filepath.Join(dir, host+"-"+hex.EncodeToString(sum[:6]))
	return &store{
		path: path + ".json", url: u.String(), lock: flock.New(path+".lock", flock.SetPermissions(0o600)),
		keys: keys, seal: seal,
	}
}

// locked runs do while no other process does.
func (s *store) locked(ctx context.Context, do func() error) error {
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return fmt.Errorf("the folder for tokens: %w", err)
	}
	if _, err := s.lock.TryLockContext(ctx, 50*time.Millisecond); err != nil {
		return fmt.Errorf("the lock of the tokens: %w", err)
	}
	defer func() { _ = s.lock.Unlock() }()
	return do()
}

// load returns an empty record where there is none, or none that can be read:
// then one signs in again.
func (s *store) load(ctx context.Context) (*record, error) {
	raw, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return &record{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the tokens: %w", err)
	}
	var box sealed
	if json.Unmarshal(raw, &box) == nil && box.Key != "" {
		return s.open(ctx, box)
	}
	r := &record{}
	if json.Unmarshal(raw, r) != nil {
		return &record{}, nil //nolint:nilerr // torn by a crash: who it was signs in again
	}
	r.keep = s.seal // it is to be plain no longer
	return r, nil
}

// save replaces the file at once; only its owner can read it.
func (s *store) save(ctx context.Context, r *record) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err == nil && (s.seal || r.key != "") {
		raw, err = s.close(ctx, r, raw)
	}
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(s.path), ".new-*") // of mode 0600
	if err != nil {
		return fmt.Errorf("the tokens: %w", err)
	}
	defer func() { _ = os.Remove(temp.Name()) }() // gone where all went well
	_, err = temp.Write(raw)
	if err := errors.Join(err, temp.Close()); err != nil {
		return fmt.Errorf("the tokens: %w", err)
	}
	return os.Rename(temp.Name(), s.path)
}

func (s *store) remove(ctx context.Context, r *record) error {
	err := os.Remove(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if r.key != "" {
		err = errors.Join(err, s.forget(ctx, r.key))
	}
	return err
}
