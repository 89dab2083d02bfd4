package child

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// markName is the variable that every descendant of a child inherits.
const markName = "GATEHOUSE_CHILD"

// Guardian is a process that outlives the bridge by a moment. Pdeathsig ends a
// child with the bridge, but not what the child started, such as the server
// behind npx; so when the bridge is gone, however it went, the guardian kills
// whatever carries the mark in its environment.
type Guardian struct {
	Mark string // the pair for the environment of every child
	hold *os.File
	done chan struct{}
}

// StartGuardian runs this same program as the guardian.
func StartGuardian() (*Guardian, error) {
	theirs, hold, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("guardian: %w", err)
	}
	mark := markName + "=" + rand.Text()
	//nolint:noctx // it outlives whoever starts it, and ends by its pipe
	cmd := exec.Command("/proc/self/exe", GuardianCommand, mark)
	cmd.Stdin, cmd.Env = theirs, []string{"GOMAXPROCS=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a Ctrl-C is not for it
	err = cmd.Start()
	_ = theirs.Close()
	if err != nil {
		_ = hold.Close()
		return nil, fmt.Errorf("guardian: %w", err)
	}
	g := &Guardian{Mark: mark, hold: hold, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // it ends with the pipe
		close(g.done)
	}()
	return g, nil
}

// Remove has the guardian remove a folder, too, if the bridge does not.
func (g *Guardian) Remove(dir string) {
	if g.hold != nil && dir != "" {
		_, _ = g.hold.WriteString(dir + "\n") // a pipe has room for it; without a guardian it is left
	}
}

// Close lets the guardian do its work and waits for it.
func (g *Guardian) Close() {
	_ = g.hold.Close()
	<-g.done
}

// Guard is the guardian's life: it waits for the end of in, which is that of
// the bridge, then kills all that carry the mark, and removes the folders that
// it was told of.
func Guard(in io.Reader, mark string) {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP) // sent to the whole service: not yet
	folders, _ := io.ReadAll(in)
	for range 100 { // one may fork while the others die
		if killMarked([]byte(mark)) == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond) // nobody tells when a process that is not our child has died
	}
	for dir := range strings.Lines(string(folders)) {
		_ = os.RemoveAll(strings.TrimSuffix(dir, "\n"))
	}
}

func killMarked(mark []byte) (killed int) {
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	for _, dir := range dirs {
		if pid, err := strconv.Atoi(dir.Name()); err == nil && killIfMarked(pid, mark) {
			killed++
		}
	}
	return killed
}

// killIfMarked holds the process by a descriptor while it looks, so that the
// number cannot have become another's when the signal is sent.
func killIfMarked(pid int, mark []byte) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	environ, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return false
	}
	for pair := range bytes.SplitSeq(environ, []byte{0}) {
		if bytes.Equal(pair, mark) {
			return unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) == nil
		}
	}
	return false
}
