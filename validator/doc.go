// Package validator decides whether an OAuth 2.0 access token is good here.
//
// A [Validator] stands for one issuer and one API. It verifies a JWT with the
// issuer's keys, asks the issuer about an opaque token, and holds both against
// one policy: issuer, audience, expiry, scope (RFC 9068 section 4, RFC 8725,
// RFC 7662). [Issuers] routes tokens of several issuers, each to its own
// Validator. Packages middleware and grpcauth put either in front of handlers;
// Validate and Authorize may be called directly.
//
// # An error is no answer
//
// Whoever holds the keys may be out of reach. Then nobody knows whether a token
// is good, and the refusal is [ErrUnavailable], for a 503: a client that is told
// 401 throws a good token away.
//
// # What is remembered
//
// A JWT that was accepted is remembered, so that its signature is not verified
// again; Config.CacheSize says how many are. It is found by the hash of its
// signature's end and compared byte for byte in all else, and what is kept is no
// token that could be used. All the rest is judged each time: the time, the policy, the
// binding, the scopes, Check, and whether the issuer still has the key.
//
// # What no option loosens
//
// A JWT is a JWS in compact form with an asymmetric signature. Neither "none"
// nor HMAC is known here, nor a key that the token itself brings along, nor a
// crit extension. Base64url is canonical; JSON is one object without duplicate
// or ambiguous names. A token without exp is refused, and so is one that names
// none of the configured audiences, and one of more than 16 KiB.
package validator
