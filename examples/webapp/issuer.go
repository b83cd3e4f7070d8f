package main

import "github.com/countermark/countermark/authserver"

const apiName = "https://api.example.com" // what tokens for the API name as their audience

// newIssuer returns an issuer that knows one person and the web application.
func newIssuer(issuerURL, webURL, secret string) (*authserver.Server, error) {
	return authserver.New(authserver.Config{
		Issuer: issuerURL,
		Users:  []authserver.User{{Subject: "user-1", Username: "alice", PasswordHash: authserver.HashPassword("alice")}},
		Clients: []authserver.Client{{
			ClientID:     "webapp",
			ClientName:   "The orders application",
			SecretHash:   authserver.HashOf(secret),
			GrantTypes:   []string{"authorization_code", "refresh_token"},
			RedirectURIs: []string{webURL + "/callback"},
			Scope:        "openid orders:read",
			Audience:     []string{apiName},

			PostLogoutRedirectURIs: []string{webURL + "/"},
		}},
	})
}
