package middleware

import (
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/countermark/countermark/internal/wire"
)

// Challenge sets in h what a refusal with err tells the client, WWW-Authenticate
// (RFC 6750 section 3, RFC 9449 section 7.1, RFC 9470 section 3, RFC 9728 section
// 5.1), DPoP-Nonce or Retry-After, and returns the status that goes with it. An
// err that no Authorizer made is a 503: it says nothing about the token.
func (g *Guard) Challenge(h http.Header, err error) (status int) {
	e := wire.Refusal(err)
	if e.Status == http.StatusServiceUnavailable || e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(wire.RetryAfter(e), 10))
	}
	if challenges := g.space.Challenges(e); challenges != nil {
		h["Www-Authenticate"] = challenges
	}
	if nonce := wire.Printable(e.Nonce); nonce != "" {
		h.Set("DPoP-Nonce", nonce)
	}
	return e.Status
}

// Refuse answers a request that err keeps out: the status and headers of
// [Guard.Challenge], and the status in words as the body. The reason goes to the
// log.
func (g *Guard) Refuse(w http.ResponseWriter, req *http.Request, err error) {
	status := g.Challenge(w.Header(), err)
	g.Log(req, status, err)
	http.Error(w, http.StatusText(status), status)
}

// Log tells [Options.Logger] that err kept req out, with status: for those who
// answer in words of their own. [Guard.Refuse] does it by itself.
func (g *Guard) Log(req *http.Request, status int, err error) {
	if g.logger == nil {
		return
	}
	level := slog.LevelInfo
	if status >= http.StatusInternalServerError && req.Context().Err() == nil {
		level = slog.LevelError
	}
	path, _, _ := strings.Cut(req.URL.Path, ";") // what may follow is a client's idea of a parameter, a token perhaps
	g.logger.LogAttrs(req.Context(), level, "request refused",
		slog.Int("status", status), slog.String("method", req.Method), slog.String("path", path), slog.Any("reason", err))
}
