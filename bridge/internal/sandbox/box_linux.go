package sandbox

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"gatehouse/bridge/internal/sandbox/inside"
)

// boxes tells whether this system has what a box is made of.
const boxes = true

// kernelLacks tells what this kernel cannot keep a child from.
func kernelLacks() (lacks []string) {
	abi, err := inside.ABI()
	if err != nil || abi < inside.ABIFiles {
		return []string{"files, memory and signals of others, and TCP ports: the kernel has no Landlock, or forbids it (" +
			fmt.Sprint(err) + "); Linux 6.12 has all of it"}
	}
	if abi < inside.ABIPorts {
		lacks = append(lacks, "TCP ports: they need Linux 6.7")
	}
	if abi < inside.ABIScope {
		lacks = append(lacks, "signals and abstract sockets: they need Linux 6.12")
	}
	return lacks
}

// Seal keeps what this process was started with, beside its three pipes, from all
// that it starts, in a box or not, and its memory, which holds secrets, from disk.
func Seal() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("core dumps cannot be switched off: %w", err)
	}
	if err := inside.CloseFiles(); err != nil {
		return fmt.Errorf("inherited descriptors cannot be closed: %w", err)
	}
	return nil
}

// asRoot is said of a bridge whose user owns the machine's secrets.
func asRoot() []string {
	if os.Geteuid() != 0 {
		return nil
	}
	return []string{"the bridge runs as root: a child reads what root owns in /etc; run it as another user"}
}

// enter starts this program in the place of the command, which it then becomes.
func (b *Box) enter(cmd *exec.Cmd) error {
	dir := b.workDir(cmd)
	program := cmd.Path
	if strings.Contains(program, "/") {
		program = at(dir, program)
	}
	if _, err := exec.LookPath(program); err != nil {
		return err
	}
	d := b.grants(program, dir)
	d.Unix, d.Group = b.maker.spec.Unix, b.group.path()
	said, err := json.Marshal(d)
	if err != nil {
		return err
	}
	if filepath.IsAbs(dir) {
		cmd.Dir = dir
	}
	cmd.Env = append(cmd.Env, inside.Variable+"="+string(said))
	cmd.Args = append([]string{"bridge", inside.Command, program}, cmd.Args...)
	cmd.Path = b.maker.host.opts.Program
	return nil
}
