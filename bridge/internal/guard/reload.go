package guard

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/fsnotify/fsnotify"

	"gatehouse/bridge/internal/policy"
)

// File is a policy file that is read again when it changes.
type File struct {
	Path    string
	Current atomic.Pointer[policy.Policy]
}

// OpenFile reads the policy; a fault here should stop the start.
func OpenFile(path string) (*File, error) {
	f := &File{Path: path}
	return f, f.Reload()
}

// Reload reads the file. With an error the policy that was in force stays so.
func (f *File) Reload() error {
	text, err := os.ReadFile(f.Path)
	if err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	p, err := policy.Parse(text)
	if err != nil {
		return fmt.Errorf("policy %s: %w", f.Path, err)
	}
	f.Current.Store(p)
	return nil
}

// Watch reloads on a change of the file and on every value of hup, and tells
// reloaded what came of it, until ctx ends. It watches the folder: editors and
// ConfigMaps replace the file, and a watch on the old one would go blind.
func (f *File) Watch(ctx context.Context, hup <-chan os.Signal, reloaded func(error)) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("policy: watch: %w", err)
	}
	defer func() { _ = w.Close() }()
	if err := w.Add(filepath.Dir(f.Path)); err != nil {
		return fmt.Errorf("policy: watch %s: %w", filepath.Dir(f.Path), err)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hup:
			reloaded(f.Reload())
		case e := <-w.Events:
			if f.concerns(e) {
				reloaded(f.Reload())
			}
		case err := <-w.Errors:
			reloaded(fmt.Errorf("policy: watch: %w", err))
		}
	}
}

func (f *File) concerns(e fsnotify.Event) bool {
	name := filepath.Base(e.Name)
	return (name == filepath.Base(f.Path) || name == "..data") && e.Has(fsnotify.Write|fsnotify.Create)
}
