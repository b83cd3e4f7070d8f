package authserver

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"
)

// What a [Store] answers besides a failure of its own. Test with [errors.Is].
var (
	// ErrNotFound says that there is no such client, grant or record.
	ErrNotFound = errors.New("not found")
	// ErrExists says that the place is taken.
	ErrExists = errors.New("exists already")
	// ErrFull says that there is room for nothing more, since nothing that is
	// still of use is ever thrown out to make room.
	ErrFull = errors.New("store is full")
)

// A Store keeps what a server must remember: clients, grants, and records such
// as tokens. It holds no policy, reads no clock and sees no secret, only hashes
// of them. Every method is one atomic operation: of any number of calls at once,
// from any number of servers on one store, exactly one finds a record unspent.
//
// Values are copied on the way in and out. Times keep at least their
// milliseconds. An error other than those named is a failure, which the server
// answers with 503. Package storetest holds an implementation to all this.
type Store interface {
	// Client returns the client whose ClientID is id, or ErrNotFound.
	Client(ctx context.Context, id string) (*Client, error)

	// CreateGrant keeps a new grant. It is ErrExists if there is one with that
	// ID, revoked ones included.
	CreateGrant(ctx context.Context, g Grant) error

	// Put keeps a new record. It is ErrExists if the kind has a record under
	// that key, spent and expired ones included, until Purge removes it.
	Put(ctx context.Context, kind Kind, key Hash, r Record) error

	// Get returns a record, spent or not, which Spent tells, or ErrNotFound. It
	// may return one that is expired.
	Get(ctx context.Context, kind Kind, key Hash) (Record, error)

	// Consume spends a record and returns it: First for the one call that spent
	// it, Replayed for all later ones. It is ErrNotFound if there is none or it
	// expired.
	Consume(ctx context.Context, kind Kind, key Hash, now time.Time) (Record, Outcome, error)

	// Rotate spends the refresh token old and keeps r under next in its place:
	// Rotated, with r. If old was spent, and less than grace ago, and what took
	// its place is not itself spent, nothing changes: Retry, with the record
	// that took its place. If old was spent and it is not so, nothing changes:
	// Reused, with the record of old. A grace of 0 has no Retry, even if now is
	// before old was spent: calls need not come in the order of their clocks. It
	// is ErrNotFound if old is not there or expired, and ErrExists if next is
	// taken; then old stays as it was.
	Rotate(ctx context.Context, old, next Hash, r Record, grace time.Duration, now time.Time) (Outcome, Record, error)

	// Grant returns a grant, or ErrNotFound. It may return an expired one.
	Grant(ctx context.Context, id string) (Grant, error)

	// RevokeGrant marks a grant as revoked and keeps it until the later of until
	// and its own Expiry. An unknown one is created, marked: a token that was
	// never written down has a grant that was not either. The first revocation's
	// time and reason stay.
	RevokeGrant(ctx context.Context, id, reason string, now, until time.Time) error

	// Purge removes records and grants that have expired, at most limit in all,
	// and returns how many it removed. The server calls it every so often.
	Purge(ctx context.Context, now time.Time, limit int) (int, error)
}

// A Kind tells records of different use apart: the same key in two kinds is two
// records. A store takes any non-empty Kind.
type Kind string

// The kinds of record that a server keeps.
const (
	AccessToken  Kind = "access_token"  // an opaque access token
	RefreshToken Kind = "refresh_token" // what Rotate works on, spent ones included: so reuse is known
	DPoPProof    Kind = "dpop_proof"    // one that was used, without Data

	ClientAssertionID Kind = "client_assertion_jti" // of a client assertion that was used
	AssertionID       Kind = "assertion_jti"        // of an assertion that was used as a grant

	AuthorizationCode Kind = "authorization_code"
	PushedRequest     Kind = "pushed_request" // by its request_uri (RFC 9126)
	Session           Kind = "session"        // by the cookie of a browser that somebody signed in with
	Consent           Kind = "consent"        // by a hash of who lets which client do what; no secret
	Notice            Kind = "notice"         // for a person who signs in next; by a hash of who, no secret

	DeviceCode     Kind = "device_code"     // what a device asks for (RFC 8628)
	UserCode       Kind = "user_code"       // the key of a device code, by a hash of what a person types
	DeviceDecision Kind = "device_decision" // what a person answered, by the key of the device code
	DevicePoll     Kind = "device_poll"     // that a device asked lately, without Data
)

// A Hash is a SHA-256 digest. Secrets are kept, and found again, by it alone.
type Hash [sha256.Size]byte

// HashOf returns the Hash of a secret that holds at least 128 random bits. For a
// password that a person chose it is not enough.
func HashOf(secret string) Hash { return sha256.Sum256([]byte(secret)) }

// A Record is what a store keeps under a key.
type Record struct {
	// Grant is the ID of the grant that it belongs to. Revoking that grant is
	// how it is revoked.
	Grant string
	// Data is the server's own. It holds no secret.
	Data []byte
	// Expiry is when the record ceases to count. From then on it may be purged.
	Expiry time.Time
	// Spent tells, of what Get returns, whether Consume or Rotate spent the
	// record. Elsewhere it means nothing.
	Spent bool
}

// A Grant is what an authorization lives and dies by: all tokens that came of it
// carry its ID, so that one write revokes them all.
type Grant struct {
	// ID is unique and not secret.
	ID string
	// Data is the server's own. It holds no secret.
	Data []byte
	// Expiry is when the last token of the grant has expired. From then on the
	// grant may be purged.
	Expiry time.Time
	// Revoked is when the grant was revoked; zero means that it is in force.
	Revoked time.Time
	// Reason is why it was revoked.
	Reason string
}

// An Outcome is how a single-use step came out.
type Outcome int

// Of Consume: First or Replayed. Of Rotate: Rotated, Retry or Reused.
const (
	First Outcome = iota + 1
	Replayed
	Rotated
	Retry
	Reused
)

// String returns the outcome's name.
func (o Outcome) String() string {
	switch o {
	case First:
		return "First"
	case Replayed:
		return "Replayed"
	case Rotated:
		return "Rotated"
	case Retry:
		return "Retry"
	case Reused:
		return "Reused"
	default:
		return "none"
	}
}
