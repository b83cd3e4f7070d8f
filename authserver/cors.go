package authserver

import (
	"net/http"
	"slices"
	"strings"
)

// crossOrigin lets pages of the allowed origins read the answer and reports
// whether it answered a preflight, after which there is no more to do (Fetch
// standard, section 3.2). Credentials that a browser adds by itself are never
// asked for: clients bring their own.
func (s *Server) crossOrigin(w http.ResponseWriter, r *http.Request, methods []string) (done bool) {
	if len(s.origins) == 0 {
		return false
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if !slices.Contains(s.origins, origin) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "DPoP-Nonce, Retry-After, WWW-Authenticate")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", strings.Join(methods, ", "))
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, DPoP")
	h.Set("Access-Control-Max-Age", "600") // seconds
	w.WriteHeader(http.StatusNoContent)
	return true
}
