package introspection

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"log/slog"
	"sync/atomic"
	"time"
)

// A Cache is shared by several processes, for example in Redis. It holds good
// answers only, so invented tokens do not fill it.
//
// The client trusts what it reads: whoever can write to the cache can make any
// token good, and whoever can read it sees what the issuer tells about its
// users. Neither finds a token there: a key is a SHA-256 over the token, the
// issuer, the endpoint and the client identifier, so that clients of several
// issuers and identifiers may share one cache.
//
// A cache that fails or takes longer than 250 ms costs speed and nothing else:
// the issuer is asked, and the cache is left alone for a second. The clocks of
// the processes should agree: their difference is added to how long an answer
// is used, up to 30 s, above which they do without each other's answers.
//
// Its methods are called concurrently and must return when ctx ends.
type Cache interface {
	// Get returns the value last set for key. An empty value, or nil, and no
	// error mean that there is none. The client does not keep the slice.
	Get(ctx context.Context, key string) (value []byte, err error)

	// Set keeps value for ttl at most. An empty value takes the place of one
	// that must no longer be used. The slice is Set's own.
	Set(ctx context.Context, key string, value []byte, ttl time.Duration) error
}

const (
	sharedTimeout = 250 * time.Millisecond
	sharedPause   = time.Second // after a failure
	clockSkew     = 30 * time.Second
)

// A stored value is a version, when the question was sent (milliseconds since
// 1970, big endian), and the answer. The age goes with it, so that no answer
// is used for longer because it was handed on.
const (
	storedVersion = 1
	storedHeader  = 1 + 8
)

// shared is a Cache as this client uses it.
type shared struct {
	cache  Cache
	scope  digest // whose answers: other clients may be told other things
	ttl    time.Duration
	logger *slog.Logger

	failing atomic.Bool
	resume  atomic.Int64 // left alone until then, nanoseconds since 1970
}

func newShared(config Config) *shared {
	if config.Cache == nil {
		return nil
	}
	h := sha256.New()
	for _, field := range []string{"countermark introspection", config.Issuer, config.URL, config.Auth.clientID, config.Audience} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(field))))
		h.Write([]byte(field))
	}
	return &shared{cache: config.Cache, scope: digest(h.Sum(nil)), ttl: config.TTL, logger: config.Logger}
}

// get returns nil if the cache holds no usable good answer.
func (s *shared) get(ctx context.Context, key digest) *answer {
	var found *answer
	s.use(ctx, func(ctx context.Context) error {
		value, err := s.cache.Get(ctx, s.key(key))
		if err == nil {
			found = decode(value, time.Now())
		}
		return err
	})
	if found == nil || !found.usable(time.Now(), s.ttl) {
		return nil
	}
	return found
}

// put offers a good answer to the other processes.
func (s *shared) put(ctx context.Context, key digest, a *answer) {
	s.use(ctx, func(ctx context.Context) error {
		left := a.left(time.Now(), s.ttl)
		if left <= 0 {
			return nil
		}
		return s.cache.Set(ctx, s.key(key), encode(a), left)
	})
}

// forget takes away a good answer that no longer holds. It writes only if there
// is one, lest a flood of invented tokens fill the cache.
func (s *shared) forget(ctx context.Context, key digest) {
	s.use(ctx, func(ctx context.Context) error {
		value, err := s.cache.Get(ctx, s.key(key))
		if err != nil || len(value) == 0 {
			return err
		}
		return s.cache.Set(ctx, s.key(key), []byte{}, s.ttl)
	})
}

// use calls the cache within its time, unless there is none or it failed a
// moment ago.
func (s *shared) use(ctx context.Context, call func(context.Context) error) {
	if s == nil || time.Now().UnixNano() < s.resume.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, sharedTimeout)
	defer cancel()
	err := call(ctx)
	if err == nil {
		s.failing.Store(false)
		return
	}
	s.resume.Store(time.Now().Add(sharedPause).UnixNano())
	if s.failing.CompareAndSwap(false, true) {
		s.logger.WarnContext(ctx, "introspection: the shared cache fails: asking the issuer instead", slog.Any("error", err))
	}
}

func (s *shared) key(key digest) string {
	sum := sha256.Sum256(append(s.scope[:], key[:]...)) // both of fixed length
	return hex.EncodeToString(sum[:])
}

func encode(a *answer) []byte {
	value := make([]byte, 0, storedHeader+len(a.json))
	value = append(value, storedVersion)
	value = binary.BigEndian.AppendUint64(value, uint64(a.asked.UnixMilli()))
	return append(value, a.json...)
}

// decode returns nil unless value is a good answer, by the same rules as for one
// that comes from the issuer.
func decode(value []byte, now time.Time) *answer {
	if len(value) < storedHeader || value[0] != storedVersion {
		return nil
	}
	asked := time.UnixMilli(int64(binary.BigEndian.Uint64(value[1:]))) //nolint:gosec // out of range is out of use, below
	age := now.Sub(asked)
	if age < -clockSkew {
		return nil
	}
	a, err := parseAnswer(value[storedHeader:], now.Add(-age))
	if err != nil || !a.active {
		return nil
	}
	return a
}
