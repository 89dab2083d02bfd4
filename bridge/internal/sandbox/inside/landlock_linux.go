package inside

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The versions of Landlock's interface that brought what a box is made of.
const (
	ABIFiles   = 1 // Linux 5.13: files, and who may look into whom
	abiRefer   = 2 // renaming from folder to folder
	abiCut     = 3 // truncating
	ABIPorts   = 4 // Linux 6.7: TCP
	abiDevices = 5 // ioctl of devices
	ABIScope   = 6 // Linux 6.12: signals, abstract sockets
	abiResolve = 9 // sockets by a path
)

// ABI is the version of Landlock that the kernel has.
func ABI() (int, error) {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0, errno
	}
	return int(v), nil //nolint:gosec // a small number
}

// The rights of Landlock; what x/sys does not name yet is from the kernel's
// uapi/linux/landlock.h.
const (
	readFile     = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE
	readAll      = readFile | unix.LANDLOCK_ACCESS_FS_READ_DIR
	resolveUnix  = 1 << 16
	connectTCP   = 1 << 1
	bindTCP      = 1 << 0
	scopeAll     = 1<<0 | 1<<1 // abstract sockets, signals
	ruleNetPort  = 2
	writeOneFile = readFile | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE
	// What is of files and of folders up to the first version, then what later ones brought.
	writeAll = readAll | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR |
		unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_DIR |
		unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO |
		unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK | unix.LANDLOCK_ACCESS_FS_MAKE_SYM |
		unix.LANDLOCK_ACCESS_FS_REFER | unix.LANDLOCK_ACCESS_FS_TRUNCATE
)

// ruleset is struct landlock_ruleset_attr.
type ruleset struct{ fs, net, scoped uint64 }

// handled is all that this version can refuse, and the box does not give whole.
func (d *Description) handled(abi int) ruleset {
	h := ruleset{
		fs: writeAll | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV | resolveUnix, net: connectTCP | bindTCP, scoped: scopeAll,
	}
	for _, later := range []struct {
		since int
		right uint64
	}{
		{abiRefer, unix.LANDLOCK_ACCESS_FS_REFER}, {abiCut, unix.LANDLOCK_ACCESS_FS_TRUNCATE},
		{abiDevices, unix.LANDLOCK_ACCESS_FS_IOCTL_DEV}, {abiResolve, resolveUnix},
	} {
		if abi < later.since {
			h.fs &^= later.right
		}
	}
	if d.Unix {
		h.fs &^= resolveUnix
	}
	if d.AnyPort {
		h.net &^= connectTCP
	}
	if abi < ABIPorts {
		h.net = 0
	}
	if abi < ABIScope {
		h.scoped = 0
	}
	return h
}

// restrict enters a Landlock domain of its own. What an older kernel lacks was
// said when the bridge started.
func (d *Description) restrict() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	abi, err := ABI()
	if err != nil {
		return nil //nolint:nilerr // --require-sandbox does not come here
	}
	h := d.handled(abi)
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET,
		uintptr(unsafe.Pointer(&h)), h.size(abi), 0) //nolint:gosec // as the kernel wants it
	if errno != 0 {
		return fmt.Errorf("landlock: %w", errno)
	}
	domain := domain{fd: int(fd), handled: h} //nolint:gosec // a descriptor
	defer unix.Close(domain.fd)               //nolint:errcheck // nothing was written
	if err := domain.fill(d); err != nil {
		return fmt.Errorf("landlock: %w", err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return fmt.Errorf("landlock: %w", errno)
	}
	return nil
}

// size is that of the attributes which a version knows.
func (h *ruleset) size(abi int) uintptr {
	switch {
	case abi < ABIPorts:
		return unsafe.Offsetof(h.net)
	case abi < ABIScope:
		return unsafe.Offsetof(h.scoped)
	}
	return unsafe.Sizeof(*h)
}

// domain is what is being made.
type domain struct {
	fd      int
	handled ruleset
}

func (o *domain) fill(d *Description) error {
	for _, given := range []struct {
		paths         []string
		folder, other uint64
	}{
		{d.Read, readAll, readFile},
		{d.Write, writeAll, writeOneFile},
		{d.Devices, 0, writeOneFile | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV},
	} {
		for _, path := range given.paths {
			if err := o.path(path, given.folder, given.other); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	if o.handled.net&connectTCP != 0 {
		for _, port := range d.Connect {
			if err := o.port(connectTCP, port); err != nil {
				return err
			}
		}
	}
	if o.handled.net&bindTCP != 0 {
		return o.port(bindTCP, 0) // one that the kernel chooses, never one that another service will want
	}
	return nil
}

// path gives the rights of a folder and all below it, or of a file. What is not
// there, or cannot be reached by this user, is nothing that the child could use.
func (o *domain) path(path string, folder, other uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil //nolint:nilerr // as said
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	rights := other
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		rights = folder
	}
	if rights &= o.handled.fs; rights == 0 {
		return nil
	}
	attr := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)} //nolint:gosec // a descriptor
	return o.add(unix.LANDLOCK_RULE_PATH_BENEATH, unsafe.Pointer(&attr))               //nolint:gosec // as said
}

func (o *domain) port(right uint64, port uint16) error {
	attr := struct{ access, port uint64 }{right, uint64(port)}
	return o.add(ruleNetPort, unsafe.Pointer(&attr)) //nolint:gosec // as said
}

func (o *domain) add(kind uintptr, attr unsafe.Pointer) error {
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(o.fd), kind, uintptr(attr), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
