package introspection

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"
)

// maxToken is how many bytes a token may have.
const maxToken = 16 << 10

// maxLookups is how many look-ups may be under way at once.
const maxLookups = 256

// A Client asks one issuer about tokens. It is safe for concurrent use, has no
// goroutine but those of requests under way, and needs no closing: a request
// that nobody waits for any more ends by itself within its time limits.
type Client struct {
	memory   *memory
	shared   *shared // nil: none
	flights  *flights
	upstream *upstream
}

// New returns a client. It does no I/O: a program starts while the issuer is
// down, and recovers with it.
func New(config Config) (*Client, error) {
	config, err := config.complete()
	if err != nil {
		return nil, err
	}
	return &Client{
		memory:   newMemory(config),
		shared:   newShared(config),
		flights:  newFlights(maxLookups, config.Timeout),
		upstream: newUpstream(config),
	}, nil
}

// String says what it is. Without it, %s would show what the client remembers.
func (*Client) String() string { return "introspection.Client" }

// Introspect returns what the issuer says of token: one strict JSON object
// with a boolean member active (RFC 7662 section 2.2), which is {"active":false}
// and nothing else for a token that is not good. A token that is empty or longer
// than 16 KiB is inactive without being asked about.
//
// With fresh, the issuer is asked now, whatever is remembered, and its answer
// replaces what is. Otherwise the answer may have the age that [Config.TTL]
// allows, and was in any case within the token's exp when it was returned from
// memory.
//
// The caller owns the bytes. An error means that the issuer could not be asked
// or gave no answer; it says nothing about the token.
func (c *Client) Introspect(ctx context.Context, token string, fresh bool) ([]byte, error) {
	if token == "" || len(token) > maxToken {
		return []byte(inactive), nil
	}
	key := digestOf(token)
	if !fresh {
		if a := c.memory.get(key, time.Now()); a != nil {
			return bytes.Clone(a.json), nil
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("introspection: not asked: %w", err)
	}
	a, err := c.flights.do(ctx, key, fresh, func(fresh bool) (*answer, error) {
		return c.look(context.WithoutCancel(ctx), key, token, fresh)
	})
	if err != nil {
		return nil, fmt.Errorf("introspection: %w", err)
	}
	return bytes.Clone(a.json), nil
}

// look finds the answer anew. Looks for one key never overlap, so an older
// answer cannot replace a newer one.
func (c *Client) look(ctx context.Context, key digest, token string, fresh bool) (*answer, error) {
	if !fresh {
		// An earlier look may have ended after this caller's glance at the
		// memory: what it learned is not asked for again.
		if a := c.memory.get(key, time.Now()); a != nil {
			return a, nil
		}
		if a := c.shared.get(ctx, key); a != nil {
			c.memory.put(key, a)
			return a, nil
		}
	}
	a, err := c.upstream.ask(ctx, token)
	if err != nil {
		return nil, notTheCallers(err)
	}
	c.memory.put(key, a)
	if a.active {
		c.shared.put(ctx, key, a)
	} else if fresh {
		c.shared.forget(ctx, key)
	}
	return a, nil
}

// notTheCallers keeps the text of an error of our own time limits and drops
// its identity, by which it would pass for the end of the caller's context.
func notTheCallers(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return errors.New(err.Error())
	}
	return err
}

// A digest is the SHA-256 of a token.
type digest [sha256.Size]byte

func digestOf(token string) digest {
	var stack [512]byte // most tokens fit: no allocation
	return sha256.Sum256(append(stack[:0], token...))
}
