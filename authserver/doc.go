// Package authserver is a compact OAuth 2.0 authorization server.
//
// A [Server] is an [http.Handler] made of a [Config]: an issuer URL, clients,
// and a [Store] for what has to be remembered. It fits into a test, a
// developer's machine (see cmd/devissuer) and a small deployment.
//
// # What it serves
//
// All paths are under the issuer's; the metadata (RFC 8414) names them.
//
//	POST /token       client_credentials (RFC 6749 section 4.4), the assertions
//	                  of others (RFC 7523), token exchange (RFC 8693)
//	POST /introspect  what a token says and whether it is good (RFC 7662)
//	POST /revoke      the end of a token (RFC 7009)
//	GET  /jwks        the public keys (RFC 7517)
//
// The metadata is at both well-known places, /.well-known/oauth-authorization-server
// and /.well-known/openid-configuration; for an issuer with a path, where RFC
// 8414 sections 3.1 and 5 put them.
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
// A client authenticates in the one way that it is registered for: by a secret,
// by a signed assertion (RFC 7523) or by a certificate (RFC 8705). A public
// client cannot, and gets less for it: no grant that stands on the client alone,
// and no introspection. Basic credentials may be form-encoded, as RFC 6749
// section 2.3.1 has it, or not, as many clients have it.
//
// The aud of a client assertion is the issuer identifier alone, as
// draft-ietf-oauth-rfc7523bis has it. Many clients still name the token endpoint
// or the endpoint that they call, as RFC 7523 and OpenID Connect had them do,
// and that is taken too, unless the typ is client-authentication+jwt. A client
// that talks to several servers had better use that: one of them could otherwise
// have it sign what is good at another.
//
// Certificates are those of the connection, so TLS has to end at the
// [http.Server] with the server as its handler. For tls_client_auth its
// configuration verifies them ([crypto/tls.VerifyClientCertIfGiven] and its
// ClientCAs); for self_signed_tls_client_auth it asks for them
// ([crypto/tls.RequestClientCert]), and verifies none.
//
// # The word of others
//
// What an issuer of [Config.TrustedIssuers] signs is a grant: its assertion gets
// a token for its subject, within a policy that allows nothing by itself.
//
// A client that is itself an API may exchange a token that it was sent for one
// that the next API takes ([Client.TokenExchangeAudience]). The new token has no
// more scope and no longer life than the old one, says who acts for the subject,
// and ends when the old one is revoked; revoking it ends it alone and what came
// of it. Access tokens of the server are all that is taken, and none that is
// bound to a key.
//
// # Limits
//
// A form has at most 64 KiB and 64 parameters and arrives within 10 seconds.
// Whatever comes before it is the business of the [http.Server]: set its
// ReadHeaderTimeout and MaxHeaderBytes.
package authserver
