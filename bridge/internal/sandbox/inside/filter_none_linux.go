//go:build !amd64 && !arm64

package inside

// filter is not written for this machine's numbers of system calls.
func (d *Description) filter() error { return nil }
