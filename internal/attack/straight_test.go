package attack_test

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"

	"github.com/countermark/countermark/internal/wire"
	"github.com/countermark/countermark/validator"
)

// straight is the validator without a transport. What a client would be told is
// written by what all transports share.
var straight = door{"Validate", noDoor, func(_ testing.TB, h *house) entrance {
	const url = "https://127.0.0.1/orders/7"
	return entrance{http.MethodGet, url, func(tb testing.TB, r *request) answer {
		tb.Helper()
		c := validator.Credentials{Scheme: r.visit.scheme, Token: r.visit.token, Method: http.MethodGet, URL: url}
		var err error
		if c.Proof, err = wire.Proof(r.proofs); err == nil {
			if r.visit.certificate != nil {
				c.Certificate = r.visit.certificate.Leaf
			}
			var t *validator.Token
			if t, err = h.Authorize(tb.Context(), c, h.needs); err == nil {
				h.enter(validator.ContextWithToken(tb.Context(), t))
				return answer{status: http.StatusOK}
			}
		}
		h.logger().Info("refused", "error", err)
		e := wire.Refusal(err)
		a := answer{
			status: e.Status, nonce: e.Nonce, text: fmt.Sprintf("%s %#v", e.Description(), *e),
			challenges: (&wire.Space{Realm: "api"}).Challenges(e),
		}
		if a.status == http.StatusServiceUnavailable || e.RetryAfter > 0 {
			a.retryAfter = strconv.FormatInt(wire.RetryAfter(e), 10)
		}
		return a
	}}
}}
