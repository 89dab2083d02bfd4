package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// What cannot be meant ends the start with exit code 2 and one line that names
// the flag and holds no secret.
func TestWrongFlagsStopTheStart(t *testing.T) {
	const secret = "s3cret"
	file, empty := filepath.Join(t.TempDir(), "file"), filepath.Join(t.TempDir(), "empty")
	write(t, file, secret)
	write(t, empty, "\n")
	key, short := filepath.Join(t.TempDir(), "key"), filepath.Join(t.TempDir(), "short")
	write(t, key, testStoreKey)
	write(t, short, "too short")
	good := []string{
		"--listen=unix:/x",
		"--public-url=https://gate.example.com",
		"--issuer=https://sso.example.com",
		"--client-id=c",
		"--allow-any-user",
	}
	for names, args := range map[string][]string{
		"--nothing":                           {"--client-secret-file=" + file, "--nothing"},
		"client secret":                       nil,
		"AUTHSVC_CLIENT_SECRET_FILE both":     {"--client-secret=" + secret, "--client-secret-file=" + file},
		"AUTHSVC_CLIENT_SECRET_FILE empty":    {"--client-secret-file=" + empty},
		"AUTHSVC_STORE_KEY_FILE empty":        {"--client-secret-file=" + file, "--store-key-file=" + empty},
		"AUTHSVC_REDIS_URL_FILE both":         {"--client-secret-file=" + file, "--store-key-file=" + key, "--redis-url-file=" + file, "--redis-url=redis://:" + secret + "@x"},
		"redis URL":                           {"--client-secret-file=" + file, "--store-key-file=" + key, "--redis-url=redis://:" + secret + "@x:port"},
		"redis URL ://":                       {"--client-secret-file=" + file, "--store-key-file=" + key, "--redis-url-file=" + file}, // the password alone
		"redis URL :// +":                     {"--client-secret-file=" + file, "--store-key-file=" + key, "--redis-url=redis:x+" + secret + "@x"},
		"--redis-ca":                          {"--client-secret-file=" + file, "--store-key-file=" + key, "--redis-url=rediss://x", "--redis-ca=" + filepath.Join(t.TempDir(), "none")},
		"--session-idle":                      {"--client-secret-file=" + file, "--session-age=1h", "--session-idle=2h"},
		"--public-url":                        {"--client-secret-file=" + file, "--public-url=http://gate.example.com"},
		"--public-url /mcp":                   {"--client-secret-file=" + file, "--public-url=https://gate.example.com/team-a/mcp"},
		"--public-url //":                     {"--client-secret-file=" + file, "--public-url=https://gate.example.com//"},
		"--public-url %61":                    {"--client-secret-file=" + file, "--public-url=https://gate.example.com/te%61m"},
		"--public-url ?":                      {"--client-secret-file=" + file, "--public-url=https://gate.example.com/team-a?"},
		"--cookie-name __Host-gatehouse":      {"--client-secret-file=" + file, "--cookie-name=__Secure-team-a"},
		"--cookie-name =":                     {"--client-secret-file=" + file, "--cookie-name=__Host-gatehouse=a"},
		"--listen and --internal-listen":      {"--client-secret-file=" + file, "--internal-listen=unix:/x"},
		"--leeway --remember --refresh-grace": {"--client-secret-file=" + file, "--leeway=1h", "--remember=1", "--refresh-grace=-1s"},
		"--require-role --allow-any-user":     {"--client-secret-file=" + file, "--require-role=mcp-user"},
		"--token-type":                        {"--client-secret-file=" + file, "--token-type=x"},
		"--login-identity":                    {"--client-secret-file=" + file, "--login-identity=x"},
		"--role-map":                          {"--client-secret-file=" + file, "--role-map=" + file},
		"--store-key-file 32":                 {"--client-secret-file=" + file, "--redis-url=redis://x"},
		"--store-key-file 9 32":               {"--client-secret-file=" + file, "--store-key-file=" + short},
		"--internal-tls-key":                  {"--client-secret-file=" + file, "--internal-tls-cert=" + file},
		"--internal-client-ca":                {"--client-secret-file=" + file, "--internal-client-ca=" + file},
		"--internal-token-file 32":            {"--client-secret-file=" + file, "--internal-token-file=" + short},
		"--roles contractor":                  {"--client-secret-file=" + file, "--roles=mcp-*, contractor"},
		"--scopes mcp.access":                 {"--client-secret-file=" + file, "--scopes="},
		"--log-level":                         {"--client-secret-file=" + file, "--log-level=loud"},
	} {
		t.Run(names, func(t *testing.T) {
			var said strings.Builder
			if code := run(t.Context(), append(good, args...), &said, &said); code != exitUsage {
				t.Errorf("exit code %d, want %d", code, exitUsage)
			}
			text := said.String()
			for _, name := range strings.Fields(names) {
				if !strings.Contains(text, name) {
					t.Errorf("%q does not name %s", text, name)
				}
			}
			if strings.Count(text, "\n") != 1 || strings.Contains(text, secret) {
				t.Errorf("want one line without a secret: %q", text)
			}
		})
	}
}
