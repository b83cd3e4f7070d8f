package middleware

import (
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/countermark/countermark/validator"
)

// Challenge sets in h what a refusal with err tells the client, WWW-Authenticate
// (RFC 6750 section 3, RFC 9470 section 3) or Retry-After, and returns the status
// that goes with it. An err that no Authorizer made is a 503: it says nothing
// about the token.
func (g *Guard) Challenge(h http.Header, err error) (status int) {
	e, ok := errors.AsType[*validator.Error](err)
	if !ok || e.Status < 400 {
		e = validator.NewError(validator.ErrUnavailable, "")
	}
	switch {
	case e.Status == http.StatusServiceUnavailable:
		seconds := math.Ceil(e.RetryAfter.Seconds())
		h.Set("Retry-After", strconv.Itoa(int(max(seconds, 1))))
	case e.Status == http.StatusUnauthorized || e.Code != "":
		h.Set("WWW-Authenticate", g.challenge(e))
	}
	return e.Status
}

// Refuse answers a request that err keeps out: the status and headers of
// [Guard.Challenge], and the status in words as the body. The reason goes to the
// log.
func (g *Guard) Refuse(w http.ResponseWriter, req *http.Request, err error) {
	status := g.Challenge(w.Header(), err)
	level := slog.LevelInfo
	if status == http.StatusServiceUnavailable && req.Context().Err() == nil {
		level = slog.LevelError
	}
	g.logger.LogAttrs(req.Context(), level, "request refused",
		slog.Int("status", status), slog.String("method", req.Method), slog.String("path", req.URL.Path), slog.Any("reason", err))
	http.Error(w, http.StatusText(status), status)
}

func (g *Guard) challenge(e *validator.Error) string {
	var b strings.Builder
	b.WriteString("Bearer realm=")
	quote(&b, g.realm)
	if e.Code != "" {
		param(&b, "error", e.Code)
		param(&b, "error_description", e.Description())
	}
	if len(e.Scopes) > 0 {
		param(&b, "scope", strings.Join(e.Scopes, " "))
	}
	if len(e.ACR) > 0 {
		param(&b, "acr_values", strings.Join(e.ACR, " "))
	}
	if e.MaxAge > 0 {
		param(&b, "max_age", strconv.FormatInt(int64(e.MaxAge/time.Second), 10))
	}
	return b.String()
}

func param(b *strings.Builder, name, value string) {
	b.WriteString(", " + name + "=")
	quote(b, value)
}

// quote writes a quoted-string (RFC 9110 section 5.6.4), without the characters
// that one cannot hold.
func quote(b *strings.Builder, value string) {
	b.WriteByte('"')
	for i := range len(value) {
		switch c := value[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c >= ' ' && c <= '~':
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
}
