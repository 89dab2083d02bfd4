package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"gatehouse/bridge/internal/audit"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/guard"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/policy"
	"gatehouse/bridge/internal/session"
	"gatehouse/bridge/internal/telemetry"
	"gatehouse/internal/contract"
	"gatehouse/internal/httpkit"
	"gatehouse/internal/tracing"
)

// watch is the policy, the audit log and the metrics of calls: what stands
// between the fronts and the children.
type watch struct {
	guard   *guard.Guard // nil where nothing of it was asked for
	policy  *guard.File
	audit   *audit.Sink
	metrics *telemetry.Metrics
	tracer  *tracing.Tracer
	log     zerolog.Logger
	changed func() // called when the policy is another; may be nil
}

const closeTime = 5 * time.Second // for the last spans

func newWatch(f *flags, reg *prometheus.Registry, log zerolog.Logger) (*watch, error) {
	w := &watch{log: log}
	var err error
	lost := func(err error) { log.Warn().Err(err).Msg("spans are lost") }
	if w.tracer, err = tracing.Open(context.Background(), "bridge", os.Getenv, lost); err != nil {
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	if f.Policy == "" && f.Audit == "" && f.AdminListen == "" && w.tracer == nil {
		return w, nil
	}
	w.guard = &guard.Guard{ResourceMetadata: f.ResourceMetadata, Tracer: w.tracer}
	if f.AdminListen != "" {
		w.metrics = telemetry.New(reg)
		w.guard.Metrics = w.metrics
	}
	if err := w.openPolicy(f); err != nil {
		return nil, err
	}
	return w, w.openAudit(f)
}

func (w *watch) openPolicy(f *flags) (err error) {
	if f.Policy == "" {
		return nil
	}
	if w.policy, err = guard.OpenFile(f.Policy); err != nil {
		return fmt.Errorf("%w: --policy: %w", errUsage, err)
	}
	w.guard.Policy, w.guard.Limits = &w.policy.Current, policy.NewLimits(time.Now)
	return nil
}

func (w *watch) openAudit(f *flags) error {
	if f.Audit == "" {
		return nil
	}
	secret, err := httpkit.Secret("--audit-key", "", f.AuditKeyFile)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	key := []byte(secret)
	if secret == "" { // hashes compare within one run of the program
		key = make([]byte, 32)
		_, _ = rand.Read(key) // never fails since Go 1.24
	}
	w.audit, err = audit.Open(f.Audit, key, func(err error) { w.log.Error().Err(err).Msg("audit log") })
	if err != nil {
		return fmt.Errorf("%w: --audit: %w", errUsage, err)
	}
	w.guard.Audit = w.audit
	return nil
}

// sessionEnded tells the metrics of the sessions that ended.
func (w *watch) sessionEnded() func(server, era string, took time.Duration) {
	if w.metrics == nil {
		return nil
	}
	return w.metrics.Session
}

// sessionWoken tells them of those that have a child again.
func (w *watch) sessionWoken() func(server string, took time.Duration) {
	if w.metrics == nil {
		return nil
	}
	return w.metrics.Woken
}

// sessionGuard avoids a nil *guard.Guard in a non-nil interface.
func (w *watch) sessionGuard() mux.Guard {
	if w.guard == nil {
		return nil
	}
	return w.guard
}

// collect registers what sessions, children and the audit log count.
func (w *watch) collect(reg *prometheus.Registry, table *session.Table, servers func() map[string]*fleet.Server) {
	guard.Collect(reg, w.audit, table, servers)
	sent, lost := w.tracer.Counts()
	httpkit.CountSpans(reg, sent, lost)
}

// run keeps the policy as its file is, and reopens the audit log on SIGHUP.
func (w *watch) run(workers *workers) {
	hup := workers.hangups()
	workers.start(func(ctx context.Context) {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hup:
				w.reopen()
			}
		}
	})
	if w.policy != nil {
		again := workers.hangups()
		workers.start(func(ctx context.Context) { w.watchPolicy(ctx, again) })
	}
}

func (w *watch) watchPolicy(ctx context.Context, hup <-chan os.Signal) {
	w.policy.Watch(ctx, hup, func(err error) {
		if w.metrics != nil {
			w.metrics.Reloaded(err == nil)
		}
		if err != nil {
			w.log.Error().Err(err).Msg("the policy that was in force stays so")
			return
		}
		if w.changed != nil {
			w.changed()
		}
		w.log.Info().Msg("policy read again")
	})
}

func (w *watch) reopen() {
	if w.audit == nil {
		return
	}
	if err := w.audit.Reopen(); err != nil {
		w.log.Error().Err(err).Msg("audit log")
	}
}

func (w *watch) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	w.tracer.Close(ctx)
	if w.audit != nil {
		w.audit.Close()
	}
}

// reaches reports whether the policy may leave a caller anything of a server.
func (w *watch) reaches(id *contract.Identity, server string) bool {
	return w.policy == nil || w.policy.Current.Load().Reaches(id, server)
}

// tools are those that a server has listed and the policy leaves to a caller.
func (w *watch) tools(id *contract.Identity, server string) []string {
	names := w.metrics.Tools(server)
	if w.policy == nil {
		return names
	}
	p := w.policy.Current.Load()
	return slices.DeleteFunc(names, func(name string) bool { return !p.Offers(id, server, policy.Tool, name) })
}
