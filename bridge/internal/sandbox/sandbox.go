package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Spec is what an entry of the configuration says of its boxes. The zero value
// is the default that servers run in.
type Spec struct {
	Off     bool     // no box; the private folder of credentials is still made
	Read    []string // what may be read and executed beside the usual
	Write   []string // what may be written, too
	Connect []uint16 // TCP ports that may be connected to beside the usual
	AnyPort bool     // any TCP port
	Unix    bool     // sockets of this machine by a path
	Limits
}

// Limits bound what one child uses up. 0 is no bound.
type Limits struct {
	Memory int64   // bytes
	Tasks  int     // processes and threads
	CPU    float64 // of one processor
}

// Options are those of a Host.
type Options struct {
	Program  string   // what becomes a box, which is this program; "" makes none
	Dir      string   // where the private folders are made; "" is that of the system's temporary files
	Cache    string   // where a server's downloads are kept; "" is beside the private folders
	Reserved []uint16 // ports that are opened only for who lists them: the bridge's own
	Secrets  []string // files of the bridge's own: a folder that holds one is opened only for who lists it
}

// Host is where boxes are made. It is safe for concurrent use.
type Host struct {
	opts   Options
	root   string // of the private folders; "" where none can be made
	lacks  []string
	groups *groups // nil where no control group was delegated

	caches   caches
	cleaning sync.WaitGroup
	mu       sync.Mutex // of closed, and of who begins to clean
	closed   bool
}

// Open looks at what the machine can do. Lacks tells what it cannot.
func Open(o Options) (*Host, error) {
	h := &Host{opts: o}
	var err error
	if h.root, err = os.MkdirTemp(o.Dir, "gatehouse-"); err != nil {
		h.lacks = append(h.lacks, "private folders: "+err.Error())
	} else if h.root, err = filepath.EvalSymlinks(h.root); err != nil {
		return nil, err
	}
	if o.Program == "" {
		return h, nil
	}
	if o.Cache != "" {
		h.caches.open(o.Cache)
	}
	h.lacks = slices.Concat(h.lacks, kernelLacks(), asRoot())
	if h.groups, err = openGroups(); err != nil {
		h.lacks = append(h.lacks, "limits of memory, tasks and CPU: "+err.Error())
	}
	return h, nil
}

// Dir is the folder that holds all private ones, for who removes it when the
// bridge was killed; "" where there is none.
func (h *Host) Dir() string { return h.root }

// Lacks tells what of a box this machine cannot give.
func (h *Host) Lacks() []string { return h.lacks }

// ErrLacks says that the machine cannot give what was demanded.
var ErrLacks = errors.New("the box cannot be had whole")

// Require fails unless every box is whole. Control groups are no part of that:
// they bound what is used up, not what is reached.
func (h *Host) Require() error {
	lacks := kernelLacks()
	if h.root == "" {
		lacks = append(lacks, "private folders")
	}
	if h.opts.Program == "" {
		lacks = append(lacks, "a program that becomes the box")
	}
	if len(lacks) > 0 {
		return fmt.Errorf("%w: %s", ErrLacks, strings.Join(lacks, "; "))
	}
	return nil
}

// Close removes what is left of all boxes. The children have ended.
func (h *Host) Close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.cleaning.Wait()
	if h.root != "" {
		removeAll(h.root)
	}
	h.caches.close()
	h.groups.close()
}

// clean does it beside the caller, unless all is cleaned already: a start that
// was under way when the bridge stopped may still give its box back.
func (h *Host) clean(remove func()) {
	h.mu.Lock()
	closed := h.closed
	if !closed {
		h.cleaning.Go(remove)
	}
	h.mu.Unlock()
	if closed {
		remove()
	}
}

// Command is what will be started in the boxes of a Maker.
type Command struct {
	Argv []string
	Env  []string // of every child
	Own  []string // names in Env that its entry gives itself, which a box leaves alone
	Dir  string   // where it runs; "" is the bridge's own
}

// Maker makes the boxes of one server.
type Maker struct {
	host *Host
	name string
	spec Spec
	cmd  Command
}

// Maker refuses a spec that would open the boxes of others.
func (h *Host) Maker(name string, spec Spec, cmd Command) (*Maker, error) {
	m := &Maker{host: h, name: name, spec: spec, cmd: cmd}
	for _, path := range append(append([]string(nil), spec.Read...), spec.Write...) {
		switch {
		case !filepath.IsAbs(path):
			return nil, fmt.Errorf("%q is not a whole path; begin it with a slash", path)
		case h.holdsBoxes(path):
			return nil, fmt.Errorf("%s holds the private folders of every child (%s); name a folder in it, or put them "+
				"elsewhere with --sandbox-dir and --sandbox-cache", path, h.root)
		}
	}
	return m, nil
}

// Boxed tells whether children of it are in a box.
func (m *Maker) Boxed() bool { return !m.spec.Off && m.host.opts.Program != "" && boxes }

// holdsBoxes reports whether the path is above, or is, what all boxes share.
func (h *Host) holdsBoxes(path string) bool {
	path = resolved(path)
	return h.root != "" && within(h.root, path) || h.caches.dir != "" && within(h.caches.dir, path)
}

// resolved is the path without links, where it is there.
func resolved(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// within reports whether the path is the folder or lies in it.
func within(path, folder string) bool {
	rel, err := filepath.Rel(folder, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}
