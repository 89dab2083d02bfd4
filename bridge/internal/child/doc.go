// Package child is one child process: started by argv and never through a
// shell, in a process group of its own, its standard error read line by line,
// its end a ladder (standard input closed, TERM, KILL, each to the whole
// group), and dead when the bridge is.
//
// It must never know what a line says, who asked for it, or HTTP.
package child
