//go:build amd64 || arm64

package inside

import (
	"fmt"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The filter of system calls refuses what Landlock does not know of: a TCP that
// it takes for something else, what users of one uid share besides files, and
// the knobs that one process of a uid may turn on another.

// Offsets in struct seccomp_data; the arguments are of 8 bytes, low half first
// on the machines that this is built for.
const (
	offNumber = 0
	offArch   = 4
	offArgs   = 16
)

const ioprioWhoProcess = 1 // of linux/ioprio.h

// refused are the calls that no server needs.
func refused() map[unix.Errno][]uint32 {
	return map[unix.Errno][]uint32{
		// Does the calls of this list in another's place.
		unix.ENOSYS: {unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER},
		unix.EPERM: {
			// Shared by all of one uid: keys, and the memory, queues and semaphores of System V and POSIX.
			unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY,
			unix.SYS_SHMGET, unix.SYS_SHMAT, unix.SYS_SHMCTL, unix.SYS_SEMGET, unix.SYS_SEMOP, unix.SYS_SEMCTL,
			unix.SYS_SEMTIMEDOP, unix.SYS_MSGGET, unix.SYS_MSGSND, unix.SYS_MSGRCV, unix.SYS_MSGCTL,
			unix.SYS_MQ_OPEN, unix.SYS_MQ_UNLINK,
			// Doors into the kernel.
			unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_OPEN_BY_HANDLE_AT,
		},
	}
}

// program is made of instructions that jump over what does not hold.
type program []unix.SockFilter

func (p *program) load(offset uint32) {
	*p = append(*p, unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset})
}

// when runs then only if the comparison of what was loaded holds.
func (p *program) when(comparison uint16, value uint32, then func(*program)) {
	var body program
	then(&body)
	*p = append(*p, unix.SockFilter{
		Code: unix.BPF_JMP | comparison | unix.BPF_K, Jf: uint8(len(body)), K: value, //nolint:gosec // a few
	})
	*p = append(*p, body...)
}

// unless is the other way round.
func (p *program) unless(value uint32, then func(*program)) {
	var body program
	then(&body)
	*p = append(*p, unix.SockFilter{
		Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: uint8(len(body)), K: value, //nolint:gosec // a few
	})
	*p = append(*p, body...)
}

func (p *program) end(action uint32) {
	*p = append(*p, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action})
}

func fail(errno unix.Errno) func(*program) {
	return func(p *program) { p.end(unix.SECCOMP_RET_ERRNO | uint32(errno)) } //nolint:gosec // a small number
}

// call runs then for one call, with an argument loaded.
func (p *program) call(number uint32, argument uint32, then func(*program)) {
	p.when(unix.BPF_JEQ, number, func(p *program) {
		p.load(offArgs + 8*argument)
		then(p)
		p.end(unix.SECCOMP_RET_ALLOW)
	})
}

func (d *Description) program(abi int) program {
	arch := map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}[runtime.GOARCH]
	const x32 = 0x40000000 // the same calls by other numbers
	var p program
	p.load(offArch)
	p.unless(arch, fail(unix.ENOSYS))
	p.load(offNumber)
	p.when(unix.BPF_JGE, x32, fail(unix.ENOSYS))
	for errno, numbers := range refused() {
		for _, number := range numbers {
			p.when(unix.BPF_JEQ, number, fail(errno))
		}
	}
	families := []uint32{unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK}
	if d.Unix || abi >= abiResolve { // Landlock then holds paths to what is in the box
		families = append(families, unix.AF_UNIX)
	}
	p.call(unix.SYS_SOCKET, 0, func(p *program) {
		p.notAmong(families, unix.EACCES)
		p.load(offArgs + 8*2)
		for _, protocol := range []uint32{unix.IPPROTO_MPTCP, unix.IPPROTO_SCTP, unix.IPPROTO_DCCP} {
			p.when(unix.BPF_JEQ, protocol, fail(unix.EPROTONOSUPPORT))
		}
	})
	// With this flag a send is a connect that Landlock is not asked about.
	for number, flags := range map[uint32]uint32{unix.SYS_SENDTO: 3, unix.SYS_SENDMSG: 2, unix.SYS_SENDMMSG: 3} {
		p.call(number, flags, func(p *program) { p.when(unix.BPF_JSET, unix.MSG_FASTOPEN, fail(unix.EOPNOTSUPP)) })
	}
	p.knobs()
	p.end(unix.SECCOMP_RET_ALLOW)
	return p
}

// knobs leaves a thread what it may turn on itself, which it says as 0: the
// kernel lets all of one uid turn them on each other, and a number may be
// anybody's. So a library that names its own thread by its number is refused,
// as it is where a container's own filter is strict.
func (p *program) knobs() {
	own := func(p *program) { p.unless(0, fail(unix.EPERM)) }
	for _, number := range []uint32{
		unix.SYS_PRLIMIT64, unix.SYS_SCHED_SETAFFINITY, unix.SYS_SCHED_SETSCHEDULER, unix.SYS_SCHED_SETPARAM,
		unix.SYS_SCHED_SETATTR,
	} {
		p.call(number, 0, own)
	}
	for number, process := range map[uint32]uint32{
		unix.SYS_SETPRIORITY: unix.PRIO_PROCESS, unix.SYS_IOPRIO_SET: ioprioWhoProcess,
	} {
		p.call(number, 0, func(p *program) {
			p.unless(process, fail(unix.EPERM))
			p.load(offArgs + 8)
			own(p)
		})
	}
}

// notAmong fails for what is loaded and none of the values.
func (p *program) notAmong(values []uint32, errno unix.Errno) {
	var body program
	fail(errno)(&body)
	for _, value := range slices.Backward(values) {
		next := program{{
			Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: uint8(len(body)), K: value, //nolint:gosec // a few
		}}
		body = append(next, body...)
	}
	*p = append(*p, body...)
}

// filter puts the filter on this thread.
func (d *Description) filter() error {
	abi, _ := ABI() // without it, as with an old one
	p := d.program(abi)
	prog := unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]} //nolint:gosec // a hundred
	// prctl, for a service manager's filter may not know seccomp(2).
	_, _, errno := unix.Syscall(unix.SYS_PRCTL, unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER,
		uintptr(unsafe.Pointer(&prog))) //nolint:gosec // as the kernel wants it
	if errno != 0 {
		return fmt.Errorf("filter of system calls: %w", errno)
	}
	return nil
}
