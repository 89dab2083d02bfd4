package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"gatehouse/test/stack"
)

type opts struct {
	dir, bin, keycloak string
	ports              stack.Ports
	server             []string
	once               bool
}

func options(args []string) (o opts, err error) {
	f := flag.NewFlagSet("run", flag.ContinueOnError)
	f.Usage = func() {
		_, _ = fmt.Fprintln(f.Output(), "make run RUN_ARGS=\"[OPTION...] [-- COMMAND ARG...]\"")
		f.PrintDefaults()
	}
	o.ports = stack.DefaultPorts()
	dir := f.String("dir", ".run", "folder for logs, certificates and data")
	config := f.String("config", "", "file of MCP servers, as desktop clients have it, in place of the demo")
	free := f.Bool("free", false, "take free ports, not the default ones")
	f.StringVar(&o.keycloak, "keycloak", "", "unpacked Keycloak")
	f.BoolVar(&o.once, "once", false, "stop after the call")
	for _, p := range o.ports.Each() {
		f.IntVar(p.Port, p.Name, *p.Port, "port of "+p.Part)
	}
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if *free {
		o.ports = stack.Ports{}
	}
	if o.server, err = server(*config, f.Args()); err != nil {
		return o, err
	}
	if o.dir, err = filepath.Abs(*dir); err != nil {
		return o, err
	}
	o.bin, err = filepath.Abs("bin")
	return o, errors.Join(err, os.MkdirAll(o.dir, 0o700))
}

// server is the MCP server of one's own: a command, or a file of several.
func server(config string, command []string) ([]string, error) {
	if config == "" {
		return command, nil
	}
	if len(command) > 0 {
		return nil, fmt.Errorf("-config %s and the command %q: give one of them", config, strings.Join(command, " "))
	}
	file, err := filepath.Abs(config)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(file); err != nil {
		return nil, fmt.Errorf("-config: %w", err)
	}
	return []string{"--config", file}, nil
}

// hold keeps a second start out of the folder for as long as this one runs.
func hold(dir string) (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder := make([]byte, 20)
		n, _ := file.Read(holder)
		_ = file.Close()
		return nil, fmt.Errorf("process %s runs a gate in %s: end it, or give -dir another folder and -free for other ports",
			strings.TrimSpace(string(holder[:n])), dir)
	}
	if err := errors.Join(file.Truncate(0), writeAt(file, fmt.Sprintln(os.Getpid()))); err != nil {
		return nil, err
	}
	return func() { _ = file.Close() }, nil
}

func writeAt(file *os.File, text string) error {
	_, err := file.WriteAt([]byte(text), 0)
	return err
}
