// Package introspection asks an issuer about access tokens (OAuth 2.0 Token
// Introspection, RFC 7662) and remembers what it said.
//
// It is for tokens that a resource server cannot judge by itself, because they
// are opaque or because a revocation must bite at once. A [Client] is meant to
// be the Introspector of a validator: it says whether the issuer holds a token
// for active and hands on what the issuer told about it. Whether the issuer,
// audience, lifetime and scope in that answer are good here is the validator's
// to say.
//
// # Answers and errors
//
// An inactive token is an answer, {"active":false}, and no error. An error
// means that nobody knows: the endpoint is out of reach, is busy, refuses this
// client, or said something that is no answer by RFC 7662. Treat it as 503, never
// as 401, since a client that gets a 401 throws away a token that may be good.
// Where the issuer answered with another status than 200, [errors.As] finds a
// method RetryAfter() time.Duration, which returns what Retry-After said, or 0.
// No error holds a token, a secret or a part of an answer, and none is
// [context.Canceled] or [context.DeadlineExceeded] unless the caller's own
// context ended.
//
// # How old an answer may be
//
// A good answer is used for Config.TTL at most, counted from the moment the
// question was sent, and never past the token's exp; that holds for a shared
// [Cache] too, however many processes hand the answer on. So a revoked token
// stops working within Config.TTL everywhere, and at once where a fresh look is
// asked for. A bad answer is used for Config.NegativeTTL and kept apart from
// the good ones: a flood of invented tokens does not push out what is known of
// real ones. Errors are not remembered. The token itself is not remembered
// either: answers are found by its SHA-256.
//
// # One question at a time
//
// However many callers ask about one token at once, the endpoint sees one
// request. It does not belong to the first caller: when that one gives up, the
// others still get their answer, and each waits only as long as its own context
// allows. A fresh look is never answered by a request that was sent before it
// was asked for; callers that want one while another request is under way share
// the next. At most 256 requests are under way at once; what cannot be sent
// within Config.Timeout is an error.
package introspection
