package mux

import "gatehouse/bridge/internal/rpc"

// Adapter stands between one client's child and its Conn, where the two speak
// different eras. Each method takes one line and returns those to send down to
// the child and up to the client. Once Passes is true it is asked no more.
type Adapter interface {
	FromClient(line []byte) (down, up [][]byte)
	FromChild(line []byte) (down, up [][]byte)
	Passes() bool
}

// adapted reports whether lines go through the adapter.
func (c *Conn) adapted() bool { return c.o.Adapter != nil && !c.o.Adapter.Passes() }

// writeAdapted sends a client's line through the adapter. What goes up at once
// is routed as if the child had said it.
func (c *Conn) writeAdapted(line []byte, edits ...rpc.Edit) error {
	down, up := c.o.Adapter.FromClient(rpc.AppendEdited(nil, line, edits...))
	for _, l := range down {
		if _, err := c.writeRaw(l); err != nil {
			return err
		}
	}
	for _, l := range up {
		c.take(l)
	}
	return nil
}

// hearAdapted takes a line of the child through the adapter.
func (c *Conn) hearAdapted(line []byte) {
	down, up := c.o.Adapter.FromChild(line)
	for _, l := range down {
		if _, err := c.writeRaw(l); err != nil {
			c.o.Stats.Dropped.Add(1)
		}
	}
	for _, l := range up {
		c.take(l)
	}
}
