package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"gatehouse/internal/httpkit"
)

// endpoints are the public listener, and the admin's where there is one.
func (g *gate) endpoints(ctx context.Context) ([]httpkit.Endpoint, error) {
	public, err := httpkit.Listen(ctx, g.flags.Listen)
	if err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	endpoints := []httpkit.Endpoint{{Listener: httpkit.Coarse(public), Server: g.httpServer(g.handler())}}
	if g.flags.AdminListen == "" {
		return endpoints, nil
	}
	admin, err := httpkit.Listen(ctx, g.flags.AdminListen)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("--admin-listen: %w", err), public.Close())
	}
	return append(endpoints, httpkit.Endpoint{Listener: admin, Server: g.httpServer(g.admin())}), nil
}

func (g *gate) httpServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 5 * time.Minute, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return g.log.WithContext(context.Background()) },
	}
}
