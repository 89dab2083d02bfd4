//go:build keyring

package signin_test

import (
	"errors"
	"testing"

	"gatehouse/bridge/internal/connect/keyring"
	"gatehouse/bridge/internal/connect/signin"
)

// TestTheSystemsKeyring is TestSealed with the keyring of whoever runs it:
// `make keyring-test` starts one.
func TestTheSystemsKeyring(t *testing.T) {
	sealing(t, keyring.System{})
	if err := (keyring.System{}).Delete("of nothing"); !errors.Is(err, signin.ErrNoKey) {
		t.Errorf("a key that is not there: %v", err)
	}
}
