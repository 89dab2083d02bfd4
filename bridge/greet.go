package main

import (
	"fmt"
	"io"
	"net"
)

// greet tells a person where to connect.
func (g *gate) greet(w io.Writer, addr net.Addr) {
	bases := []string{""}
	if g.flags.Config != "" {
		for _, s := range g.roster.all() {
			bases = append(bases, serversPath+s.entry.Name)
		}
	}
	for _, root := range roots(addr) {
		for _, base := range bases {
			for _, path := range g.flags.MCPPath {
				_, _ = fmt.Fprintf(w, "%s%s%s  Streamable HTTP\n", root, base, path)
			}
			for _, path := range g.flags.SSEPath {
				_, _ = fmt.Fprintf(w, "%s%s%s  HTTP+SSE\n", root, base, path)
			}
		}
	}
}

// roots are the addresses by which a listener can be reached: one that listens
// everywhere is on this machine, and on each network that it has.
func roots(addr net.Addr) []string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return []string{"unix:" + addr.String() + ":"}
	}
	port := fmt.Sprint(tcp.Port)
	if !tcp.IP.IsUnspecified() {
		return []string{"http://" + net.JoinHostPort(tcp.IP.String(), port)}
	}
	out := []string{"http://localhost:" + port}
	addrs, _ := net.InterfaceAddrs() // none that is known: this machine still is
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		if ok && n.IP.To4() != nil && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
			out = append(out, "http://"+net.JoinHostPort(n.IP.String(), port))
		}
	}
	return out
}
