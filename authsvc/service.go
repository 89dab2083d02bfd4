package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"gatehouse/authsvc/internal/account"
	"gatehouse/authsvc/internal/admin"
	"gatehouse/authsvc/internal/assertion"
	"gatehouse/authsvc/internal/auditlog"
	"gatehouse/authsvc/internal/check"
	"gatehouse/authsvc/internal/credential"
	"gatehouse/authsvc/internal/ending"
	"gatehouse/authsvc/internal/login"
	"gatehouse/authsvc/internal/logout"
	"gatehouse/authsvc/internal/metadata"
	"gatehouse/authsvc/internal/outage"
	"gatehouse/authsvc/internal/page"
	"gatehouse/authsvc/internal/provider"
	"gatehouse/authsvc/internal/session"
	"gatehouse/authsvc/internal/session/memstore"
	"gatehouse/authsvc/internal/session/redisstore"
	"gatehouse/authsvc/internal/telemetry"
	"gatehouse/internal/contract"
	"gatehouse/internal/httpkit"
	"gatehouse/internal/tracing"
)

// service is the wired program.
type service struct {
	cfg      config
	log      zerolog.Logger
	store    session.Store
	ping     httpkit.Check
	close    func() error
	provider *provider.Provider
	tokens   tokens
	client   *clientCheck
	keys     *assertion.Keys
	once     session.Once
	endings  *session.Endings
	sessions *session.Sessions
	pages    *page.Pages
	tracer   *tracing.Tracer
	open     admin.Open
	reg      *prometheus.Registry
	metrics  *telemetry.Metrics

	audit       *auditlog.Log
	ender       *ending.Ender
	watch       *ending.Watch       // nil where there is no Keycloak to ask
	internalTLS *tls.Config         // of the internal listener, nil for none
	credentials *credential.Service // nil for none
}

func newService(cfg config, log zerolog.Logger) (*service, error) {
	log = log.Hook(outage.Hook(time.Now))
	s := &service{cfg: cfg, log: log, reg: httpkit.NewRegistry()}
	s.metrics = telemetry.New(s.reg)
	if err := s.openInternal(); err != nil {
		return nil, err
	}
	if err := s.openStore(); err != nil {
		return nil, err
	}
	s.store = s.metrics.Store(s.store)
	if err := s.openTracer(); err != nil {
		return nil, err
	}
	issuer, err := url.Parse(cfg.Issuer)
	if err != nil {
		return nil, err
	}
	if s.pages, err = page.New(issuer.Scheme+"://"+issuer.Host, cfg.base()); err != nil {
		return nil, err
	}
	if s.provider, err = newProvider(cfg, log); err != nil {
		return nil, err
	}
	if s.tokens, err = newTokens(cfg, s.provider, log); err != nil {
		return nil, err
	}
	s.client = &clientCheck{provider: s.provider, id: cfg.ClientID, file: cfg.ClientSecretFile, log: log}
	secret := []byte(cfg.StoreKey)
	s.keys = assertion.New(s.store, session.NewBox(secret, "assertion keys"), time.Now, log)
	s.once = session.NewOnce(s.store, secret)
	s.endings = session.NewEndings(s.store, cfg.SessionAge, cfg.TokenAge, time.Now, log)
	s.sessions = &session.Sessions{
		Store: s.store, Box: session.NewBox(secret, "index"), Endings: s.endings,
		Refresher: s.metrics.Refresher(refresher{s.provider}),
		Ages: session.Ages{
			Absolute: cfg.SessionAge, Idle: cfg.SessionIdle, Grace: cfg.RefreshGrace, Refresh: cfg.SessionRefresh,
			Tokens: cfg.TokenAge, PerUser: cfg.SessionsPerUser,
		},
		Shared: s.keys.Ready, Now: time.Now, Log: log,
	}
	if err := s.openEnder(); err != nil {
		return nil, err
	}
	return s, s.openCredentials()
}

