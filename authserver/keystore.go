package authserver

import (
	"context"
	"errors"
	"time"
)

// ErrConflict says that what was to be changed has changed meanwhile.
var ErrConflict = errors.New("changed meanwhile")

// A KeyStore keeps the signing keys of servers that are one issuer, so that each
// publishes all of them and a rotation by one reaches the others. It is a part
// that a [Store] may have besides. As there, it holds no policy and reads no
// clock, every method is one atomic operation, and times keep at least their
// milliseconds.
//
// Private keys are encrypted wherever they are kept. A KeyStore that was given
// nothing to encrypt them with says [errors.ErrUnsupported], and the server has
// no keys but its own; any other error besides those named is a failure, after
// which a server goes on with the keys that it has.
type KeyStore interface {
	// SigningKeys returns the keys in their order, and the version of the set of
	// them, which is 0 before it is first replaced. If the version is since, it
	// returns no keys: a server that has version since need not take them again.
	SigningKeys(ctx context.Context, since int64) (keys []SharedKey, version int64, err error)

	// ReplaceSigningKeys has keys take the place of all that are there, and
	// raises the version by one. It is ErrConflict if the version is no longer
	// the one given: of any number of servers that rotate one version at once,
	// exactly one does. It is ErrExists if two of keys have one ID. Then nothing
	// changes.
	ReplaceSigningKeys(ctx context.Context, keys []SharedKey, version int64) error
}

// A SharedKey is a signing key that several servers use. It prints without the
// key.
type SharedKey struct {
	// SigningKey has its ID and Algorithm set. Its Signer is a private key in
	// memory: what is in a KMS or HSM is shared by other means.
	SigningKey
	// Idle means that the key is published but never signs.
	Idle bool
	// From is when the key begins to sign; zero means that it always has.
	From time.Time
	// Until is when the key is no longer published, or was withdrawn; zero means
	// that this is not yet known.
	Until time.Time
}
