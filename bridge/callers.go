package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"gatehouse/bridge/internal/answer"
	"gatehouse/bridge/internal/identity"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/reread"
	"gatehouse/internal/httpkit"
)

// callers is the middleware that tells who calls, with what keeps it true
// running beside it.
func (g *gate) callers() (httpkit.Middleware, error) {
	switch g.flags.Identity {
	case "none":
		return identity.Nobody, nil
	case "token":
		return g.tokens()
	}
	asks := identity.Asks{
		TokenFile: g.flags.AuthsvcTokenFile, CA: g.flags.AuthsvcCA, Cert: g.flags.AuthsvcCert, Key: g.flags.AuthsvcKey,
	}
	client, err := asks.Client()
	if err != nil {
		return nil, fmt.Errorf("%w: --authsvc-token-file, --authsvc-ca, --authsvc-cert: %w", errUsage, err)
	}
	keys := &identity.Keys{URL: g.flags.IdentityKeys, Client: client, Log: g.log}
	ended := &identity.Ended{
		URL: g.flags.endedURL(), Client: client, Log: g.log,
		SIDs: g.sids, End: g.endSIDs, Blind: g.blind,
	}
	g.checks["identity keys"], g.checks["ended sessions"] = keys.Check, ended.Check
	g.workers.start(keys.Run)
	g.workers.start(ended.Run)
	verifier := identity.NewVerifier(keys)
	if err := g.openCredentials(client); err != nil {
		return nil, err
	}
	verifier.Believed = g.credentials.Believed
	return verifier.Wrap, nil
}

func (g *gate) tokens() (httpkit.Middleware, error) {
	file := reread.Open(g.flags.TokenFile)
	tokens, err := identity.OpenTokens(g.flags.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("%w: --token-file: %w", errUsage, err)
	}
	hup := g.workers.hangups()
	g.workers.start(func(ctx context.Context) {
		file.Watch(ctx, hup, func() {
			gone, err := tokens.Reload()
			if err != nil {
				g.log.Error().Err(err).Msg("the tokens that were in force stay so")
				return
			}
			g.endSIDs(gone)
			g.log.Info().Int("taken_away", len(gone)).Msg("tokens read again")
		}, func(err error) { g.log.Warn().Err(err).Msg("tokens") })
	})
	return tokens.Wrap, nil
}

// sids are the logins that have something open here.
func (g *gate) sids() []string {
	seen := map[string]bool{}
	var all []string
	lists := [][]string{g.table.SIDs()}
	for _, s := range g.roster.every() {
		lists = append(lists, s.front.SIDs())
	}
	for _, list := range lists {
		for _, sid := range list {
			if sid != "" && !seen[sid] {
				seen[sid] = true
				all = append(all, sid)
			}
		}
	}
	return all
}

func (g *gate) endSIDs(sids []string) {
	if g.credentials != nil {
		g.credentials.End(sids)
	}
	g.table.EndSIDs(sids)
	for _, s := range g.roster.every() {
		for _, sid := range sids {
			s.front.End(sid)
		}
	}
}

// blind is Contract 3: what is open stays, nothing new is let in.
func (g *gate) blind(blind bool) {
	var no *mux.Refusal
	if blind {
		no = &mux.Refusal{Reason: "authsvc does not tell which logins have ended", Retry: 10 * time.Second}
	}
	g.refusal.Store(no)
	g.table.Refuse(no)
	for _, s := range g.roster.every() {
		s.front.Refuse(no)
	}
}

// origins are the pages that may call.
func (g *gate) origins() httpkit.Middleware {
	loopback := httpkit.IsLocal(g.flags.Listen) && !strings.HasPrefix(g.flags.Listen, "unix:")
	return answer.Origins{
		Allowed: g.flags.Origin, Hosts: g.flags.Host, CORS: g.flags.Identity != "signed",
		LocalOnly: g.flags.Identity == "none" && loopback,
	}.Wrap
}
