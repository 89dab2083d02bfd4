//go:build !linux

package child

// Lower does nothing: no way back is known.
func (p *Process) Lower() bool { return false }

// Raise has nothing to undo.
func (p *Process) Raise() {}

// Spare is not known.
func Spare(int) bool { return false }
