package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"gatehouse/authsvc/internal/account"
	"gatehouse/internal/contract"
)

const serversLimit = 2 * time.Second // a page waits no longer for the list

// servers asks the bridge, in the name of a person, what that person may use.
// nil where nobody said where the bridge is.
func (s *service) servers() account.Servers {
	if s.cfg.ServersURL == "" {
		return nil
	}
	url, transport := s.cfg.ServersURL, http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil // an assertion goes to the bridge and to nobody else
	if path, ok := strings.CutPrefix(url, "unix:"); ok {
		url = "http://bridge" + contract.PathServers
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		}
	}
	transport.DisableKeepAlives = true // a page is seldom looked at
	client := &http.Client{
		Transport: transport, Timeout: serversLimit,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(ctx context.Context, id contract.Identity) ([]contract.Server, error) {
		assertion, _, err := s.keys.Sign(id)
		if err != nil {
			return nil, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set(contract.HeaderAssertion, assertion)
		res, err := client.Do(req)
		if err != nil {
			return nil, err
		}
		defer func() { _ = res.Body.Close() }()
		if res.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("--servers-url: %s answers %s", s.cfg.ServersURL, res.Status)
		}
		list, err := contract.ReadServers(res.Body)
		return list.Servers, err
	}
}
