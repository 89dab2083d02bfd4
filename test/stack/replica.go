package stack

import (
	"fmt"
	"net/http"
	"path/filepath"
)

// Replica names the nth authsvc or bridge of a stack: 0 is the part itself.
func Replica(part string, n int) string {
	if n == 0 {
		return part
	}
	return fmt.Sprintf("%s-%d", part, n)
}

// pickMore finds ports for n further replicas.
func pickMore(n int) ([]Ports, error) {
	more := make([]Ports, n)
	for i := range more {
		var err error
		if more[i], err = (Ports{}).pick(); err != nil {
			return nil, err
		}
	}
	return more, nil
}

// gates are the replicas of authsvc, and then those of the bridge. Each bridge
// asks the authsvc of its own number.
func (s *Stack) gates(o Options) (parts []*Part) {
	ports := append([]Ports{s.Ports}, s.more...)
	for i, p := range ports {
		parts = append(parts, s.authsvc(o, Replica(Authsvc, i), p))
	}
	for i, p := range ports {
		bridge := s.bridge(o, Replica(Bridge, i), p)
		if len(ports) > 1 {
			bridge.argv = append(bridge.argv, "--node="+Replica(Bridge, i))
		}
		bridge.argv = append(bridge.argv, o.server()...)
		parts = append(parts, bridge)
	}
	return parts
}

// replicate tells nginx of the replicas: each bridge is a node.
func (s *Stack) replicate(v *NginxValues) {
	if len(s.more) == 0 {
		return
	}
	v.Nodes = map[string]string{}
	for i, p := range append([]Ports{s.Ports}, s.more...) {
		v.Nodes[Replica(Bridge, i)] = local(p.Bridge)
		if i > 0 {
			v.Authsvcs = append(v.Authsvcs, local(p.Authsvc))
		}
	}
}

func (s *Stack) authsvc(o Options, name string, p Ports) *Part {
	return &Part{
		Name: name, Wait: "/health/ready",
		up: answers(&http.Client{}, "http://"+local(p.AuthsvcInternal)+"/health/ready"),
		argv: []string{
			filepath.Join(o.Bin, "authsvc"), "--listen=" + local(p.Authsvc), "--internal-listen=" + local(p.AuthsvcInternal),
			"--public-url=" + s.URL, "--issuer=" + s.Issuer, "--client-id=mcp-gateway",
			"--client-secret-file=" + filepath.Join(o.Dir, "client-secret"),
			"--store-key-file=" + filepath.Join(o.Dir, "store-key"),
			"--redis-url=redis://" + local(s.Ports.Redis), "--logout-client=mcp-cli", "--require-role=mcp-user",
			"--servers-url=http://" + local(p.Bridge) + "/servers", "--local-ca=" + s.ca,
		},
	}
}

// bridge lacks the server, with which its command line ends.
func (s *Stack) bridge(o Options, name string, p Ports) *Part {
	return &Part{
		Name: name, Wait: "/health", up: answers(&http.Client{}, "http://"+local(p.Bridge)+"/health"),
		argv: []string{
			filepath.Join(o.Bin, "bridge"), "--listen=" + local(p.Bridge), "--admin-listen=" + local(p.BridgeAdmin),
			"--identity=signed", "--identity-keys=http://" + local(p.AuthsvcInternal) + "/internal/keys",
		},
	}
}

// BridgeAdmin is where the nth bridge serves its metrics and profiles.
func (s *Stack) BridgeAdmin(n int) string {
	return "http://" + local(append([]Ports{s.Ports}, s.more...)[n].BridgeAdmin)
}

func local(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
