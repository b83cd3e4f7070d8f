package interop_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/introspection"
)

// Our introspection authenticates in each way that the issuer takes over http, and
// reads its signed answers (RFC 9701).
func TestOIDCProvider_Introspection(t *testing.T) {
	t.Parallel()
	key := tokentest.NewKey(t, "api-key", "ES256")
	client := func(id string, more map[string]any) map[string]any {
		c := map[string]any{"client_id": id, "client_secret": secret, "grant_types": []string{}, "redirect_uris": []string{}, "response_types": []string{}}
		maps.Copy(c, more)
		return c
	}
	p := startProvider(t,
		client("post", map[string]any{"token_endpoint_auth_method": "client_secret_post"}),
		client("hmac", map[string]any{"token_endpoint_auth_method": "client_secret_jwt", "client_secret": strings.Repeat("s", 32)}),
		client("key", map[string]any{"token_endpoint_auth_method": "private_key_jwt", "jwks": keySet(t, key)}),
		client("signed", map[string]any{"introspection_signed_response_alg": "ES256"}),
	)
	for name, how := range map[string]introspection.Config{
		"client_secret_basic": {Auth: introspection.Basic("api", secret)},
		"client_secret_post":  {Auth: introspection.Post("post", secret)},
		"client_secret_jwt":   {Auth: introspection.SecretJWT("hmac", strings.Repeat("s", 32))},
		"private_key_jwt":     {Auth: introspection.PrivateKeyJWT("key", introspection.SigningKey{ID: key.ID, Signer: key.Private})},
		"signed answers":      {Auth: introspection.Basic("signed", secret), Keys: p.keys(t)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api, token := p.guardThatAsks(t, "opaque", how), p.token(t, "opaque")
			if got := show(t, api, token); got != "machine" {
				t.Errorf("its own: %s", got)
			}
			if got := show(t, api, p.token(t, "opaque/300/other")); !strings.HasPrefix(got, invalidToken) {
				t.Errorf("for another API: %s", got)
			}
			p.revoke(t, token)
			if got := show(t, api, token); !strings.HasPrefix(got, invalidToken) {
				t.Errorf("revoked: %s", got)
			}
		})
	}
}

// Tokens that the issuer bound to a DPoP key (RFC 9449), a JWT and an opaque one,
// pass with proofs of that key alone.
func TestOIDCProvider_DPoP(t *testing.T) {
	t.Parallel()
	node := findNode(t, "openid-client")
	p := startProvider(t)
	apis := map[string]string{}
	for _, kind := range []string{"ES256", "opaque"} {
		apis[apiOf(kind)] = p.guard(t, kind).URL
	}
	runNode(t, node, "provider-dpop.mjs", map[string]any{"issuer": p.issuer, "apis": apis, "secret": secret})
}
