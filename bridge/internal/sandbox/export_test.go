package sandbox

// Settle waits until the boxes that were closed are gone.
func (h *Host) Settle() { h.cleaning.Wait() }
