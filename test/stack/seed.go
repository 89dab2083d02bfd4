package stack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// A Keycloak that starts for the first time builds itself and imports the
// realm, which is most of a start's time. The seed is a Keycloak that has done
// both: it lies beside the distribution, named by the hash of the realm
// file and the features, and each stack works on a copy.

// seed returns the folder of the seed, and makes it when there is none.
func (s *Stack) seed(ctx context.Context, o Options, realm, users []byte) (string, error) {
	sum := sha256.Sum256(slices.Concat([]byte(keycloakFeatures), realm, users))
	seed := filepath.Clean(o.Keycloak) + "-realm-" + hex.EncodeToString(sum[:6])
	if _, err := os.Stat(seed); err == nil {
		return seed, nil
	}
	home, err := os.MkdirTemp(filepath.Dir(seed), "seed-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(home) }()
	if err := plant(home, o.Keycloak, realm, users); err != nil {
		return "", err
	}
	ports := Ports{}
	if ports, err = ports.pick(); err != nil {
		return "", err
	}
	first := s.keycloak(home, ports)
	first.Name, first.log = "keycloak (first start)", filepath.Join(o.Dir, "keycloak-first.log")
	err = first.start(ctx)
	if err := errors.Join(err, first.stop()); err != nil {
		return "", err
	}
	if o.Up != nil {
		o.Up(first)
	}
	if err := os.Rename(home, seed); err != nil && !exists(seed) { // another stack may have made it meanwhile
		return "", err
	}
	return seed, nil
}

// plant copies the distribution and puts the realm where a start imports it.
func plant(home, distribution string, realm, users []byte) error {
	if err := os.CopyFS(home, os.DirFS(distribution)); err != nil {
		return fmt.Errorf("keycloak: copy %s: %w; `make run` fetches it", distribution, err)
	}
	imports := filepath.Join(home, "data", "import")
	if err := os.MkdirAll(imports, 0o700); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(imports, "gatehouse-realm.json"), realm, 0o600),
		os.WriteFile(filepath.Join(imports, "gatehouse-users-0.json"), users, 0o600),
	)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
