// Package keyring keeps short secrets in the system's keyring: the Secret
// Service on Linux, the Keychain on macOS, the Credential Manager on Windows.
// It promises that an error never holds a secret. It must never know what the
// secrets are for.
package keyring

import (
	"errors"

	"github.com/zalando/go-keyring"

	"gatehouse/bridge/internal/connect/signin"
)

// System is the keyring of the user who runs this program.
type System struct{}

var _ signin.Keys = System{}

const service = "gatehouse bridge connect" // as a keyring shows it

// Get implements signin.Keys.
func (System) Get(name string) (string, error) {
	secret, err := keyring.Get(service, name)
	return secret, known(err)
}

// Set implements signin.Keys.
func (System) Set(name, secret string) error { return keyring.Set(service, name, secret) }

// Delete implements signin.Keys.
func (System) Delete(name string) error { return known(keyring.Delete(service, name)) }

func known(err error) error {
	if errors.Is(err, keyring.ErrNotFound) {
		return signin.ErrNoKey
	}
	return err
}
