package validator

import (
	"context"
	"crypto"
)

// A KeySource has the keys of one issuer; package jwks has one that fetches
// them. It is safe for concurrent use.
type KeySource interface {
	// Keys returns the issuer's keys named kid that are for the signature
	// algorithm alg (RFC 7517 sections 4.4 and 4.5); with an empty kid, the few
	// that are for alg. The caller does not change the slice. A key is a
	// *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey, and stays the same
	// pointer as long as the issuer has it: a token whose key is another is verified
	// again, and one whose key is gone is refused.
	//
	// No keys and no error: the issuer has none, and the token is refused. An
	// error: nobody could find out. It may say how long to wait by a method
	// RetryAfter() time.Duration.
	Keys(ctx context.Context, kid, alg string) ([]crypto.PublicKey, error)
}

// An Introspector asks the issuer about a token (RFC 7662); package
// introspection has one that remembers answers. It is safe for concurrent use.
type Introspector interface {
	// Introspect returns the issuer's answer, a JSON object, which the caller
	// does not change. With fresh the answer was made after the call began.
	//
	// An answer that says active:false is an answer; an error says that nobody
	// could find out. It may say how long to wait by a method
	// RetryAfter() time.Duration.
	Introspect(ctx context.Context, token string, fresh bool) ([]byte, error)
}
