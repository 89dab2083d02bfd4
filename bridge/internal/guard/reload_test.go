package guard_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/bridge/internal/guard"
)

func TestABadFileKeepsTheOldOne(t *testing.T) {
	file, path := openFile(t)
	results, hup := watch(t, file)
	hup <- os.Interrupt // any signal; once it is taken the watch is on
	if err := <-results; err != nil {
		t.Fatal(err)
	}
	old := file.Current.Load()
	writeFile(t, path+".new", "default: deny\nrules:\n  - name: [\n")
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	if err := <-results; err == nil || !strings.Contains(err.Error(), "line 3, column") {
		t.Errorf("err = %v, want a line and a column", err)
	}
	if file.Current.Load() != old {
		t.Error("a bad file replaced the policy")
	}
	writeFile(t, path+".new", "default: allow\n")
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	if err := <-results; err != nil || !file.Current.Load().DefaultAllows() {
		t.Errorf("the new file is not in force: %v", err)
	}
}

func openFile(t *testing.T) (file *guard.File, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "d", "policy.yaml")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, text)
	file, err := guard.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return file, path
}

// watch lets the file be watched until the test ends. The watch stands still
// while nobody takes its results.
func watch(t *testing.T, file *guard.File) (results chan error, hup chan os.Signal) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	results, hup = make(chan error), make(chan os.Signal)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		file.Watch(ctx, hup, func(err error) {
			select {
			case results <- err:
			case <-ctx.Done():
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return results, hup
}

// inForce waits for the policy that allows.
func inForce(t *testing.T, file *guard.File, results <-chan error) {
	t.Helper()
	late := time.After(20 * time.Second)
	for !file.Current.Load().DefaultAllows() {
		select {
		case <-results: //nolint:errcheck // the file may be seen half-written before
		case <-late:
			t.Fatal("the new file is not in force")
		}
	}
}

func TestAChangeBeforeTheWatchIsSeen(t *testing.T) {
	file, path := openFile(t)
	writeFile(t, path, "default: allow\n")
	results, _ := watch(t, file)
	inForce(t, file, results)
}

func TestASignalReloadsWhereNothingCanBeWatched(t *testing.T) {
	file, path := openFile(t)
	dir := filepath.Dir(path)
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	results, hup := watch(t, file)
	if err := <-results; err == nil || !strings.Contains(err.Error(), "SIGHUP") {
		t.Fatalf("err = %v", err)
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, "default: allow\n")
	late := time.After(20 * time.Second)
	for sent := false; !sent; {
		select {
		case hup <- os.Interrupt:
			sent = true
		case <-results: //nolint:errcheck // it may have looked before, or between
		case <-late:
			t.Fatal("nobody takes the signal")
		}
	}
	inForce(t, file, results)
}

// TestAChangeThatTheKernelForgotIsSeen: a busy folder overflows the queue.
func TestAChangeThatTheKernelForgotIsSeen(t *testing.T) {
	raw, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	if err != nil {
		t.Fatal(err)
	}
	most, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	file, path := openFile(t)
	results, hup := watch(t, file)
	hup <- os.Interrupt // from now on the watch stands still
	for range most/2 + 4096 {
		writeFile(t, path+".x", "")
		if err := os.Remove(path + ".x"); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, path, "default: allow\n")
	inForce(t, file, results)
}
