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
	mu   sync.Mutex
	used map[string]int
}

// keptCaches are so many folders of downloads of users that nobody uses now.
const keptCaches = 64

// take makes the folder of one server and user, or finds it, and holds it.
func (c *caches) take(of ...string) (string, error) {
	if c.dir == "" {
		return "", nil
	}
	sum := sha256.Sum256([]byte(strings.Join(of, "\x00")))
	path := filepath.Join(c.dir, hex.EncodeToString(sum[:16]))
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := os.MkdirAll(path, 0o700); err != nil {
		return "", err
	}
	if c.used == nil {
		c.used = map[string]int{}
	}
	c.used[path]++
	now := time.Now()
	_ = os.Chtimes(path, now, now) // for tidy
	return path, nil
}

func (c *caches) give(path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.used[path]--; c.used[path] <= 0 {
		delete(c.used, path)
		c.tidy()
	}
}

// tidy removes the folder that was unused for longest, where there are more
// than are kept. The lock is held.
func (c *caches) tidy() {
	entries, err := os.ReadDir(c.dir)
	if err != nil || len(entries)-len(c.used) <= keptCaches {
		return
	}
	var oldest string
	var since time.Time
	for _, e := range entries {
		path := filepath.Join(c.dir, e.Name())
		info, err := e.Info()
		if err == nil && c.used[path] == 0 && (oldest == "" || info.ModTime().Before(since)) {
			oldest, since = path, info.ModTime()
		}
	}
	if oldest != "" {
		removeAll(oldest)
	}
}
