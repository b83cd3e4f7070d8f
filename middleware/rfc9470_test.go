package middleware_test

import (
	"testing"
	"time"

	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

const stepUp = `Bearer realm="api", error="insufficient_user_authentication", error_description="insufficient user authentication"`

func TestRFC9470_Section3_TheChallengeSaysHowToSignIn(t *testing.T) {
	t.Parallel()
	signedIn := func(acr any, ago time.Duration) map[string]any {
		return map[string]any{"acr": acr, "auth_time": time.Now().Add(-ago).Unix()}
	}
	for name, row := range map[string]struct {
		require   validator.Requirement
		claims    map[string]any
		challenge string
	}{
		"acr_values": {
			validator.Requirement{ACR: []string{"urn:mfa", "urn:hardware"}},
			signedIn("urn:password", 0), stepUp + `, acr_values="urn:mfa urn:hardware"`,
		},
		"no acr": {
			validator.Requirement{ACR: []string{"urn:mfa"}},
			signedIn(nil, 0), stepUp + `, acr_values="urn:mfa"`,
		},
		"max_age, in seconds": {
			validator.Requirement{AuthMaxAge: 5 * time.Minute},
			signedIn("urn:mfa", time.Hour), stepUp + `, max_age="300"`,
		},
		"max_age, not rounded up": {
			validator.Requirement{AuthMaxAge: 1999 * time.Millisecond},
			signedIn("urn:mfa", time.Hour), stepUp + `, max_age="1"`,
		},
		"both": {
			validator.Requirement{ACR: []string{"urn:mfa"}, AuthMaxAge: time.Minute},
			signedIn("urn:mfa", time.Hour), stepUp + `, acr_values="urn:mfa", max_age="60"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, newValidator(t, nil), func(g *middleware.Guard) wrapper { return g.RequireWith(row.require) })
			a := s.send(t, "GET /", "Authorization: Bearer "+token(t, row.claims))
			s.wantRefused(t, a, 401, row.challenge)
			wantLegalChallenge(t, row.challenge)
		})
	}
}

func TestRFC9470_ARecentAndStrongSignInPasses(t *testing.T) {
	t.Parallel()
	s := serve(t, newValidator(t, nil), func(g *middleware.Guard) wrapper {
		return g.RequireWith(validator.Requirement{ACR: []string{"urn:mfa"}, AuthMaxAge: time.Minute})
	})
	s.wantAccepted(t, s.send(t, "GET /", "Authorization: Bearer "+token(t, map[string]any{"acr": "urn:mfa", "auth_time": time.Now().Unix()})))
}
