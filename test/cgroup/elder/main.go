//go:build linux && amd64

// Command elder runs a program for which a processor has no registers but those
// of SSE. User-mode Linux 6.1 keeps those of a process in a room that a processor
// with AMX overflows, and dies of it; where the kernel refuses to tell of them
// (PTRACE_GETREGSET of NT_X86_XSTATE, ptrace(2)), it takes the older call.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const xState = 0x202 // NT_X86_XSTATE, elf(5)

// Offsets in struct seccomp_data (seccomp(2)), of the lower halves.
const (
	offCall    = 0
	offRequest = 16
	offSet     = 32
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "elder:", err)
		os.Exit(1)
	}
}

// run returns only where that failed.
func run(argv []string) error {
	runtime.LockOSThread() // the filter is this thread's, which becomes the program
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	if err := refuse(); err != nil {
		return fmt.Errorf("filter of system calls: %w", err)
	}
	return syscall.Exec(path, argv, os.Environ()) //nolint:gosec // to run it is what this is for
}

func refuse() error {
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	unless := func(value uint32, skip uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: value, Jf: skip}
	}
	end := func(action uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action}
	}
	filter := []unix.SockFilter{
		load(offCall), unless(unix.SYS_PTRACE, 5),
		load(offRequest), unless(unix.PTRACE_GETREGSET, 3),
		load(offSet), unless(xState, 1),
		end(unix.SECCOMP_RET_ERRNO | uint32(unix.EIO)),
		end(unix.SECCOMP_RET_ALLOW),
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]} //nolint:gosec // eight
	//nolint:gosec // as the kernel wants it
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0)
}
