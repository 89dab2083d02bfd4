package main

import (
	"fmt"
	"net/url"
	"os"
	"strings"

	"gatehouse/bridge/internal/answer"
	"gatehouse/bridge/internal/config"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/session"
	"gatehouse/bridge/internal/stateless"
	"gatehouse/internal/contract"
)

// servers are what to start: one without a name, or those of the file.
func (f *flags) servers() (config.File, error) {
	if f.Config == "" {
		env, err := f.env()
		if err != nil {
			return config.File{}, err
		}
		s := config.Command(f.Command, f.Cwd, env)
		s.Gate.Sandbox, err = f.commandSandbox()
		return config.File{Servers: []config.Server{s}}, err
	}
	file, err := config.Read(f.Config, os.LookupEnv)
	if err != nil {
		return config.File{}, fmt.Errorf("%w: --config: %w", errUsage, err)
	}
	for i, s := range file.Servers {
		if err := f.mayLend(s); err != nil {
			return config.File{}, fmt.Errorf("%w: --config: %w", errUsage, err)
		}
		if s.Err == nil && s.URL != "" {
			s = remote(s)
		}
		if s.Err == nil {
			s.Err = f.cannot(s)
		}
		file.Servers[i] = s
	}
	return file, nil
}

// env are the variables of --env.
func (f *flags) env() (map[string]string, error) {
	out := map[string]string{}
	for _, pair := range f.Env {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--env %q: write NAME=VALUE", name) // the value may be a secret
		}
		out[name] = value
	}
	return out, nil
}

// cannot tells why these flags and the entry do not go together.
func (f *flags) cannot(s config.Server) error {
	isolation, warm := f.isolation(s.Gate), f.warm(s.Gate)
	switch {
	case s.Gate.Sleep != nil && *s.Gate.Sleep > 0 && isolation == "shared":
		return fmt.Errorf("mcpServers.%s: gatehouse: sleep works only with isolation session or user (here %s): "+
			"the one child of all is everybody's", s.Key, isolation)
	case len(s.Gate.Roles)+len(s.Gate.Scopes) > 0 && f.Identity != "signed":
		return fmt.Errorf("mcpServers.%s: gatehouse: roles and scopes need --identity signed; with %s a caller has none",
			s.Key, f.Identity)
	case s.Gate.Sandbox.Off && f.RequireSandbox:
		return fmt.Errorf("mcpServers.%s: gatehouse: sandbox off and --require-sandbox contradict each other", s.Key)
	case warm > 0 && s.Gate.Credentials != nil:
		return fmt.Errorf("mcpServers.%s: warm %d and credentials do not go together: "+
			"a child that is started ahead is nobody's, and has nobody's credential", s.Key, warm)
	case warm > 0 && isolation == "shared":
		return fmt.Errorf("mcpServers.%s: warm %d is of no use with isolation shared: one child serves all", s.Key, warm)
	case warm > 0 && s.Gate.Identity != "none" && (f.Identity != "none" || isolation != "session"):
		return fmt.Errorf(`mcpServers.%s: warm %d works only with "identity": "none" in "gatehouse", `+
			"or with isolation session and --identity none (here %s and %s)", s.Key, warm, isolation, f.Identity)
	}
	return nil
}

// isolation, warm and serverLimits are what holds for one server: its entry's
// word where it has one.
func (f *flags) isolation(g config.Gate) string {
	if g.Isolation != "" {
		return g.Isolation
	}
	return f.Isolation
}

func childIdentity(g config.Gate) fleet.Identity {
	if g.Identity == "user" {
		return fleet.TellsUser
	}
	return fleet.Identity(g.Identity)
}

func (f *flags) warm(g config.Gate) int {
	switch {
	case g.Warm != nil:
		return *g.Warm
	case f.isolation(g) != "session" || g.Credentials != nil:
		return 0 // --warm is for the others
	}
	return f.Warm
}

func (f *flags) serverLimits(g config.Gate) fleet.Limits {
	l := f.limits().Limits
	if g.CallTime > 0 {
		l.CallTime = g.CallTime
	}
	if f.isolation(g) == "shared" {
		l.Sleep = 0 // --sleep is for the others
	} else if l.Sleep = f.Sleep; g.Sleep != nil {
		l.Sleep = *g.Sleep
	}
	return l
}

func (f *flags) body() answer.Body {
	return answer.Body{Max: f.MaxBody, Time: f.BodyTime, Rate: f.BodyRate}
}

func (f *flags) limits() session.Limits {
	l := session.DefaultLimits()
	l.Sessions, l.SessionsPerUser, l.Calls = f.MaxSessions, f.MaxUserSessions, f.MaxCalls
	l.Body, l.Line, l.Queue, l.Replay = f.MaxBody, f.MaxLine, f.MaxQueue, f.MaxReplay
	l.Waiting, l.Refuse = f.MaxWaiting, f.UserSessionsAt == "refuse"
	if f.Identity == "none" {
		l.SessionsPerUser = 0 // everybody is one user
	}
	l.CallTime, l.Start, l.Idle, l.Age = f.CallTime, f.StartTime, f.SessionIdle, f.SessionAge
	return l
}

// stateless lets an identity have as many calls as all its sessions could.
func (f *flags) stateless() stateless.Options {
	o := stateless.DefaultOptions()
	o.Open = f.MaxCalls * f.MaxUserSessions
	if f.Identity == "none" {
		o.Open = f.MaxCalls * f.MaxSessions // everybody is one identity
	}
	return o
}

// endedURL is --sessions-ended, or its place beside the keys.
func (f *flags) endedURL() string {
	if f.SessionsEnded != "" {
		return f.SessionsEnded
	}
	u, err := url.Parse(f.IdentityKeys)
	if err != nil {
		return ""
	}
	u.Path, u.RawQuery = contract.PathSessionsEnded, ""
	return u.String()
}
