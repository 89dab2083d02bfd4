// Package inside is the life of the program as a box: it gives up what a child
// must not have, and becomes the child.
//
// A program that links it becomes a box where it is called with Command and
// finds Variable in its environment. That happens in an init function, for a
// reason that is measured: Go initialises packages in the order of their
// paths as soon as what they import is ready, and this one imports little, so
// it has gone on to the child before the rest of the bridge costs 8 ms. For the
// same reason it asks the kernel itself and not by go-landlock, whose way to
// all threads of a program (psx) is initialised late; one thread is enough for
// who is about to exec.
package inside

// Command is the argument by which the program becomes a box.
const Command = "box"

// Variable is what tells it which. The child does not get it.
const Variable = "GATEHOUSE_SANDBOX"

// Description is a box in words.
type Description struct {
	Read    []string `json:"r,omitempty"` // and execute
	Write   []string `json:"w,omitempty"`
	Devices []string `json:"d,omitempty"`
	Connect []uint16 `json:"c,omitempty"` // TCP ports
	AnyPort bool     `json:"a,omitempty"`
	Unix    bool     `json:"u,omitempty"` // sockets by a path
	Group   string   `json:"g,omitempty"` // the control group to be in
}
