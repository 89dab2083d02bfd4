package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/internal/contract"
)

// authority stands where authsvc stands for the bridge: it signs assertions,
// serves the keys, and says that no session has ended.
type authority struct {
	signer *contract.Signer
	server *http.Server
	url    string
}

func newAuthority(ctx context.Context) (*authority, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	key := jose.JSONWebKey{Key: private, KeyID: "load-1", Algorithm: string(jose.EdDSA), Use: "sig"}
	signer, err := contract.NewSigner(key)
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+contract.PathKeys, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}})
	})
	mux.HandleFunc("POST "+contract.PathSessionsEnded, func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(contract.EndedAnswer{Ended: []string{}})
	})
	a := &authority{signer: signer, server: &http.Server{Handler: mux}, url: "http://" + l.Addr().String()}
	go func() { _ = a.server.Serve(l) }()
	return a, nil
}

// header is the assertion of one of many users.
func (a *authority) header(user int) (map[string]string, error) {
	id := contract.Identity{
		Subject: fmt.Sprintf("user-%d", user), Email: fmt.Sprintf("user%d@example.com", user),
		Name: "Load User", Roles: []string{"mcp-user"}, Scopes: []string{"openid", "mcp.access"},
		SessionID: fmt.Sprintf("sid-%d", user), Expires: time.Now().Add(8 * time.Hour),
	}
	token, _, err := a.signer.Sign(id, time.Now(), time.Hour)
	return map[string]string{contract.HeaderAssertion: token}, err
}

// headers are the assertions of the first n users.
func (a *authority) headers(n int) ([]map[string]string, error) {
	all := make([]map[string]string, n)
	for i := range all {
		h, err := a.header(i)
		if err != nil {
			return nil, err
		}
		all[i] = h
	}
	return all, nil
}

func (a *authority) close() { _ = a.server.Close() }
