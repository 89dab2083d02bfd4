package httpkit

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// ErrSecret says that a secret is missing or given twice.
var ErrSecret = errors.New("secret")

// Secret returns a secret from its value or from the file that holds it, one
// of the two. A trailing newline of the file is not part of the secret.
func Secret(name, value, file string) (string, error) {
	switch {
	case value != "" && file != "":
		return "", fmt.Errorf("%w: %s and %s_FILE are both set; keep one", ErrSecret, name, name)
	case file == "":
		return value, nil
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("%w: %s_FILE: %w", ErrSecret, name, err)
	}
	secret := strings.TrimRight(string(raw), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("%w: %s_FILE: %s is empty", ErrSecret, name, file)
	}
	return secret, nil
}
