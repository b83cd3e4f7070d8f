package jwks

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/countermark/countermark/internal/discovery"
	"github.com/countermark/countermark/internal/fetch"
	"github.com/countermark/countermark/internal/jwkset"
)

const (
	fetchTimeout = 5 * time.Second
	setLimit     = 512 << 10

	// metadataAge is how old an issuer's metadata must be for a fetch to read it
	// again: less than lies between refreshes by default, more than between fetches
	// for unknown kids.
	metadataAge = 10 * time.Minute
)

// A source is where the key set comes from.
type source struct {
	client *http.Client
	issuer string    // "" if the address is given
	url    string    // "" if it must be discovered
	read   time.Time // when it was
}

func newSource(cfg Config) source {
	return source{client: fetch.Client(cfg.Client), issuer: cfg.Issuer, url: cfg.URL}
}

// fetch gets the set and returns it with the time for which it is fresh.
func (c *Cache) fetch(ctx context.Context) (*keySet, time.Duration, error) {
	body, header, err := c.source.get(ctx)
	if err != nil {
		return nil, 0, err
	}
	keys, problems, err := jwkset.Parse(body)
	if err != nil {
		c.source.forget()
		return nil, 0, err
	}
	var old *keySet
	if s := c.current.Load(); s != nil {
		old = s.set
	}
	set := newKeySet(keys, old)
	for _, p := range problems {
		if !slices.Contains(c.reported, p) {
			c.log.Warn("jwks: key skipped", "kid", p.KID, "reason", p.Reason)
		}
	}
	c.reported = problems
	if len(set.keys) == 0 && set != old {
		c.log.Warn("jwks: the key set has no usable key, every token will be refused")
	}
	return set, lifetime(header, c.interval), nil
}

// get discovers where the set is, if need be, and gets it from there. An address
// that fails is not taken for granted the next time.
func (s *source) get(ctx context.Context) ([]byte, http.Header, error) {
	client, end := s.alone()
	defer end()
	if s.issuer != "" && (s.url == "" || time.Since(s.read) >= metadataAge) {
		if err := s.discover(ctx, client); err != nil {
			return nil, nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, http.NoBody)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	req.Header.Set("Cache-Control", "no-cache") // an old copy from a proxy would hide a rotation
	body, header, err := fetch.Do(client, req, setLimit, notHTML)
	if err != nil {
		s.forget()
	}
	return body, header, err
}

func (s *source) discover(ctx context.Context, client *http.Client) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	s.url = ""
	m, err := discovery.Fetch(ctx, client, s.issuer)
	if err != nil {
		return err
	}
	if m.JWKSURI == "" {
		return errors.New("issuer metadata: no jwks_uri")
	}
	s.url, s.read = m.JWKSURI, time.Now()
	return nil
}

func (s *source) forget() {
	if s.issuer != "" {
		s.url = ""
	}
}

// notHTML accepts whatever a key set is served as, which with static hosting may
// be anything, but not the page of a captive portal or a proxy.
func notHTML(mediaType string) bool {
	return mediaType != "text/html" && mediaType != "application/xhtml+xml"
}

// alone returns a client for one fetch, and what ends its connections. It has a
// transport of its own: what is still being connected when a request is given up,
// net/http keeps for the next one, or for ever if the issuer never answers.
func (s *source) alone() (client *http.Client, end func()) {
	c := *s.client
	if c.Transport == nil {
		c.Transport = http.DefaultTransport
	}
	end = func() {}
	if t, ok := c.Transport.(*http.Transport); ok {
		t = t.Clone()
		c.Transport, end = t, t.CloseIdleConnections
	}
	c.Transport = oneShot{c.Transport}
	return &c, end
}

// oneShot closes each connection after its request: the next one is minutes away,
// and a connection that idles would outlive Close.
type oneShot struct{ base http.RoundTripper }

func (t oneShot) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.WithContext(req.Context()) // a copy, as RoundTrip must not change its own
	req.Close = true
	return t.base.RoundTrip(req)
}
