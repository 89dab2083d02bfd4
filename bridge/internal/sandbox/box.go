package sandbox

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// Box is that of one child.
type Box struct {
	maker *Maker
	dir   string // its private folder
	cache string // what its server has downloaded for the same user
	seed  string // and for nobody
	group *group // nil where there is none
	once  sync.Once
}

// The folders of a box.
const (
	homeDir        = "home"
	tmpDir         = "tmp"
	credentialsDir = "credentials"
)

// Whose a box is, where it is no user's.
const (
	Bridge    = ""     // the child is the bridge's own, and no caller speaks to it
	Stranger  = "\x00" // not known yet: such a box shares nothing at all
	Everybody = "\x01"
)

// Open makes a box. whose is the user that the child serves: two with the same
// may share what their server downloads, and nothing else.
func (m *Maker) Open(whose string) (*Box, error) {
	b := &Box{maker: m}
	if m.host.root == "" {
		return b, nil
	}
	var err error
	if b.dir, err = os.MkdirTemp(m.host.root, "box-"); err != nil {
		return nil, fmt.Errorf("private folder: %w", err)
	}
	for _, name := range []string{homeDir, tmpDir, credentialsDir} {
		if err := os.Mkdir(filepath.Join(b.dir, name), 0o700); err != nil {
			b.Close()
			return nil, fmt.Errorf("private folder: %w", err)
		}
	}
	if !m.Boxed() {
		return b, nil
	}
	if err = b.downloads(whose); err != nil {
		b.Close()
		return nil, fmt.Errorf("folder of downloads: %w", err)
	}
	if b.group, err = m.host.groups.open(m.spec.Limits); err != nil {
		b.Close()
		return nil, fmt.Errorf("control group: %w", err)
	}
	return b, nil
}

// downloads are kept where they can be. What the bridge's own child has
// downloaded is read by all, for a copy of it may point there.
func (b *Box) downloads(whose string) error {
	c := &b.maker.host.caches
	if c.dir == "" || whose == Stranger {
		return nil
	}
	of := append([]string{b.maker.name}, b.maker.cmd.Argv...)
	path := c.path(append(of, whose)...)
	b.seed = c.path(append(of, "")...)
	if err := c.take(path, b.seed); err != nil {
		return err
	}
	b.cache = path
	return nil
}

// Credentials is the folder for what is this child's user's own: the child
// reads it and cannot write it, no other child can, and it is gone with the
// child. "" where no folder can be made.
func (b *Box) Credentials() string {
	if b.dir == "" {
		return ""
	}
	return filepath.Join(b.dir, credentialsDir)
}

// Enter makes the command start in the box. It is called last before the start.
func (b *Box) Enter(cmd *exec.Cmd) error {
	if b.maker.Boxed() && cmd.Err == nil { // a command that is not there is the start's to tell
		return b.enter(cmd)
	}
	return nil
}

// Kill ends what is in the box, wherever in it that went.
func (b *Box) Kill() { b.group.kill() }

// Ended is called when the child was reaped. It tells why the box ended it, or
// "", and closes the box.
func (b *Box) Ended() (why string) {
	why = b.group.why(b.maker.spec.Limits)
	b.Close()
	return why
}

// Close removes the box, if there is one. What is in it may be much, so that is
// not waited for.
func (b *Box) Close() {
	if b == nil {
		return
	}
	b.once.Do(func() {
		h := b.maker.host
		h.clean(func() {
			b.group.close()
			if b.cache != "" {
				h.caches.give(b.cache)
			}
			if b.dir != "" {
				removeAll(b.dir)
			}
		})
	})
}
