// Package apikey knows the keys of machines that speak to no provider: each is
// named, may be bound to some servers, and ends. The file holds hashes alone,
// so whoever reads it can use none of them.
//
// The file is read again when it changes: a key that is taken out of it is
// refused at the next look. The package must never know a handler or a session.
package apikey

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/internal/contract"
	"gatehouse/internal/jsonfile"
)

// Prefix tells a key from a token, and a scanner of secrets what it has found.
const Prefix = "ghk_"

const (
	look  = time.Second      // between two looks at the file
	grace = 10 * time.Second // that a file may be away or broken: its editor may be at work
)

// Key is one entry of the file.
type Key struct {
	Name    string    `json:"name"`
	Hash    string    `json:"sha256"`            // of the whole text, in hex: 256 random bits need no salt
	Roles   []string  `json:"roles"`             // what the machine may
	Servers []string  `json:"servers,omitempty"` // that it opens; missing for the gate
	Expires time.Time `json:"expires"`
}

// ErrFile says that the file is not one of keys.
var ErrFile = errors.New("--api-keys")

type file struct {
	Keys []Key `json:"keys"`
}

// Parse reads a file's text.
func Parse(text []byte) ([]Key, error) {
	var f file
	if err := jsonfile.Decode(text, &f); err != nil {
		return nil, fmt.Errorf("%w: want {\"keys\": [...]}: %w", ErrFile, err)
	}
	seen := map[string]bool{}
	for i, k := range f.Keys {
		sum, err := hex.DecodeString(k.Hash)
		switch {
		case k.Name == "" || seen[k.Name]:
			return nil, fmt.Errorf("%w: the name %q is empty or there twice", ErrFile, k.Name)
		case err != nil || len(sum) != sha256.Size:
			return nil, fmt.Errorf("%w: %s: sha256 is not a hash in hex", ErrFile, k.Name)
		case k.Expires.IsZero():
			return nil, fmt.Errorf("%w: %s: expires is missing: every key ends", ErrFile, k.Name)
		case slices.Contains(k.Servers, ""):
			return nil, fmt.Errorf("%w: %s: an empty server", ErrFile, k.Name)
		case k.Servers != nil && len(k.Servers) == 0: // whoever took the last one out did not mean all of them
			return nil, fmt.Errorf("%w: %s: servers is empty; leave the word out to open the whole gate, "+
				"or take the key out to open nothing", ErrFile, k.Name)
		}
		seen[k.Name] = true
		f.Keys[i].Hash = strings.ToLower(k.Hash)
	}
	return f.Keys, nil
}

// New makes a key and the text that opens with it, which is nowhere else.
func New(name string, roles, servers []string, expires time.Time) (Key, string) {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails since Go 1.24
	text := Prefix + base64.RawURLEncoding.EncodeToString(secret[:])
	end := expires.UTC().Truncate(time.Second)
	return Key{Name: name, Hash: hash(text), Roles: roles, Servers: servers, Expires: end}, text
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Add writes a key into the file beside those that are there, in one step.
func Add(path string, k Key) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		text, err = []byte(`{"keys": []}`), nil
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFile, err)
	}
	keys, err := Parse(text)
	if err != nil {
		return err
	}
	text, err = json.MarshalIndent(file{append(keys, k)}, "", "  ")
	if err != nil {
		return err
	}
	if _, err := Parse(text); err != nil {
		return err
	}
	next := path + ".new"
	if err := os.WriteFile(next, append(text, '\n'), 0o640); err != nil { //nolint:gosec // hashes, for the program's group
		return fmt.Errorf("%w: %w", ErrFile, err)
	}
	return os.Rename(next, path)
}

// Keys are those of a file, as it stands now. It is safe for concurrent use.
type Keys struct {
	path string
	now  func() time.Time
	log  zerolog.Logger

	mu     sync.Mutex
	byHash map[string]Key
	live   map[string]bool // the sessions of those keys
	looked time.Time
	broken time.Time // since when the file cannot be read; zero while it can
	was    os.FileInfo
	gen    uint64
}

// Open reads the file.
func Open(path string, now func() time.Time, log zerolog.Logger) (*Keys, error) {
	k := &Keys{path: path, now: now, log: log}
	return k, k.read()
}

// Find returns the key that a text opens with, unless it has ended.
func (k *Keys) Find(text string) (Key, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.renew()
	key, ok := k.byHash[hash(text)]
	return key, ok && strings.HasPrefix(text, Prefix) && k.now().Before(key.Expires)
}

// Session is what all that a key has open belongs to. No provider gives such an id.
func (k Key) Session() string { return contract.KeySession(k.Hash) }

// Ended reports of the ids of keys' sessions those whose key is not in the file
// any more, or has ended.
func (k *Keys) Ended(ids []string) (ended []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.renew()
	for _, id := range ids {
		if contract.IsKeySession(id) && !k.live[id] {
			ended = append(ended, id)
		}
	}
	return ended
}

// Generation changes with the file: what was found before must be found again.
func (k *Keys) Generation() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.renew()
	return k.gen
}

// renew reads a file that has changed. One that cannot be read opens what it
// opened before for the grace, and then nothing: it may have been taken away, or
// broken, in order to close.
func (k *Keys) renew() {
	now := k.now()
	if now.Sub(k.looked) < look {
		return
	}
	k.looked = now
	is, err := os.Stat(k.path)
	if err == nil && os.SameFile(is, k.was) && is.ModTime().Equal(k.was.ModTime()) && is.Size() == k.was.Size() {
		return
	}
	if err == nil {
		err = k.read()
	}
	switch {
	case err == nil:
		k.broken = time.Time{}
	case k.broken.IsZero():
		k.broken = now
		k.log.Warn().Err(err).Msg("the file of keys was not read; the last ones stay in use for 10 s")
	case len(k.byHash) > 0 && now.Sub(k.broken) >= grace:
		k.byHash, k.live = nil, nil
		k.gen++
		k.log.Error().Err(err).Msg("the file of keys is still not read: no key opens anything until it is")
	}
}

func (k *Keys) read() error {
	is, err := os.Stat(k.path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFile, err)
	}
	text, err := os.ReadFile(k.path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFile, err)
	}
	keys, err := Parse(text)
	if err != nil {
		return err
	}
	k.byHash, k.live = make(map[string]Key, len(keys)), make(map[string]bool, len(keys))
	for _, one := range keys {
		k.byHash[one.Hash] = one
		k.live[one.Session()] = k.now().Before(one.Expires)
	}
	k.was = is
	k.gen++
	return nil
}