func newProvider(cfg config, log zerolog.Logger) (*provider.Provider, error) {
	mapping, err := cfg.Identity.mapping(cfg.ClientID)
	if err != nil {
		return nil, err
	}
	source, err := cfg.Identity.source()
	if err != nil {
		return nil, err
	}
	groupsURL, groupsScope := cfg.Identity.groups()
	return provider.New(provider.Config{
		GroupsURL: groupsURL, GroupsScope: groupsScope,
		Issuer: cfg.Issuer, IssuerInternal: cfg.IssuerInternal, ClientID: cfg.ClientID,
		ClientSecret: (&clientSecret{cfg: cfg, log: log, last: cfg.ClientSecret}).now,
		RedirectURL:  cfg.PublicURL + "/callback", LoginScopes: cfg.LoginScopes, LogoutClients: cfg.LogoutClient,
		Mapping: mapping, Source: source, Leeway: cfg.Leeway, Now: time.Now, Log: log,
	}), nil
}

// openInternal reads what the internal listener demands and shows.
func (s *service) openInternal() (err error) {
	if err := (admin.Callers{TokenFile: s.cfg.InternalTokenFile}).Check(); err != nil {
		return fmt.Errorf("--internal-token-file: %w", err)
	}
	if s.cfg.InternalTLSCert == "" {
		return nil
	}
	s.internalTLS, err = admin.TLS(s.cfg.InternalTLSCert, s.cfg.InternalTLSKey, s.cfg.InternalClientCA)
	if err != nil {
		return fmt.Errorf("--internal-tls-cert, --internal-tls-key, --internal-client-ca: %w", err)
	}
	return nil
}

func (s *service) openStore() error {
	if s.cfg.RedisURL == inMemory {
		s.log.Warn().
			Msg("sessions are kept in memory: they end with this process and are not shared with another (--redis-url)")
		s.store, s.close = memstore.New(time.Now, 0), func() error { return nil }
		s.ping = func(context.Context) error { return nil }
		return nil
	}
	redisstore.Log(func(text string) { s.log.Debug().Msg(text) })
	var ca []byte
	if s.cfg.RedisCA != "" {
		var err error
		if ca, err = os.ReadFile(s.cfg.RedisCA); err != nil {
			return fmt.Errorf("--redis-ca: %w", err)
		}
	}
	store, err := redisstore.Open(s.cfg.RedisURL, ca)
	if err != nil {
		return err
	}
	s.store, s.close, s.ping = store, store.Close, store.Ping
	return nil
}

// refresher hands the provider's grants to the sessions.
type refresher struct{ provider *provider.Provider }

func (r refresher) Refresh(ctx context.Context, token string) (session.Grant, error) {
	g, err := r.provider.Refresh(ctx, token)
	return session.Grant(g), forSession(err)
}

// serve runs everything until ctx ends, then drains and waits for what runs
// beside the requests.
func (s *service) serve(ctx context.Context) error {
	verdicts := check.New(&check.Handler{
		Sessions: s.sessions, Tokens: s.tokens, Signer: s.keys, Endings: s.endings, Once: s.once,
		Logins: s.logins(), Cookie: s.cfg.cookie(), Rules: s.cfg.rules(),
		Contact: s.cfg.Contact, Pages: s.pages, Audit: s.audit, Now: time.Now, Log: s.log,
	}, s.cfg.Remember, s.reg)
	s.endings.OnEnd(verdicts.Forget)
	s.endings.OnEnd(s.metrics.Ended)

	public, err := httpkit.Listen(ctx, s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	internal, err := httpkit.Listen(ctx, s.cfg.InternalListen)
	if err != nil {
		_ = public.Close()
		return fmt.Errorf("--internal-listen: %w", err)
	}
	if s.internalTLS != nil {
		internal = tls.NewListener(internal, s.internalTLS)
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	loops := append(s.tokens.loops(), s.keys.Run, s.endings.Run, s.client.run)
	if s.watch != nil {
		loops = append(loops, s.watch.Run)
	}
	for _, loop := range loops {
		running.Go(func() { loop(background) })
	}
	s.log.Info().Str("listen", public.Addr().String()).Str("internal", internal.Addr().String()).Msg("authsvc is up")
	err = httpkit.Serve(ctx, s.cfg.Drain, nil,
		httpkit.Endpoint{Listener: public, Server: s.server(s.publicRoutes(verdicts))},
		httpkit.Endpoint{Listener: internal, Server: s.server(s.internalRoutes(httpkit.Metrics(s.reg)))},
	)
	s.sessions.Wait()
	s.closeTracer()
	stop()
	running.Wait()
	_ = s.close()
	return err
}

// idle is how long a connection waits for its next request; nginx ends its own sooner.
const idle = 5 * time.Minute

func (s *service) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: idle, MaxHeaderBytes: 64 << 10,
	}
}

