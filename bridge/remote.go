package main

import (
	"encoding/json"
	"fmt"
	"os"

	"gatehouse/bridge/internal/config"
	"gatehouse/bridge/internal/connect/cli"
	"gatehouse/bridge/internal/connect/outbound"
)

// lentFile is where the other end finds its user's credential, in the folder of
// its own: the bridge renews it there.
const lentFile = "credential"

// remote makes a child of an entry with a url: this program as the other end.
// Its credentials are the entry's headers, and its user's own where the entry
// wants one. What the caller shows is not passed on, for no child ever gets it.
func remote(s config.Server) config.Server {
	program, err := os.Executable()
	if err != nil {
		s.Err = fmt.Errorf("mcpServers.%s: url: %w", s.Key, err)
		return s
	}
	if _, err := outbound.Check(s.URL, nil); err != nil {
		s.Err = fmt.Errorf("mcpServers.%s: url: %w", s.Key, err)
		return s
	}
	for name, value := range s.Headers {
		if !headerName.MatchString(name) || !headerValue.MatchString(value) {
			s.Err = fmt.Errorf("mcpServers.%s: headers: %q or its value is no header of HTTP", s.Key, name)
			return s
		}
	}
	headers, err := json.Marshal(s.Headers)
	if err != nil {
		s.Err = fmt.Errorf("mcpServers.%s: headers: %w", s.Key, err)
		return s
	}
	s.Command, s.Args = program, []string{"connect", "--no-sign-in"}
	s.Env = map[string]string{cli.EnvURL: s.URL, cli.EnvHeaders: string(headers)}
	if c := s.Gate.Credentials; c != nil {
		lent := *c
		lent.File = lentFile
		s.Gate.Credentials = &lent
		s.Env[cli.EnvCredential], s.Env[cli.EnvCredentialHeader] = lent.File, lent.Header
	}
	s.Inherit = append(
		s.Inherit, "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy", "SSL_CERT_*",
	)
	return s
}
