// Package sandbox is the box that a child is started in: what it can read,
// write, reach and use up.
//
//	Host   what this machine can do, and where the private folders are
//	Maker  the boxes of one server
//	Box    the box of one child, made before its start and removed after its end
//
// It promises that a child runs in the box that was described, or not at all;
// that two boxes share nothing that either can write, but for what their entry
// names; and that nothing of a box is left when it is closed. The program
// becomes the box by starting itself (package inside): Landlock, the filter of
// system calls and the limits hold for who asks for them and what that one
// starts, never for another.
//
// It must never know a session, a user's name, or HTTP.
package sandbox