// publicRoutes puts /auth outside every middleware and router: it is asked for
// each request of each client.
func (s *service) publicRoutes(verdicts *check.Handler) http.Handler {
	r := chi.NewRouter()
	auth := s.traced(verdicts)
	connections := s.connections()
	if connections != nil {
		connections.Mount(r)
	}
	for _, h := range []interface{ Mount(chi.Router) }{
		verdicts,
		&login.Handler{
			Provider: s.provider, Sessions: s.sessions, Pages: s.pages, Contact: s.cfg.Contact, MaxAge: s.cfg.SessionAge,
			Box: session.NewBox([]byte(s.cfg.StoreKey), "login"), Once: s.once, Now: time.Now, Ready: s.signsIn,
			Audit: s.audit, AdminACR: s.cfg.AdminACR, Cookie: s.cfg.cookie(),
		},
		&logout.Handler{
			Provider: s.provider, Sessions: s.sessions, Once: s.once, Pages: s.pages, Audit: s.audit,
			Origin: s.cfg.origin(), Cookie: s.cfg.cookie(),
		},
		&account.Handler{Sessions: s.sessions, Ender: s.ender, Pages: s.pages, Cookie: s.cfg.cookie(),
			Origin: s.cfg.origin(), Rules: s.cfg.rules(), Contact: s.cfg.Contact, Servers: s.servers(), LocalCA: s.cfg.LocalCA,
			Admin: s.adminPart(verdicts), Credentials: s.shownCredentials(connections)},
		&metadata.Handler{Rules: s.cfg.rules(), Issuer: s.cfg.Issuer},
	} {
		h.Mount(r)
	}
	rest := httpkit.Chain(r, httpkit.WithRequestID(s.log), httpkit.AccessLog(s.log, zerolog.InfoLevel),
		s.metrics.Login, httpkit.Recover())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/auth" {
			auth.ServeHTTP(w, r)
			return
		}
		rest.ServeHTTP(w, r)
	})
}

// signsIn is nil where a sign-in can end well: the store answers, and its key is
// the one that the other replicas have.
func (s *service) signsIn(ctx context.Context) error { return cmp.Or(s.ping(ctx), s.keys.Ready(ctx)) }

// adminPart joins what the administrators' part of the page shows.
func (s *service) adminPart(verdicts *check.Handler) account.Admin {
	return account.Admin{
		Role: s.cfg.AdminRole, ACR: s.cfg.AdminACR, StepUp: login.StepUpPath, Who: verdicts.Who,
		Open: func() map[string]bool { return s.open.List(time.Now()) },
		Refusals: func() (all []account.Refusal) {
			for _, one := range verdicts.Refusals() {
				all = append(all, account.Refusal(one))
			}
			return all
		},
	}
}

func (s *service) internalRoutes(metrics http.Handler) http.Handler {
	r := chi.NewRouter()
	(&admin.Handler{
		Keys: s.keys.Public, Ended: s.ended, Ender: s.ender, Open: &s.open,
		Callers: admin.Callers{TokenFile: s.cfg.InternalTokenFile, Cert: s.cfg.InternalClientCA != ""}, Now: time.Now,
		Credentials: s.credentials,
	}).Mount(r)
	r.Method(http.MethodGet, "/metrics", metrics)
	r.Method(http.MethodGet, "/health/live", httpkit.Live())
	tokens := map[string]httpkit.Check{"keys": s.keys.Ready, "provider": s.provider.Ready}
	browsers := map[string]httpkit.Check{"store": s.ping, "client": s.client.ready}
	r.Method(http.MethodGet, "/health/ready", httpkit.Ready(tokens, browsers))
	maps.Copy(browsers, tokens)
	r.Method(http.MethodGet, "/health/ready/browsers", httpkit.Ready(browsers))
	return httpkit.Chain(r, httpkit.WithRequestID(s.log), httpkit.AccessLog(s.log, zerolog.DebugLevel), httpkit.Recover())
}

// forSession translates the provider's no; anything else means that it could not
// be asked. A token that it gave and that does not verify is a no as well, and so
// is an identity that cannot travel: signing in says why.
func forSession(err error) error {
	if errors.Is(err, provider.ErrRefused) || errors.Is(err, provider.ErrToken) || errors.Is(err, contract.ErrIdentity) {
		return fmt.Errorf("%w: %w", session.ErrRefused, err)
	}
	return err
}
