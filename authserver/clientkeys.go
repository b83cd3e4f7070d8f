package authserver

import (
	"context"
	"crypto"
	"crypto/sha256"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/countermark/countermark/internal/fetch"
	"github.com/countermark/countermark/internal/jwkset"
)

const (
	keySetFresh   = 15 * time.Minute // before a key set is fetched again
	keySetStale   = time.Hour        // longer, as long as it cannot be
	keySetPause   = 5 * time.Second  // at least between two fetches of one
	keySetTimeout = 5 * time.Second
	maxKeySet     = 512 << 10 // bytes
	maxKeySets    = 1000      // remembered
	maxCandidates = 8         // keys tried for one signature
)

// A keyList is somebody's public keys.
type keyList []*jwkset.Key

// parseKeys reads a key set that somebody wrote down here: a key that is no good
// is a mistake, unlike in one that is fetched.
func parseKeys(data []byte) (keyList, error) {
	keys, problems, err := jwkset.Parse(data)
	switch {
	case err != nil:
		return nil, err
	case len(problems) > 0:
		return nil, fmt.Errorf("key %q: %s", problems[0].KID, problems[0].Reason)
	default:
		return keys, nil
	}
}

// A keyParser is parseKeys, or does as it does.
type keyParser func(data []byte) (keyList, error)

// parsedKeys are the key sets of clients of the store that were read lately, by
// their text: two EC keys take as long to read as a signature to verify, and a
// request wants them twice. The zero value is ready.
type parsedKeys struct {
	mu     sync.Mutex
	byText map[Hash]keyList
}

// parse is a keyParser. What it returns is not to be changed.
func (p *parsedKeys) parse(data []byte) (keyList, error) {
	text := Hash(sha256.Sum256(data))
	p.mu.Lock()
	keys, known := p.byText[text]
	p.mu.Unlock()
	if known {
		return keys, nil
	}
	keys, err := parseKeys(data)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.byText) >= maxKeySets {
		clear(p.byText)
	}
	put(&p.byText, text, keys)
	return keys, nil
}

// find returns the keys for a signature: those with the kid, if it has one, and
// fit for alg.
func (l keyList) find(kid, alg string) []crypto.PublicKey {
	var found []crypto.PublicKey
	for _, k := range l {
		if (kid == "" || k.KID == kid) && slices.Contains(k.Algorithms, alg) && len(found) < maxCandidates {
			found = append(found, k.Public...)
		}
	}
	return found
}

func hasCertificate(k *jwkset.Key) bool { return k.Certificate != nil }

// clientKeys returns the keys of a client, fetched if they are at its jwks_uri.
// If what is known of those is not enough, it asks once more, within bounds. A
// stored key set that is no good is for the log: who asks is not known yet, and
// told what all are told.
func (s *Server) clientKeys(ctx context.Context, c *Client, told string, enough func(keyList) bool) (keyList, error) {
	if c.JWKSURI != "" {
		keys, err := s.keySets.get(ctx, c.JWKSURI, enough)
		if err != nil {
			return nil, failed(temporarilyUnavailable, "the keys of the client cannot be fetched now", err)
		}
		return keys, nil
	}
	if known, ok := s.clients[c.ClientID]; ok {
		return known.keys, nil
	}
	keys, err := s.parsed.parse(c.JWKS)
	if err != nil {
		return nil, failed(invalidClient, told, fmt.Errorf("client %q in the store: jwks: %w", c.ClientID, err))
	}
	return keys, nil
}

// keySets are the key sets that clients keep elsewhere.
type keySets struct {
	client *http.Client
	now    func() time.Time
	flight singleflight.Group

	mu    sync.Mutex
	byURL map[string]keySetState
}

// keySetState is what is known of a key set.
type keySetState struct {
	keys    keyList
	fetched time.Time // when; zero if never
	tried   time.Time // the last time
	err     error     // what came of that
}

func newKeySets(client *http.Client, now func() time.Time) *keySets {
	return &keySets{client: client, now: now, byURL: make(map[string]keySetState)}
}

// get returns the key set at a URL. It fetches one that is not known, or old, or
// not enough, but not more often than every keySetPause: whoever invents kids
// costs others no more than that.
func (s *keySets) get(ctx context.Context, url string, enough func(keyList) bool) (keyList, error) {
	state := s.state(url)
	if s.now().Sub(state.fetched) < keySetFresh && enough(state.keys) {
		return state.keys, nil
	}
	flight := s.flight.DoChan(url, func() (any, error) {
		return s.refresh(context.WithoutCancel(ctx), url), nil // serves all who wait, not the first alone
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case result := <-flight:
		state, _ = result.Val.(keySetState)
	}
	if s.now().Sub(state.fetched) >= keySetFresh+keySetStale {
		return nil, state.err
	}
	return state.keys, nil
}

func (s *keySets) state(url string) keySetState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byURL[url]
}

// refresh fetches a key set unless that was tried a moment ago.
func (s *keySets) refresh(ctx context.Context, url string) keySetState {
	state, now := s.state(url), s.now()
	if now.Sub(state.tried) < keySetPause {
		return state
	}
	keys, err := s.fetch(ctx, url)
	state.tried, state.err = now, err
	if err == nil {
		state.keys, state.fetched = keys, now
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.byURL[url]; !known && len(s.byURL) >= maxKeySets {
		s.forgetOldest()
	}
	s.byURL[url] = state
	return state
}

// forgetOldest makes room. The mutex is held.
func (s *keySets) forgetOldest() {
	var oldest string
	var at time.Time
	for url, state := range s.byURL {
		if oldest == "" || state.tried.Before(at) {
			oldest, at = url, state.tried
		}
	}
	delete(s.byURL, oldest)
}

func (s *keySets) fetch(ctx context.Context, url string) (keyList, error) {
	ctx, cancel := context.WithTimeout(ctx, keySetTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	body, _, err := fetch.JSON(s.client, req, maxKeySet)
	if err != nil {
		return nil, err
	}
	keys, _, err := jwkset.Parse(body)
	return keys, err
}
