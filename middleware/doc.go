// Package middleware guards net/http handlers with access tokens (RFC 6750).
//
// A [Guard] takes the token from the Authorization header, and from nowhere
// else; has a validator judge it; answers a request that must not pass; and hands
// one that may to the handler, with the [validator.Token] in its context.
//
// A refusal says to the client what RFC 6750 section 3 allows, in constant
// words; why it was refused goes to the log. With a [ResourceMetadata] (RFC 9728)
// it says as well where to get a token.
package middleware
