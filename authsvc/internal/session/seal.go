package session

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
)

const secretBytes = 32 // 256 random bits

// ErrSealed says that a sealed value was not made with this key for this use.
var ErrSealed = errors.New("sealed value does not open")

// Secret is what the cookie holds. It never leaves the browser and this
// process's memory: the store sees only a hash of it.
type Secret [secretBytes]byte

// NewSecret makes a secret of 256 random bits.
func NewSecret() Secret {
	var s Secret
	_, _ = rand.Read(s[:]) // never fails since Go 1.24
	return s
}

// ParseSecret reads the cookie's text, in its one canonical form.
func ParseSecret(text string) (Secret, bool) {
	var s Secret
	if len(text) != base64.RawURLEncoding.EncodedLen(secretBytes) {
		return s, false
	}
	n, err := base64.RawURLEncoding.Strict().Decode(s[:], []byte(text))
	return s, err == nil && n == secretBytes
}

// Encode is the cookie's text.
func (s Secret) Encode() string { return base64.RawURLEncoding.EncodeToString(s[:]) }

// String keeps a secret that is printed by mistake out of the logs.
func (s Secret) String() string { return "[secret]" }

// Key is the store's key of what this secret opens.
func (s Secret) Key(kind string) string {
	sum := sha256.Sum256(append([]byte("gatehouse "+kind+"\x00"), s[:]...))
	return kind + ":" + hex.EncodeToString(sum[:])
}

// Box is the box that only this secret opens, and only beside a box of the
// store's own key: with a new one nothing opens that was sealed before.
func (s Secret) Box(own *Box, kind string) *Box {
	return NewBox(append(s[:len(s):len(s)], own.mac...), kind)
}

// Box seals values with AES-256-GCM under a key derived by HKDF (RFC 5869).
// Its uses are told apart by their name, which both derivation and seal cover.
type Box struct {
	aead cipher.AEAD
	mac  []byte
}

// NewBox derives a box from a secret for one use.
func NewBox(secret []byte, use string) *Box {
	aead, err := cipher.NewGCM(must(aes.NewCipher(derive(secret, "gatehouse seal "+use))))
	if err != nil {
		panic(err) // AES has the one block size that GCM takes
	}
	return &Box{aead: aead, mac: derive(secret, "gatehouse name "+use)}
}

func derive(secret []byte, info string) []byte {
	return must(hkdf.Key(sha256.New, secret, nil, info, sha256.Size))
}

// must unwraps errors of calls whose sizes are fixed in this file.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Seal binds a value to its name, so that no value can stand in for another.
func (b *Box) Seal(name string, plain []byte) []byte {
	nonce := make([]byte, b.aead.NonceSize(), b.aead.NonceSize()+len(plain)+b.aead.Overhead())
	_, _ = rand.Read(nonce)
	return b.aead.Seal(nonce, nonce, plain, []byte(name))
}

// Open returns what Seal was given.
func (b *Box) Open(name string, sealed []byte) ([]byte, error) {
	size := b.aead.NonceSize()
	if len(sealed) < size {
		return nil, fmt.Errorf("%w: %d bytes", ErrSealed, len(sealed))
	}
	plain, err := b.aead.Open(nil, sealed[:size], sealed[size:], []byte(name))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// Name is a store key for something that must not be read off the key itself.
func (b *Box) Name(kind, of string) string {
	h := hmac.New(sha256.New, b.mac)
	h.Write([]byte(of))
	return kind + ":" + hex.EncodeToString(h.Sum(nil))
}
