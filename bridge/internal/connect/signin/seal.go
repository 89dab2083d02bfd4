package signin

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// Keys is a keyring: it keeps short secrets for its user.
type Keys interface {
	Get(name string) (secret string, err error) // ErrNoKey where it has none of the name
	Set(name, secret string) error
	Delete(name string) error
}

// ErrNoKey says that a keyring has no such secret.
var ErrNoKey = errors.New("the keyring has no such key")

// sealed is a file whose record only its key opens. The keyring has the key and
// not the record: keyrings take 2.5 KB at most on one system, which the tokens of
// one sign-in fill, and no keyring replaces two of its secrets at once.
type sealed struct {
	URL  string `json:"url"`
	Key  string `json:"key"`    // its name in the keyring
	Text []byte `json:"sealed"` // AES-256-GCM, the nonce first
}

// open reads a sealed record. Where the key is gone, who it was signs in again;
// where the keyring does not answer, nobody can know.
func (s *store) open(ctx context.Context, box sealed) (*record, error) {
	gone := &record{key: box.Key}
	key, err := s.getKey(ctx, box.Key)
	if errors.Is(err, ErrNoKey) {
		return gone, nil
	}
	if err != nil {
		return nil, err
	}
	aead, err := cipherOf(key)
	if err != nil || len(box.Text) < aead.NonceSize() {
		return gone, nil //nolint:nilerr // not ours any more
	}
	nonce, text := box.Text[:aead.NonceSize()], box.Text[aead.NonceSize():]
	raw, err := aead.Open(nil, nonce, text, []byte(s.url))
	if err != nil {
		return gone, nil //nolint:nilerr // of another key
	}
	r := &record{}
	if json.Unmarshal(raw, r) != nil {
		return gone, nil //nolint:nilerr // as with a plain file
	}
	r.key, r.with = box.Key, key
	return r, nil
}

// close seals the text of a record, with the key that it has or a new one.
func (s *store) close(ctx context.Context, r *record, text []byte) ([]byte, error) {
	if r.key == "" {
		r.key = strings.TrimSuffix(filepath.Base(s.path), ".json") + "-" + rand.Text()
	}
	key, err := r.with, error(nil)
	if key == nil { // else not asked again: what a refresh gave is lost where it cannot be kept
		key, err = s.getKey(ctx, r.key)
	}
	if errors.Is(err, ErrNoKey) {
		key = make([]byte, keyBytes)
		_, _ = rand.Read(key) // never fails
		err = s.setKey(ctx, r.key, key)
	}
	if err != nil {
		return nil, err
	}
	aead, err := cipherOf(key)
	if err != nil {
		return nil, fmt.Errorf("the key %s of the keyring: %w", r.key, err)
	}
	nonce := make([]byte, aead.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	box := sealed{URL: s.url, Key: r.key, Text: aead.Seal(nonce, nonce, text, []byte(s.url))}
	return json.MarshalIndent(box, "", "  ")
}

// canSeal reports whether what is to be sealed can be.
func (s *Source) canSeal(ctx context.Context) error {
	if !s.opts.Seal {
		return nil
	}
	if _, err := s.store.getKey(ctx, "none"); err != nil && !errors.Is(err, ErrNoKey) {
		return fmt.Errorf("%w; without --keyring the tokens are kept in a file of mode 0600", err)
	}
	return nil
}

const keyBytes = 32

func cipherOf(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func (s *store) getKey(ctx context.Context, name string) (key []byte, err error) {
	err = s.ask(ctx, func() error {
		text, err := s.keys.Get(name)
		if err == nil {
			key, err = base64.StdEncoding.DecodeString(text)
		}
		return err
	})
	return key, err
}

func (s *store) setKey(ctx context.Context, name string, key []byte) error {
	return s.ask(ctx, func() error { return s.keys.Set(name, base64.StdEncoding.EncodeToString(key)) })
}

func (s *store) forget(ctx context.Context, name string) error {
	err := s.ask(ctx, func() error { return s.keys.Delete(name) })
	if errors.Is(err, ErrNoKey) {
		return nil
	}
	return err
}

// ask asks the keyring, which may ask its user to unlock it.
func (s *store) ask(ctx context.Context, do func() error) error {
	if s.keys == nil {
		return errors.New("the tokens are sealed with a key of the keyring, and there is none here")
	}
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		if err != nil && !errors.Is(err, ErrNoKey) {
			return fmt.Errorf("the keyring: %w", err)
		}
		return err
	case <-ctx.Done():
		return fmt.Errorf("the keyring: %w", ctx.Err())
	}
}
