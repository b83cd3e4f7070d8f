// Package authserver is a compact OAuth 2.0 authorization server.
//
// A [Server] is an [http.Handler] made of a [Config]: an issuer URL, clients,
// people who sign in, and a [Store] for what has to be remembered. It fits into a test, a
// developer's machine (see cmd/devissuer) and a small deployment.
//
// # What it serves
//
// All paths are under the issuer's; the metadata (RFC 8414) names them.
//
//	GET  /authorize   asks a person on a client's behalf (RFC 6749 section 4.1), as POST does
//	POST /login       the form of the sign-in page
//	POST /consent     the form of the consent page
//	POST /par         pushed authorization requests (RFC 9126)
//	POST /token       authorization_code, client_credentials (RFC 6749)
//	POST /introspect  what a token says and whether it is good (RFC 7662)
//	POST /revoke      the end of a token (RFC 7009)
//	GET  /jwks        the public keys (RFC 7517)
//
// The metadata is at both well-known places, /.well-known/oauth-authorization-server
// and /.well-known/openid-configuration; for an issuer with a path, where RFC
// 8414 sections 3.1 and 5 put them. The first four are there if people can sign in
// at all: with [Config.Users] or [Config.Login].
//
// # Authorization codes
//
// Of the ways to ask a person there is one: response_type code with PKCE (RFC
// 7636) by S256, of every client. The redirect URI is compared byte for byte, but
// for the port of http on 127.0.0.1 and [::1] (RFC 8252 section 7.3), and may be
// left out if the client has one only; if it was sent, the token request repeats
// it. As long as client or redirect URI are not sure, there is an error page and
// no redirect. The answer always says iss (RFC 9207), and comes by query or
// form_post. Request objects (RFC 9101) are refused; parameters that are not known
// are ignored, those given twice an error.
//
// A code lasts 60 seconds and works once. An attempt that fails, be it another
// client's, does not use it up; a second one by the rightful client revokes the
// tokens of the first.
//
// # People
//
// People sign in on a page of the server. After 10 failures under one name, or 50
// from one address, each further attempt has to wait, half a minute or two seconds:
// status 429 with Retry-After. No account is ever locked, and where somebody has
// signed in before, guesses from elsewhere do not keep them out. It is counted in
// the memory of each process, by [http.Request.RemoteAddr]: behind a proxy, set it
// to the client's address before the server sees the request, or all people share
// one.
//
// A session lasts until the browser ends, 12 hours at most. The server's one cookie
// is HttpOnly and SameSite=Lax, on https also Secure and __Host-. Forms carry a
// token that is bound to it and to the request.
//
// People are asked whether a client may have what it wants. They are not asked
// again for 30 days what they allowed already, and not at all for clients with
// [Client.SkipConsent]; but always where another program could pass itself off as
// the client, on their own machine. prompt, max_age and login_hint are heard as
// OpenID Connect Core section 3.1.2.1 has them.
//
// The pages carry the request along, so that until somebody signs in the store
// holds nothing of it. No page loads anything, runs a script (that of form_post
// excepted), or may be framed.
//
// # Tokens
//
// An access token is a JWT as RFC 9068 describes it, or opaque for clients that
// are registered so ([Client.AccessTokenStrategy]). Its aud is what the request
// named as resource (RFC 8707), otherwise all that the client is registered for:
// name one, and no API that gets the token can use it at another.
//
// A JWT costs no write to the store. Revoking one is a write, and introspection
// knows of it at once; a resource server that verifies JWTs by itself learns of
// it when the token expires.
//
// # Clients
//
// Every client authenticates, in the one way that it is registered for. Basic
// credentials may be form-encoded, as RFC 6749 section 2.3.1 has it, or not, as
// many clients have it.
//
// # Limits
//
// A form has at most 64 KiB and 64 parameters and arrives within 10 seconds; an
// authorization request, which is in a URL, has at most 16 KiB. Whatever comes before it is the business of the [http.Server]: set its
// ReadHeaderTimeout and MaxHeaderBytes.
package authserver
