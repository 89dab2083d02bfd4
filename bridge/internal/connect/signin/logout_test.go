package signin_test

import (
	"errors"
	"path/filepath"
	"testing"

	"gatehouse/bridge/internal/connect/signin"
)

func TestLogout(t *testing.T) {
	w, dir := newWorld(t), t.TempDir()
	u := w.user(dir, nil)
	if _, err := u.use(limited(t), ""); err != nil {
		t.Fatal(err)
	}
	if err := w.user(dir, nil).Logout(limited(t)); err != nil {
		t.Fatal(err)
	}
	if w.times("revoke refresh_token") != 1 || w.times("revoke access_token") != 1 {
		t.Errorf("revoked %v", w.count)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*.json")); len(files) > 0 {
		t.Errorf("left: %v", files)
	}
	if err := w.user(dir, nil).Logout(limited(t)); !errors.Is(err, signin.ErrSignedOut) {
		t.Errorf("once more: %v", err)
	}
}
