package issuertest

import (
	"encoding/json"
	"net/http"
)

// Shape makes the issuer speak as another provider does.
type Shape struct {
	Opaque string   // in place of a JWT for the access token
	Scope  string   // of the token's answer
	ID     Claims   // over those of the ID token; nil removes one
	Info   Claims   // of userinfo
	Groups []string // that stand in no token, one on each page
}

// ownToken is what the client gets for itself.
const ownToken = "the-client's-own" //nolint:gosec // of a test

// Speak sets the shape.
func (i *Issuer) Speak(s Shape) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.shape = s
}

func (i *Issuer) spoken() Shape {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.shape
}

// userinfo answers for the opaque access token alone.
func (i *Issuer) userinfo(w http.ResponseWriter, r *http.Request) {
	s := i.spoken()
	if s.Opaque == "" || r.Header.Get("Authorization") != "Bearer "+s.Opaque {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	_ = json.NewEncoder(w).Encode(s.Info)
}

// groups pages as Microsoft Graph does.
func (i *Issuer) groups(w http.ResponseWriter, r *http.Request) {
	s, at := i.spoken(), len(r.URL.Query().Get("at"))
	if r.Header.Get("Authorization") != "Bearer "+ownToken || at >= len(s.Groups) {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	answer := map[string]any{"value": []map[string]string{{"id": s.Groups[at]}}}
	if at+1 < len(s.Groups) {
		answer["@odata.nextLink"] = i.URL + r.URL.Path + "?at=" + "xxxxxxxxxxxxxxxxxxxx"[:at+1]
	}
	_ = json.NewEncoder(w).Encode(answer)
}
