package guard

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"

	"gatehouse/bridge/internal/policy"
	"gatehouse/bridge/internal/reread"
)

// File is a policy file that is read again when it changes.
type File struct {
	Path    string
	Current atomic.Pointer[policy.Policy]
	file    *reread.File
}

// OpenFile reads the policy; a fault here should stop the start.
func OpenFile(path string) (*File, error) {
	f := &File{Path: path, file: reread.Open(path)}
	return f, f.Reload()
}

// Reload reads the file. With an error the policy that was in force stays so.
// It is for one goroutine at a time.
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

// Watch reloads on a change of the file since it was read and on every value
// of hup, and tells reloaded what came of it, until ctx ends.
func (f *File) Watch(ctx context.Context, hup <-chan os.Signal, reloaded func(error)) {
	f.file.Watch(ctx, hup, func() { reloaded(f.Reload()) }, func(err error) { reloaded(fmt.Errorf("policy: %w", err)) })
}
