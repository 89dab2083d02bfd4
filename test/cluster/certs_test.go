//go:build cluster && certs

package cluster

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse/test/stack"
)

// cert-manager makes the gate's certificate and renews it when it is due; nginx
// serves each one, without a restart, while clients call.
func TestCertManagerRenews(t *testing.T) {
	gate := attach(t)
	c := gather(t, gate, 4)
	last := issued(t, gate)
	pods := kubectl(t, "get", "pod", "-l", "app.kubernetes.io/name=nginx", "-o", "name")

	// It lasts 90 days, as the component has it, and is due 20 s after it was made.
	kubectl(t, "patch", "certificate", "gate", "--type=merge", "--patch", `{"spec":{"renewBefore":"2159h59m40s"}}`)
	for _, what := range []string{"the renewed certificate", "the one after it"} {
		last = follows(t, gate, what, last)
	}
	if now := kubectl(t, "get", "pod", "-l", "app.kubernetes.io/name=nginx", "-o", "name"); now != pods {
		t.Errorf("the pods of nginx were %s and are %s", pods, now)
	}
	c.leave(t, "the certificate renewed")
}

// A pod that answers an ACME challenge is reached, and on no other port. It is
// cert-manager's own by its label and by the port that it listens on.
func TestCertManagerSolverIsReached(t *testing.T) {
	pods := fmt.Sprintf(prober, "stranger", "default", "stranger") +
		strings.Replace(fmt.Sprintf(prober, "solver", "gatehouse", "solver"),
			"labels: {", `labels: {acme.cert-manager.io/http01-solver: "true", `, 1)
	defer manifest(t, pods, "delete", "--ignore-not-found", "--timeout=120s")
	manifest(t, pods, "apply")
	kubectl(t, "wait", "--for=jsonpath={.status.phase}=Running", "pod/probe-solver", "--timeout=120s")
	kubectl(t, "wait", "-n", "default", "--for=jsonpath={.status.phase}=Running", "pod/probe-stranger", "--timeout=120s")
	for _, port := range []string{"8089", "8090"} {
		kubectl(t, "exec", "probe-solver", "--",
			"redis-server", "--port", port, "--daemonize", "yes", "--protected-mode", "no")
	}
	ip := kubectl(t, "get", "pod", "probe-solver", "-o", "jsonpath={.status.podIP}")
	ask := fmt.Sprintf(
		`for port in 8089 8090; do echo $port $(timeout 10 bash -c ": </dev/tcp/%s/$port" 2>&1 && echo open); done`, ip)
	until(t, "the solver's port alone is open", func() error {
		said, err := try(t.Context(), "exec", "-n", "default", "probe-stranger", "--", "bash", "-c", ask)
		if err != nil {
			return err
		}
		first, second, _ := strings.Cut(said, "\n")
		if first != "8089 open" || !strings.HasSuffix(second, "Connection refused") {
			return errors.New(said)
		}
		return nil
	})
}

// issued waits until the certificate that cert-manager has made is served.
func issued(t *testing.T, gate *stack.Stack) *x509.Certificate {
	t.Helper()
	var leaf *x509.Certificate
	until(t, "cert-manager's certificate is served", func() error {
		leaf = served(t, gate)
		if len(leaf.Subject.Names) > 0 { // the one made by hand has a subject
			return errors.New("still the one made by hand")
		}
		return nil
	})
	return leaf
}

// follows waits for a certificate after last, which has a key of its own. Each
// nginx reads it by itself: until all have, older ones are served too.
func follows(t *testing.T, gate *stack.Stack, what string, last *x509.Certificate) *x509.Certificate {
	t.Helper()
	var leaf *x509.Certificate
	began := time.Now()
	until(t, what+" is served", func() error {
		if leaf = served(t, gate); !leaf.NotBefore.After(last.NotBefore) {
			return fmt.Errorf("still one of %s", leaf.NotBefore)
		}
		return nil
	})
	if string(leaf.RawSubjectPublicKeyInfo) == string(last.RawSubjectPublicKeyInfo) {
		t.Errorf("%s has the key of the one before", what)
	}
	t.Logf("%s was served after %.0f s", what, time.Since(began).Seconds())
	return leaf
}
