package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// removeAll removes also what a child made so that its owner cannot enter it.
func removeAll(dir string) {
	if os.RemoveAll(dir) == nil {
		return
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, _ error) error {
		if d != nil && d.IsDir() { // a link is none
			_ = os.Chmod(path, 0o700) //nolint:gosec // it is about to go
		}
		return nil
	})
	_ = os.RemoveAll(dir)
}

// caches are the folders of what servers download, one for each server and
// user: npx and uvx execute what lies there, so no other user may write it.
type caches struct {
	dir  string // "" where downloads go into the home, and go with it
	made bool   // by us, and ours to take away
	mu   sync.Mutex
	used map[string]int
}

// open makes the folder of all, or finds it. Without one downloads go into the home.
func (c *caches) open(dir string) {
	_, err := os.Stat(dir)
	if os.MkdirAll(dir, 0o700) == nil {
		c.dir, c.made = dir, err != nil
	}
}

// keptCaches are so many folders of downloads of users that nobody uses now.
const keptCaches = 64

func (c *caches) path(of ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(of, "\x00")))
	return filepath.Join(c.dir, hex.EncodeToString(sum[:16]))
}

// take makes the folder, or finds it, and holds it. A new one begins as a copy
// of what the bridge's own child has downloaded, so that the first session of
// each user does not wait for that again.
func (c *caches) take(path, seed string) error {
	if _, err := os.Stat(path); err != nil && path != seed && c.hold(seed, true) {
		err := c.copy(path, seed)
		c.give(seed)
		if err != nil {
			return err
		}
	}
	c.hold(path, false) // first, so that no other that gives it back takes it away
	if err := os.MkdirAll(path, 0o700); err != nil {
		c.give(path)
		return err
	}
	for _, used := range []string{path, seed} {
		now := time.Now()
		_ = os.Chtimes(used, now, now) // for surplus
	}
	return nil
}

// hold keeps a folder from going; where it is to be alone, only one that nobody
// uses now.
func (c *caches) hold(path string, alone bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if alone && c.used[path] > 0 {
		return false
	}
	if c.used == nil {
		c.used = map[string]int{}
	}
	c.used[path]++
	return true
}

// copy puts the copy in its place when it is whole. Where another was there
// before, that one does.
func (c *caches) copy(path, seed string) error {
	if _, err := os.Stat(seed); err != nil {
		return nil //nolint:nilerr // nothing was downloaded yet
	}
	made, err := os.MkdirTemp(c.dir, "new-")
	if err != nil {
		return err
	}
	if err := os.CopyFS(made, os.DirFS(seed)); err != nil {
		removeAll(made)
		return err
	}
	if os.Rename(made, path) != nil {
		removeAll(made)
	}
	return nil
}

// give ends a hold. Where nothing was downloaded the folder goes at once.
func (c *caches) give(path string) {
	c.mu.Lock()
	away := ""
	if c.used[path]--; c.used[path] <= 0 {
		delete(c.used, path)
		_ = os.Remove(path) // an empty one and no other: rmdir(2)
		if away = c.surplus(); away != "" {
			gone := filepath.Join(c.dir, "old-"+filepath.Base(away)) // found by nobody
			if os.Rename(away, gone) == nil {
				away = gone
			}
		}
	}
	c.mu.Unlock()
	if away != "" {
		removeAll(away)
	}
}

// close takes the folder of all away, where nothing lies in it.
func (c *caches) close() {
	if c.made {
		_ = os.Remove(c.dir)
	}
}

// surplus is the folder that was unused for longest, where there are more than
// are kept. The lock is held.
func (c *caches) surplus() (oldest string) {
	entries, err := os.ReadDir(c.dir)
	if err != nil || len(entries)-len(c.used) <= keptCaches {
		return ""
	}
	var since time.Time
	for _, e := range entries {
		path := filepath.Join(c.dir, e.Name())
		info, err := e.Info()
		if err == nil && c.used[path] == 0 && (oldest == "" || info.ModTime().Before(since)) {
			oldest, since = path, info.ModTime()
		}
	}
	return oldest
}
