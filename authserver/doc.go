// Package authserver is a compact OAuth 2.0 authorization server.
//
// A [Server] is an [http.Handler] made of a [Config]: an issuer URL, clients,
// people who sign in, and a [Store] for what has to be remembered. It fits into a
// test, a developer's machine (see cmd/devissuer) and a small deployment.
//
// # What it serves
//
// All paths are under the issuer's; the metadata (RFC 8414) names them.
//
//	GET  /authorize   asks a person on a client's behalf (RFC 6749 section 4.1), as POST does
//	POST /login       the form of the sign-in page
//	POST /consent     the form of the consent page
//	POST /par         pushed authorization requests (RFC 9126)
//	GET  /device      asks a person for the code that their device shows, as POST does
//	POST /device_authorization
//	                  begins what a person ends there (RFC 8628)
//	GET  /userinfo    what a client may know of a person, as POST does (OpenID Connect
//	                  Core section 5.3)
//	GET  /end_session signs a person out, as POST does (OpenID Connect RP-Initiated
//	                  Logout), after POST /logout if they have to be asked
//	POST /token       authorization_code, refresh_token and client_credentials (RFC
//	                  6749), device codes (RFC 8628), the assertions of others (RFC
//	                  7523), token exchange (RFC 8693)
//	POST /introspect  what a token says and whether it is good (RFC 7662)
//	POST /revoke      the end of a token, and of its whole grant (RFC 7009)
//	POST /register    a new client, if such are let (RFC 7591); GET, PUT and DELETE
//	                  for that client to see to itself (RFC 7592)
//	GET  /jwks        the public keys (RFC 7517)
//
// The metadata is at both well-known places, /.well-known/oauth-authorization-server
// and /.well-known/openid-configuration; for an issuer with a path, where RFC
// 8414 sections 3.1 and 5 put them. Those before /token are there if people can sign
// in at all: with [Config.Users] or [Config.Login].
//
// # Authorization codes
//
// Of the response types there is one: code, with PKCE (RFC 7636) by S256, of every
// client. The redirect URI is compared byte for byte, but
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
// A client may have a code bound to its DPoP key, by dpop_jkt or by a proof with
// its pushed request (RFC 9449 section 10): then only who has the key redeems it.
//
// # Devices
//
// A device without a browser or a keyboard shows a code of eight letters, which a
// person types at /device in a browser of their own (RFC 8628). The codes last ten
// minutes, the device asks every five seconds and is told slow_down if it asks more
// often, and the device code works once, as an authorization code does.
//
// Whoever shows somebody the code of their own device, in a message say, hopes to
// have it let in (RFC 8628 section 5.4). So the person is always asked, whatever
// they allowed before and whatever [Client.SkipConsent] says; the page shows the
// code, and says to go on only with a device that they have before them. A code that
// is in the link, as in verification_uri_complete, is filled in and no more. The
// first answer counts, even of several at once.
//
// After ten codes from one address that are not in use, each further attempt has to
// wait half a minute: status 429 with Retry-After. It is counted as sign-ins are,
// see below. In the store the user code is found by a hash, which hides so short a
// code from nobody who reads the store: they could let devices in that wait, in
// their own name.
//
// The endpoint allows requests across origins as the token endpoint does, since the
// apps of many televisions are web pages.
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
// the client: a public one, or one on their own machine. prompt, max_age, login_hint and id_token_hint are heard as
// OpenID Connect Core section 3.1.2.1 has them.
//
// The pages are plain HTML, for light and dark, phone and desktop, keyboard and
// screen reader. [Config.Pages] gives them a name, a logo and templates of one's own.
// With [Config.Development], for a developer's machine alone, each of [Config.Users]
// is one click.
//
// The pages carry the request along, so that until somebody signs in the store
// holds nothing of it. No page loads anything, runs a script (that of form_post
// excepted), or may be framed.
//
// A program that signs in as a person would, in a test say, keeps cookies and
// sends each form back as it came, hidden fields included, with username and
// password filled in, then with decision=allow, or deny; a device's page wants
// user_code.
//
// # OpenID Connect
//
// A client that asks for the scope openid learns who signed in, by an ID token that
// comes with the access token of a code, of a device, or of a refresh token. It says
// when and how the person signed in, repeats the nonce of the authorization request,
// of up to 1024 bytes, and has nothing else of them: that is at /userinfo, for the
// scopes profile, email, address and phone (OpenID Connect Core section 5.4). There
// is one audience, the client, and so no azp.
//
// openid adds the URL of /userinfo to the aud of access tokens, whatever resource
// names. A client that wants one without it, which no API could use there, refreshes
// with a scope that has no openid. Where no person
// signs in there is no openid: client credentials, assertions and token exchange get
// a scope without it, and asking for it is an error.
//
// /userinfo takes tokens by the Authorization header alone, with proof of the key
// that they are bound to. What it tells is as [Config.Users] or [Config.FindUser]
// has it at that moment. A person whom those do not know any more has no use of a
// session, and nobody of what they allowed; the access tokens that are out last
// until they expire, but not at /userinfo.
//
// An ID token has the typ JWT, and is no access token anywhere: those are at+jwt.
// Its algorithm is that of the signing key, ES256 unless [Config.Keys] has another;
// a client that takes RS256 alone needs such a key.
//
// At /end_session a client has a person signed out. Who is meant by the ID token that
// comes along, expired or not, is signed out at once; anybody else is asked, for the
// link may be anybody's. The browser goes back only to what is among
// [Client.PostLogoutRedirectURIs]; for a client that came by itself (see below) not
// unasked where nobody was signed in, but by a link. That ends the session, and nothing that the person
// let clients do: their refresh tokens last. Other clients are not told.
//
// Request objects, the claims parameter, encrypted ID tokens and pairwise subjects
// are not there.
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
// All that came of one code, of a device or of a person's yes, is one grant: who
// revokes an access token of it or a refresh token has ended them all. A token that
// a client got for itself is a grant of its own.
//
// A client that revokes another client's token is refused, as RFC 7009 section
// 2.1 has it, and so learns that the token is alive. Whoever holds a token could
// learn that from any API that takes it.
//
// No JWT is issued that is longer than 16 KiB: the request for it is refused.
//
// A token is bound to a key, so that whoever steals it has no use of it, in one of
// two ways, and introspection tells in which. A client that sends a DPoP proof with
// its token request gets a token for the proof's key (RFC 9449); one registered
// with [Client.TLSClientCertificateBoundAccessTokens] gets a token for the
// certificate that it shows in TLS (RFC 8705 section 3), whoever signed that: the
// client still authenticates as it is registered to. A proof costs one write.
//
// # Refresh tokens
//
// A client that is registered for them gets a refresh token with the tokens of a
// code, a device's too. It works once and brings the next one (RFC 9700 section
// 4.14.2). When one comes a second time, somebody else has it: the whole grant is revoked, access
// tokens included, there is an [EventRefreshReuse], and the person is told at the
// next sign-in. But an answer can be lost, and a client may ask twice at once:
// for a moment ([Config.RefreshTokenGrace]) a token that was used brings the same
// successor again, as long as nobody has used that. The store has it encrypted
// under a key that comes of the token itself.
//
// A refresh token is its client's. A public client, which cannot prove who it is,
// has it bound to its DPoP key or certificate if it shows one with the code (RFC
// 9449 section 5, RFC 8705 section 4), and for good: have public clients registered
// with [Client.DPoPBoundAccessTokens], so that none goes without. A confidential
// client may change its key. All refresh tokens of a grant end with
// [Config.RefreshTokenLifetime], and so do its access tokens, whose expires_in is
// the shorter then. What the client is no longer registered for, they no longer
// bring. Introspection tells of a refresh token to its client alone, if that is
// confidential.
//
// # Keys
//
// Signing keys come from files ([ParseSigningKeys]), from a KMS or HSM (any
// [crypto.Signer]), or the server makes them. [Server.RotateKeys] and
// [Config.KeyRotation] put the next one in place: published before it signs, the
// old one after, for as long as its last token.
//
// # Events
//
// What happens goes to [Config.Audit], and to [Config.Logger] as records of the
// same content: who signed in or out or failed to, what people allowed, tokens issued,
// requests refused, grants revoked, keys rotated. See [Event]. None holds a secret.
//
// # Clients
//
// A client authenticates in the one way that it is registered for: by a secret,
// by a signed assertion (RFC 7523) or by a certificate (RFC 8705). A public
// client cannot, and gets less for it: no grant that stands on the client alone,
// no introspection, and no consent that is remembered. Basic credentials may be form-encoded, as RFC 6749
// section 2.3.1 has it, or not, as many clients have it.
//
// The aud of a client assertion is the issuer identifier alone, as
// draft-ietf-oauth-rfc7523bis has it. Many clients still name the token endpoint
// or the endpoint that they call, as RFC 7523 and OpenID Connect had them do,
// and that is taken too, unless the typ is client-authentication+jwt. A client
// that talks to several servers had better use that: one of them could otherwise
// have it sign what is good at another.
//
// Certificates are those of the connection. For tls_client_auth TLS has to end at
// the [http.Server] with the server as its handler, whose configuration verifies
// them ([crypto/tls.VerifyClientCertIfGiven] and its ClientCAs). For
// self_signed_tls_client_auth it asks for them ([crypto/tls.RequestClientCert]) and
// verifies none; or a proxy does, which [Config.ClientCertificate] reads.
//
// # Clients that come by themselves
//
// With [Config.Registration] clients register themselves at /register (RFC 7591):
// with an initial access token, or as a function decides. The answer has, besides the
// secret, a registration access token, with which the client reads, replaces or
// deletes its registration (RFC 7592) at its registration_client_uri. Neither changes
// by that, so that a lost answer loses no registration; both are kept by their
// hashes, so that no later answer has the secret. Deleting a client ends its tokens,
// wherever the server is asked. What registers never expires.
//
// With [Config.ClientIDMetadataDocuments] a client_id may be the URL of a document
// that says what the client is, and that the server fetches.
//
// Either kind is a stranger: it is held to a [ClientPolicy], by which people decide
// about all it gets, and people are asked each time, with the host that they will be
// sent to. Its name it chose itself, and it may be that of another: so the consent
// page has beside it the host of a document, or says that the client registered
// itself and that nobody here has checked who it is. Of metadata, names that only
// this server knows, such as skip_consent and audience, are nothing on the wire; URIs
// of logos and policies are neither kept nor fetched. A registration that asks for
// more than the policy allows is refused; of a document, which is for all servers,
// the rest counts. An operator who knows a registered client makes it one of their
// own by a [ClientStore.PutClient] with no RegistrationTokenHash.
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
// of it. Access tokens of the server are all that is taken, and one that is bound
// to a key only with proof of that key.
//
// # Limits
//
// A form has at most 64 KiB and 64 parameters; an authorization request, which is
// in a URL, has at most 16 KiB. The body of any request that gets to the [Server]
// arrives within 10 seconds or is given up, whatever its path and method. Whatever
// comes before it, and requests that something else answers, as a mux in front does
// for paths that it does not know, are the business of the [http.Server]: set its
// ReadHeaderTimeout, ReadTimeout and MaxHeaderBytes. How often a client may ask is
// limited nowhere, and how often people may try to sign in as said above.
package authserver
