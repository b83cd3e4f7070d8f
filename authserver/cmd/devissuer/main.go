// Command devissuer is an OAuth 2.0 issuer for local development.
//
//	go run github.com/countermark/countermark/authserver/cmd/devissuer
//
// starts one on 127.0.0.1:9000 with clients to try it with and a user, alice, to
// sign in as, and prints how to the standard output. It logs to the standard error:
// who signs in, tokens issued, requests refused and why. It stops at Ctrl-C.
// Nothing is kept but the signing key, and that only if asked; the devissuer of
// contrib/sql keeps all the rest too. The flags are
//
//	-addr HOST:PORT  listen there and nowhere else; port 0 is any free one
//	-issuer URL      the issuer's URL, if it is not http:// and the address
//	-config FILE     read issuer, clients, users and resources from a file
//	-keys FILE       keep the signing key in a file, made if it is not there
//	-register        let any client register itself, or be known by a document
//
// A FILE is a regular file of at most 1 MiB.
//
// The exit code is 0 if it was stopped, 2 if a flag is wrong, 1 for any other
// failure.
//
// # The configuration file
//
// It is one JSON object. Whatever it holds that is not known is an error.
//
//	{
//	  "issuer": "http://127.0.0.1:9000",
//	  "resources": ["https://api.example.com"],
//	  "clients": [
//	    {
//	      "client_id": "orders-client",
//	      "client_secret": "orders-client-secret",
//	      "grant_types": ["client_credentials"],
//	      "scope": "orders:read orders:write",
//	      "audience": ["https://api.example.com"]
//	    },
//	    {
//	      "client_id": "orders-api",
//	      "client_secret": "orders-api-secret",
//	      "audience": ["https://api.example.com"]
//	    }
//	  ],
//	  "users": [
//	    {"sub": "1", "username": "alice", "password": "wonderland", "claims": {"email": "alice@example.com"}},
//	    {"sub": "2", "username": "bob", "password_hash": "$argon2id$v=19$m=19456,t=2,p=1$..."}
//	  ]
//	}
//
// A client is RFC 7591 client metadata: client_id, client_secret, client_name,
// redirect_uris, post_logout_redirect_uris, grant_types, scope,
// token_endpoint_auth_method (client_secret_basic, which is the default,
// client_secret_post, client_secret_jwt, private_key_jwt, tls_client_auth,
// self_signed_tls_client_auth, or none for a public client),
// token_endpoint_auth_signing_alg, jwks, jwks_uri, those of RFC 8705,
// dpop_bound_access_tokens (RFC 9449), require_pushed_authorization_requests (RFC
// 9126), and some members more:
// audience, the resources that it may get tokens for; access_token_strategy, jwt or
// opaque; skip_consent, for a client of one's own; token_exchange_audience and
// token_exchange_impersonation for the grant of RFC 8693. A client without
// grant_types has none: it is a resource server, which may introspect the tokens
// that are meant for its audience.
//
// A user has a password or, as password_hash, an Argon2id or bcrypt hash of it.
// The password is not kept, and is printed only if the issuer is on a loopback
// host. If it listens on a loopback address besides, each user is one click on the
// sign-in page, without a password. Without users nobody can sign in, and there is
// no authorization endpoint.
//
// The resources are the names of the APIs, as RFC 8707 has them. A client
// without an audience has all of them; if the file names any resources, an
// audience and a token_exchange_audience may hold no others.
//
// A grant type or authentication method that the issuer does not have is an
// error. What has no effect, such as redirect_uris of a client that sends nobody
// anywhere, or jwks and jwks_uri of one whose method does not use them, is said at
// the start, as is what hardly works as it was meant.
//
// # Clients that nobody knows
//
// With -register a client may POST its metadata to /register (RFC 7591) without a
// token, or use as client_id the URL of a client ID metadata document, on this
// machine by http, too: as those of the Model Context Protocol do. It may have the
// scopes of the file's clients between them and all resources, by the grants in
// which a person decides. The flag is for loopback addresses.
//
// # The key file
//
// It holds private keys as PEM blocks, PKCS #8, such as openssl genpkey writes.
// The first one signs: ES256, ES384, ES512, RS256 or EdDSA, as goes with it. Any
// further ones are published, so that tokens that they signed stay good.
package main

import (
	"os"

	"github.com/countermark/countermark/internal/devissuer"
)

func main() { os.Exit(devissuer.Main(os.Args[1:], nil)) }
