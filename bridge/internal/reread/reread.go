// Package reread tells when a file has changed, and when it is to be read again
// because SIGHUP asks for it.
//
// It must never know what the file holds.
package reread

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// File watches one file. Call Watch once.
type File struct {
	path  string
	first []byte // the hash of what was there
}

// Open remembers what the file holds now: call it before the file is read, so
// that no change is missed between.
func Open(path string) *File { return &File{path: path, first: hash(path)} }

// Watch calls changed whenever the file may hold something else, and at once on
// every value of hup, until ctx ends. Where the file is written in place it waits
// until the writer is silent: half a file may be a valid one. It watches the folder: editors and ConfigMaps
// replace the file, and a watch on the old one would go blind. Where it cannot
// watch, it says why to blind, and hup still works.
func (f *File) Watch(ctx context.Context, hup <-chan os.Signal, changed func(), blind func(error)) {
	var events chan fsnotify.Event
	var faults chan error
	if w, err := watcher(filepath.Dir(f.path)); err != nil {
		blind(fmt.Errorf("changes of %s are not seen, send SIGHUP: %w", f.path, err))
	} else {
		defer func() { _ = w.Close() }()
		events, faults = w.Events, w.Errors
	}
	f.tell(ctx, hup, events, faults, changed, blind)
}

func (f *File) tell(
	ctx context.Context, hup <-chan os.Signal, events chan fsnotify.Event, faults chan error,
	changed func(), blind func(error),
) {
	var w writer
	if !bytes.Equal(hash(f.path), f.first) {
		w.wrote() // before there was a watch
	}
	defer w.done()
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
			w.done()
			changed()
		case <-w.silent:
			w.done()
			changed()
		case e := <-events:
			if f.concerns(e) {
				w.wrote()
			}
		case err := <-faults:
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				blind(fmt.Errorf("watch %s: %w", f.path, err))
			}
			w.wrote() // what was missed may have been about the file
		}
	}
}

func watcher(folder string) (*fsnotify.Watcher, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	if err := w.Add(folder); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// concerns reports whether the file may be another now: itself, or the link by
// which Kubernetes replaces all files of a ConfigMap at once.
func (f *File) concerns(e fsnotify.Event) bool {
	name := filepath.Base(e.Name)
	return (name == filepath.Base(f.path) || name == "..data") && e.Has(fsnotify.Write|fsnotify.Create)
}

// hash of the file, or nil where it cannot be read: what reads it says why.
func hash(path string) []byte {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(text)
	return sum[:]
}
