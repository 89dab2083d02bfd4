package edge

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// init.sh makes a certificate that clients of PUBLIC_URL take, whether its host
// is a name or an address, and lets it be at the second start.
func TestTheImagesCertificateIsForItsURL(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "images", "init.sh"))
	if err != nil {
		t.Fatal(err)
	}
	for url, host := range map[string]string{
		"https://gate.example.com": "gate.example.com", "https://192.0.2.5:8443": "192.0.2.5",
		"https://127.0.0.1": "127.0.0.1", "https://1.example": "1.example",
	} {
		dir, bin := t.TempDir(), t.TempDir()
		write(t, filepath.Join(bin, "init"), strings.Replace(string(text), "\ncd /gate\n", "\ncd "+dir+"\n", 1))
		for _, name := range []string{"chown", "install"} { // for who is not root
			write(t, filepath.Join(bin, name), "#!/bin/sh\n")
			if err := os.Chmod(filepath.Join(bin, name), 0o700); err != nil { //nolint:gosec // a program of the test
				t.Fatal(err)
			}
		}
		var certificates [2]string
		for i := range certificates {
			cmd := exec.Command("sh", filepath.Join(bin, "init"))
			cmd.Env = append(os.Environ(), "PUBLIC_URL="+url, "PATH="+bin+":"+os.Getenv("PATH"))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", url, err, out)
			}
			made, err := os.ReadFile(filepath.Join(dir, "tls.crt"))
			if err != nil {
				t.Fatal(err)
			}
			certificates[i] = string(made)
		}
		block, _ := pem.Decode([]byte(certificates[0]))
		made, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if err := made.VerifyHostname(host); err != nil {
			t.Errorf("%s: %v", url, err)
		}
		if certificates[0] != certificates[1] {
			t.Errorf("%s: the second start made another certificate", url)
		}
	}
}
