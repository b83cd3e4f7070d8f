package main

import (
	"context"
	"crypto/rand"
	mathrand "math/rand/v2"
	"net/http"

	"github.com/countermark/countermark/internal/rehearsal"
)

// A visit is one request, or what belongs together.
type visit struct {
	kind   string
	knock  func(context.Context) (status int)
	may    func() []int // the statuses that are right at the moment
	passed func()       // is called after a 200; nil: nothing to do
}

// never is right for what is bad, whether or not that can be known.
func never() []int { return []int{401, 503} }

// A crowd makes visits.
type crowd struct {
	*wallet

	api *api
}

// visit makes one of a hundred, in which each kind has its share. A kind may have
// nothing to show yet.
func (c *crowd) visit() *visit {
	switch n := mathrand.IntN(100); { //nolint:gosec // any will do
	case n < 35:
		return c.jwt("known", of(c.wallet, &c.published))
	case n < 45:
		return c.fresh()
	case n < 50:
		return c.jwt("withdrawn", of(c.wallet, &c.withdrawn))
	case n < 65:
		return c.secret("opaque", of(c.wallet, &c.opaque))
	case n < 70:
		return c.secret("revoked", of(c.wallet, &c.revoked))
	case n < 74:
		return c.bad("invented", rand.Text())
	case n < 77:
		return c.bad("invented kid", c.issuer.Token(map[string]any{"kid": rand.Text()}, nil))
	case n < 80:
		return c.bad("forged", c.issuer.Forged())
	case n < 82:
		return c.bad("expired", c.issuer.Token(nil, map[string]any{"exp": 1}))
	case n < 84:
		return c.bad("for another", c.issuer.Token(nil, map[string]any{"aud": "https://another.example"}))
	case n < 86:
		return c.bad("bound, no proof", of(c.wallet, &c.published).bound[0])
	case n < 96:
		return c.dpop(of(c.wallet, &c.published))
	default:
		return c.replay(of(c.wallet, &c.published))
	}
}

// show shows a bearer token at one of the two doors.
func (c *crowd) show(token string) func(context.Context) int {
	if mathrand.IntN(2) == 0 { //nolint:gosec // any will do
		return func(ctx context.Context) int { return c.api.call(ctx, token) }
	}
	return func(ctx context.Context) int { return c.api.knock(ctx, "Bearer", token, "") }
}

func (c *crowd) jwt(kind string, g *generation) *visit {
	if g == nil {
		return nil
	}
	token := g.tokens[mathrand.IntN(batch)] //nolint:gosec // any will do
	return &visit{kind, c.show(token), func() []int { return c.may(g) }, func() { c.passed(g) }}
}

// fresh is a token that nobody has seen, by a key that may change meanwhile.
func (c *crowd) fresh() *visit {
	token := c.issuer.Token(nil, nil)
	return &visit{"fresh", c.show(token), func() []int { return []int{200, 401, 503} }, nil}
}

func (c *crowd) secret(kind string, s *secret) *visit {
	if s == nil {
		return nil
	}
	return &visit{kind, c.show(s.token), func() []int { return c.mayOpaque(s) }, func() { c.accepted(s) }}
}

func (c *crowd) bad(kind, token string) *visit { return &visit{kind, c.show(token), never, nil} }

func (c *crowd) dpop(g *generation) *visit {
	token := g.bound[mathrand.IntN(batch)] //nolint:gosec // any will do
	return &visit{"DPoP", func(ctx context.Context) int {
		return c.api.knock(ctx, "DPoP", token, c.holder.Proof(http.MethodGet, c.api.orders, token))
	}, func() []int { return c.may(g) }, func() { c.passed(g) }}
}

// replay is a proof that is shown again, after it was used.
func (c *crowd) replay(g *generation) *visit {
	token := g.bound[mathrand.IntN(batch)] //nolint:gosec // any will do
	return &visit{"DPoP, replayed", func(ctx context.Context) int {
		proof := c.holder.Proof(http.MethodGet, c.api.orders, token)
		if c.api.knock(ctx, "DPoP", token, proof) != http.StatusOK {
			return http.StatusServiceUnavailable // it was not used
		}
		return c.api.knock(ctx, "DPoP", token, proof)
	}, never, nil}
}

var targets = [...][]rehearsal.Endpoint{
	{rehearsal.KeySet},
	{rehearsal.Introspection},
	{rehearsal.Discovery, rehearsal.KeySet, rehearsal.Introspection},
}
