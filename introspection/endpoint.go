package introspection

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/countermark/countermark/internal/discovery"
)

const (
	rediscoverAfter = 15 * time.Minute
	discoverPause   = time.Second // after a failure
)

// endpoint knows where to send the question: what Config.URL says, else what
// the issuer's metadata says, which is looked at when it is first needed and
// again from time to time, since endpoints move.
type endpoint struct {
	fixed     string // Config.URL
	client    *http.Client
	issuer    string
	mutualTLS bool
	timeout   time.Duration
	turn      chan struct{} // holds an item while somebody discovers

	mu   sync.Mutex
	last discovered
}

// discovered is what is known from the metadata: a URL or an error, which
// stands until it is time to look again.
type discovered struct {
	url   string
	err   error
	until time.Time
}

func newEndpoint(config Config) *endpoint {
	return &endpoint{
		fixed:     config.URL,
		client:    config.Client,
		issuer:    config.Issuer,
		mutualTLS: config.Auth.mutualTLS,
		timeout:   config.Timeout,
		turn:      make(chan struct{}, 1),
	}
}

// find returns the endpoint's URL. One caller discovers; the others use the
// URL that was known before, or wait.
func (e *endpoint) find(ctx context.Context) (string, error) {
	if e.fixed != "" {
		return e.fixed, nil
	}
	last, due := e.known()
	if !due {
		return last.url, last.err
	}
	if last.url == "" {
		e.turn <- struct{}{} // whoever holds it is bound by e.timeout
	} else {
		select {
		case e.turn <- struct{}{}:
		default:
			return last.url, nil
		}
	}
	defer func() { <-e.turn }()
	if last, due = e.known(); due {
		last = e.discover(ctx, last.url)
	}
	return last.url, last.err
}

func (e *endpoint) known() (last discovered, due bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.last, !time.Now().Before(e.last.until)
}

// discover asks the issuer. A URL that was known before outlives a failure.
func (e *endpoint) discover(ctx context.Context, before string) discovered {
	u, err := e.fetch(ctx)
	now := discovered{url: u, until: time.Now().Add(rediscoverAfter)}
	if err != nil {
		now = discovered{url: before, until: time.Now().Add(discoverPause)}
		if before == "" {
			now.err = err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last = now
	return now
}

func (e *endpoint) fetch(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, e.timeout, fmt.Errorf("no answer within %v", e.timeout))
	defer cancel()
	metadata, err := discovery.Fetch(ctx, e.client, e.issuer)
	switch {
	case err != nil:
		return "", err
	case e.mutualTLS && metadata.MTLS.IntrospectionEndpoint != "":
		return metadata.MTLS.IntrospectionEndpoint, nil // RFC 8705 section 5
	case metadata.IntrospectionEndpoint == "":
		return "", errors.New("issuer metadata: has no introspection_endpoint: set Config.URL if there is one")
	default:
		return metadata.IntrospectionEndpoint, nil
	}
}
