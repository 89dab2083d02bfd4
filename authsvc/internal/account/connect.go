package account

import (
	"net/http"
	"os"
	"slices"

	"gatehouse/internal/contract"
	"gatehouse/internal/httpkit"
)

// connect is how to bring a program to a server.
type connect struct {
	Servers  []server
	Unknown  bool   // the bridge did not tell
	Chosen   string // the address that the lines are for
	Programs []program
	CA       bool
}

type server struct {
	Name, URL string
	Tools     []string
	Chosen    bool
	All       bool // of them in one
}

// connect asks the bridge for the servers of a person. Where it cannot be asked
// the one endpoint that every gate has stands for all of them.
func (h *Handler) connect(r *http.Request, id contract.Identity) connect {
	list := []contract.Server{{Path: "/mcp"}}
	c := connect{CA: h.LocalCA != ""}
	if h.Servers != nil {
		told, err := h.Servers(r.Context(), id)
		if err == nil {
			list = told
		} else {
			c.Unknown = true
			httpkit.Log(r.Context()).Warn().Err(err).Msg("the bridge does not tell which servers there are")
		}
	}
	public := h.Origin + h.Pages.Path("")
	for _, s := range list {
		c.Servers = append(c.Servers, server{
			Name: s.Name, URL: public + s.Path, Tools: s.Tools, All: s.Name == "" && len(list) > 1,
		})
	}
	if len(c.Servers) == 0 {
		return c
	}
	asked := r.URL.Query().Get("server")
	at := max(0, slices.IndexFunc(c.Servers, func(s server) bool { return s.Name == asked }))
	chosen := &c.Servers[at]
	chosen.Chosen = true
	c.Chosen, c.Programs = chosen.URL, programs(chosen.Name, chosen.URL)
	return c
}

const caPath = "/account/ca.crt"

// ca hands out the authority of this gate's certificate: it is public.
func (h *Handler) ca(w http.ResponseWriter, _ *http.Request) error {
	if h.LocalCA == "" {
		return &httpkit.Error{Code: http.StatusNotFound, Msg: "this gate's certificate is from a public authority"}
	}
	pem, err := os.ReadFile(h.LocalCA)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-pem-file")
	w.Header().Set("Content-Disposition", `attachment; filename="gatehouse-ca.crt"`)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(pem) // the caller is gone: nobody is left to tell
	return nil
}
