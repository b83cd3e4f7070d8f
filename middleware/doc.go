// Package middleware guards net/http handlers with access tokens (RFC 6750).
//
// A [Guard] takes the token from the Authorization header, and from nowhere
// else; has a validator judge it; answers a request that must not pass; and hands
// one that may to the handler, with the [validator.Token] in its context.
//
// A token that is bound to a client certificate (RFC 8705) passes only with it. The
// server has to ask for one, and tls.RequestClientCert will do: TLS sees to it that
// the client has the key, and it is the token that says which certificate is right,
// so no authority need have signed it (section 6.2). A certificate that a header
// tells of is none.
//
// Whether a token must be bound (Config.RequireBinding) is the Validator's to say.
// Routes that differ in it have two Validators, with a Guard each; the two share a
// Config.Replay, or a proof passes once at each.
//
// A token is judged once, when the request comes. Server-Sent Events and WebSockets
// go on when it has expired: end them at Expiry of the [validator.Token].
//
// The server bounds what comes before a guard is asked. Give it MaxHeaderBytes: a token
// has at most 16 KiB, and the MiB that net/http takes by itself costs it milliseconds a
// request. And give it ReadHeaderTimeout, which ends connections that say nothing.
//
// Where pages of other sites call the API, CORS comes before the guard: a browser's
// preflight has no token, and a page reads a refusal only with CORS headers on it.
// Expose WWW-Authenticate and DPoP-Nonce, which tell the page what to do.
//
// A refusal says to the client what RFC 6750 section 3 allows, in constant
// words; why it was refused goes to the log. With a [ResourceMetadata] (RFC 9728)
// it says as well where to get a token.
package middleware
