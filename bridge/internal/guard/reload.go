package guard

import (
	"bytes"
	"context"
	"errors"
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
	text    []byte // as it was read last
}

// OpenFile reads the policy; a fault here should stop the start.
func OpenFile(path string) (*File, error) {
	f := &File{Path: path}
	return f, f.Reload()
}

// Reload reads the file. With an error the policy that was in force stays so.
// It is for one goroutine at a time.
func (f *File) Reload() error {
	text, err := os.ReadFile(f.Path)
	if err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	f.text = text
	p, err := policy.Parse(text)
	if err != nil {
		return fmt.Errorf("policy %s: %w", f.Path, err)
	}
	f.Current.Store(p)
	return nil
}

// Watch reloads on a change of the file since it was read and on every value
// of hup, and tells reloaded what came of it, until ctx ends. It watches the
// folder: editors and ConfigMaps replace the file, and a watch on the old one
// would go blind. Where the folder cannot be watched, hup still reloads.
func (f *File) Watch(ctx context.Context, hup <-chan os.Signal, reloaded func(error)) {
	var events chan fsnotify.Event
	var faults chan error
	w, err := f.watcher()
	if err != nil {
		reloaded(fmt.Errorf("policy: changes of the file are not seen, send SIGHUP: %w", err))
	} else {
		defer func() { _ = w.Close() }()
		events, faults = w.Events, w.Errors
	}
	if text, err := os.ReadFile(f.Path); err == nil && !bytes.Equal(text, f.text) {
		reloaded(f.Reload())
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
			reloaded(f.Reload())
		case e := <-events:
			if f.concerns(e) {
				reloaded(f.Reload())
			}
		case err := <-faults:
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				reloaded(fmt.Errorf("policy: watch: %w", err))
			}
			reloaded(f.Reload()) // what was missed may have been about the file
		}
	}
}

func (f *File) watcher() (*fsnotify.Watcher, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	if err := w.Add(filepath.Dir(f.Path)); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

func (f *File) concerns(e fsnotify.Event) bool {
	name := filepath.Base(e.Name)
	return (name == filepath.Base(f.Path) || name == "..data") && e.Has(fsnotify.Write|fsnotify.Create)
}
