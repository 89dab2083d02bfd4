//go:build cluster

package cluster

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
)

// reach is who may open a connection to whom. A pod that has the labels of a
// part stands for it: the part's own image has no shell.
var reach = []struct {
	from, namespace, label string
	to                     []string // and to nothing else of doors
}{
	{"stranger", "default", "stranger", []string{
		"nginx:8443", "node:6443", "outside:443", "outside:26379", "outside:5432",
	}},
	{"stray", "gatehouse", "stray", nil},
	{"nginx", "gatehouse", "nginx", []string{"authsvc:4180", "bridge:3000", "bridge:3001"}},
	{"bridge", "gatehouse", "bridge", []string{"authsvc:4181"}},
	{"authsvc", "gatehouse", "authsvc", []string{
		"bridge:3000", "redis:6379", "nginx:8443", "outside:443", "outside:26379",
	}},
	{"redis", "gatehouse", "redis", nil},
	{"keycloak", "gatehouse", "keycloak", []string{"authsvc:4180"}}, // back-channel logout
	{"prometheus", "monitoring", "prometheus", []string{
		"nginx:8443", "authsvc:4181", "bridge:3001", "node:6443", "outside:443", "outside:26379", "outside:5432",
	}},
}

// doors are the listeners of the parts. "node" is the API server's; "outside" is
// a host of a private network beyond the cluster: a Keycloak or a managed Redis
// with its Sentinels for authsvc, and nothing that a bridge may see.
var doors = []string{
	"nginx:8443", "authsvc:4180", "authsvc:4181", "bridge:3000", "bridge:3001", "redis:6379", "node:6443",
	"outside:443", "outside:26379", "outside:5432",
}

// prober stays until it is killed and is never ready, so that no Service sends
// anything to it.
const prober = `---
{apiVersion: v1, kind: Pod, metadata: {name: probe-%s, namespace: %s,
  labels: {app.kubernetes.io/name: %s, gatehouse.test/probe: "yes"}},
spec: {automountServiceAccountToken: false, terminationGracePeriodSeconds: 0,
  securityContext: {runAsNonRoot: true, runAsUser: 999, seccompProfile: {type: RuntimeDefault}},
  containers: [{name: probe, image: "docker.io/library/redis:7.0-bookworm", imagePullPolicy: Never,
    command: [sleep, infinity], readinessProbe: {exec: {command: ["false"]}, periodSeconds: 600},
    securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}]}}
`

// What the NetworkPolicies forbid is refused, and what they allow is open.
func TestWhoReachesWhom(t *testing.T) {
	var pods strings.Builder
	pods.WriteString("---\n{apiVersion: v1, kind: Namespace, metadata: {name: monitoring}}\n")
	for _, r := range reach {
		_, _ = fmt.Fprintf(&pods, prober, r.from, r.namespace, r.label)
	}
	// A probe that stayed would be taken for a pod of the part that it stands for.
	defer manifest(t, pods.String(), "delete", "--ignore-not-found", "--timeout=120s")
	manifest(t, pods.String(), "apply")
	for _, port := range []string{"443", "26379", "5432"} {
		greet(t, net.JoinHostPort(outside, port))
	}
	var ask strings.Builder
	for _, door := range doors {
		part, port, _ := strings.Cut(door, ":")
		_, _ = fmt.Fprintf(&ask, "echo %s $(timeout 10 bash -c ': </dev/tcp/%s/%s' 2>&1 && echo open); ",
			door, address(t, part), port)
	}
	for _, r := range reach {
		probe := "probe-" + r.from
		kubectl(t, "wait", "-n", r.namespace, "--for=jsonpath={.status.phase}=Running", "pod/"+probe, "--timeout=120s")
		// The policies of a new pod are in force a moment after it runs.
		until(t, "who is reached from "+r.from, func() error {
			said, err := try(t.Context(), "exec", "-n", r.namespace, probe, "--", "bash", "-c", ask.String())
			if err != nil {
				return err
			}
			return asAllowed(said, r.from, r.to)
		})
	}
}

// manifest says the verb to the objects of the text.
func manifest(t *testing.T, text string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "kubectl", append(args, "-f", "-")...)
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

const outside = "10.214.0.1" // this machine's end of the pair that cluster.sh makes

// greet lets whoever comes to the address in, until the test ends.
func greet(t *testing.T, address string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
}

// address is that of a pod of the part which is ready, of the node or of the
// host beyond it.
func address(t *testing.T, part string) string {
	t.Helper()
	switch part {
	case "node":
		return "10.214.0.2"
	case "outside":
		return outside
	}
	ip := kubectl(t, "get", "pod", "-l", "app.kubernetes.io/name="+part+",!gatehouse.test/probe",
		"--field-selector=status.phase=Running", "-o", "jsonpath={.items[0].status.podIP}")
	if ip == "" {
		t.Fatalf("no pod of %s has an address", part)
	}
	return ip
}

// asAllowed reads a line for each door: open, or what refused it. A door that
// does not answer at all is neither. A part's own doors are passed over: what
// enforces policies here takes a policy's open way in for a way out to the pods
// of that same policy.
func asAllowed(said, from string, allowed []string) error {
	open := "," + strings.Join(allowed, ",") + ","
	lines := strings.Split(said, "\n")
	if len(lines) != len(doors) {
		return fmt.Errorf("%d answers, want %d: %s", len(lines), len(doors), said)
	}
	for _, line := range lines {
		door, verdict, _ := strings.Cut(line, " ")
		if strings.HasPrefix(door, from+":") {
			continue
		}
		want := "Connection refused"
		if strings.Contains(open, ","+door+",") {
			want = "open"
		}
		if !strings.HasSuffix(verdict, want) {
			return fmt.Errorf("%s: %q, want %q", door, verdict, want)
		}
	}
	return nil
}
