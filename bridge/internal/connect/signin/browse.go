package signin

import (
	"os/exec"
	"runtime"
)

// Browse opens the system's browser, by argv and never by a shell.
func Browse(url string) error {
	argv := map[string][]string{
		"darwin":  {"open", url},
		"windows": {"rundll32", "url.dll,FileProtocolHandler", url},
	}[runtime.GOOS]
	if argv == nil {
		argv = []string{"xdg-open", url}
	}
	// One of three programs, a URL that was checked, and it outlives the sign-in.
	cmd := exec.Command(argv[0], argv[1:]...) //nolint:gosec,noctx // see above
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }()
	return nil
}
