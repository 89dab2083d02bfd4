package stack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Keycloak that starts for the first time builds itself and imports the
// realm, which is most of a start's time. The seed is a Keycloak that has done
// both: it lies beside the distribution, named by the hash of the realm
// file and what it is built with, and each stack works on a copy.

// Seed makes the seed alone, where there is none: it can be made while what else
// a start needs is built.
func Seed(ctx context.Context, o Options) error {
	root, err := Root()
	if err != nil {
		return err
	}
	realm, err := realmFile(root)
	if err != nil {
		return err
	}
	users, err := usersFile(root)
	if err != nil {
		return err
	}
	s := &Stack{Dir: o.Dir, adminPassword: Password("admin")}
	s.settle(DefaultPorts()) // a start tells the realm where it is
	_, err = s.seed(ctx, o, realm, users)
	return err
}

// seed returns the folder of the seed, and makes it when there is none.
func (s *Stack) seed(ctx context.Context, o Options, realm, users []byte) (string, error) {
	sum := sha256.Sum256(slices.Concat([]byte(keycloakFeatures+keycloakClosed), realm, users))
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
	first.waiting = o.Waiting
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
	if err := copyKeycloak(home, distribution); err != nil {
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

// libraries are most of Keycloak's bytes, and no start of it writes there.
const libraries = "lib/lib"

// copyKeycloak copies a Keycloak with its data. Libraries are linked where the
// file system can: that takes no time and no room.
func copyKeycloak(to, from string) error {
	source := os.DirFS(from)
	return fs.WalkDir(source, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target, origin := filepath.Join(to, path), filepath.Join(from, path)
		if d.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		if strings.HasPrefix(path, libraries+"/") && os.Link(origin, target) == nil {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return copyFile(target, origin, info.Mode().Perm())
	})
}

func copyFile(to, from string, mode fs.FileMode) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
