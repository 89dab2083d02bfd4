// Command dns is CoreDNS with what the test's cluster needs of it: the names
// of the cluster's services and pods, and a health answer.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
)

func main() {
	dnsserver.Directives = []string{"errors", "health", "kubernetes"}
	coremain.Run()
}
