package authserver

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/countermark/countermark/internal/fetch"
)

const (
	documentFresh      = 5 * time.Minute // of a document that does not say for how long
	documentFreshLeast = time.Minute
	documentFreshMost  = 24 * time.Hour
	documentPause      = 5 * time.Second // after a fetch of one that failed
	documentTimeout    = 5 * time.Second
	maxDocument        = 5 << 10 // bytes
	maxDocuments       = 1000    // remembered, and as many failures
	maxDocumentFetches = 16      // at once
)

// documents are the clients of client ID metadata documents.
type documents struct {
	policy *clientPolicy
	hosts  []string // empty: any
	local  bool     // whether the issuer is on loopback
	egress *http.Client
	now    func() time.Time
	flight singleflight.Group
	busy   chan struct{} // one place for each fetch

	mu     sync.Mutex
	known  map[string]documentState
	failed map[string]documentState // so that nobody has the server ask all the time: no answer is kept
}

// documentState is what came of a fetch.
type documentState struct {
	client *Client // nil: nothing that could be used
	err    error   // then
	tried  time.Time
	until  time.Time // how long it holds
}

// A documentError is that there is no client where a document should be.
type documentError struct{ cause error }

func (e *documentError) Error() string        { return e.cause.Error() }
func (e *documentError) Is(target error) bool { return target == ErrNotFound }

// get returns the client whose document is at id, as last fetched if that is not too
// long ago. It is ErrNotFound if there is none, and a refusal if that cannot be told
// now.
func (d *documents) get(ctx context.Context, id string) (*Client, error) {
	state, ok := d.state(id)
	if !ok {
		flight := d.flight.DoChan(id, func() (any, error) {
			return d.refresh(context.WithoutCancel(ctx), id), nil // serves all who wait, not the first alone
		})
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case result := <-flight:
			state, _ = result.Val.(documentState)
		}
	}
	if _, none := errors.AsType[*documentError](state.err); state.err != nil && !none {
		return nil, failed(temporarilyUnavailable, "the client ID metadata document cannot be fetched now", state.err)
	}
	return state.client, state.err
}

// state returns what is known of a document and holds.
func (d *documents) state(id string) (documentState, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, states := range []map[string]documentState{d.known, d.failed} {
		if state, ok := states[id]; ok && d.now().Before(state.until) {
			return state, true
		}
	}
	return documentState{}, false
}

var errDocumentsBusy = errors.New("too many documents are being fetched")

// refresh fetches a document, unless somebody just did.
func (d *documents) refresh(ctx context.Context, id string) documentState {
	if state, ok := d.state(id); ok {
		return state
	}
	select {
	case d.busy <- struct{}{}:
		defer func() { <-d.busy }()
	default:
		return documentState{err: errDocumentsBusy} // which is not the document's fault
	}
	client, fresh, err := d.fetch(ctx, id)
	state := documentState{client: client, err: err, tried: d.now()}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.known, id)
	delete(d.failed, id)
	if err != nil {
		state.until = state.tried.Add(documentPause)
		remember(&d.failed, id, state)
	} else {
		state.until = state.tried.Add(fresh)
		remember(&d.known, id, state)
	}
	return state
}

// remember makes room, by what was fetched first, and adds state.
func remember(states *map[string]documentState, id string, state documentState) {
	if len(*states) >= maxDocuments {
		var first string
		for id, s := range *states {
			if first == "" || s.tried.Before((*states)[first].tried) {
				first = id
			}
		}
		delete(*states, first)
	}
	put(states, id, state)
}

// fetch returns the client of a document and for how long it may be kept. What is
// wrong with the answer is a documentError; that there was none is not, and by
// nothing tells whether the address was one inside.
func (d *documents) fetch(ctx context.Context, id string) (*Client, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, documentTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, id, http.NoBody)
	if err != nil {
		return nil, 0, &documentError{err}
	}
	req.Header.Set("Accept", "application/json")
	body, header, err := fetch.JSON(d.egress, req, maxDocument)
	status, answered := errors.AsType[*fetch.StatusError](err)
	switch {
	case err == nil:
	case header == nil, ctx.Err() != nil, answered && (status.Code >= 500 || status.Code == http.StatusTooManyRequests):
		return nil, 0, err
	default:
		return nil, 0, &documentError{err}
	}
	c, err := d.client(id, body)
	if err != nil {
		return nil, 0, &documentError{err}
	}
	return c, freshness(header), nil
}

// freshness is how long what came with a header may be kept: as its Cache-Control
// says (RFC 9111 section 5.2.2), within bounds.
func freshness(h http.Header) time.Duration {
	fresh := documentFresh
	for directive := range strings.SplitSeq(strings.ToLower(strings.Join(h.Values("Cache-Control"), ",")), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch name {
		case "no-store", "no-cache":
			return documentFreshLeast
		case "max-age":
			seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
			if err != nil {
				return documentFreshLeast
			}
			age, _ := strconv.ParseUint(h.Get("Age"), 10, 31)
			fresh = time.Duration(int64(seconds)-int64(age)) * time.Second
		}
	}
	return min(max(fresh, documentFreshLeast), documentFreshMost)
}

// A foundClient is a client that is not yet checked, and not to be changed.
type foundClient struct {
	*Client
	ofDocument bool
}

// findClient is registered, or the client whose document is at that ID.
func (s *Server) findClient(ctx context.Context, id string) (foundClient, error) {
	c, err := s.registered(ctx, id)
	if errors.Is(err, ErrNotFound) && s.documents.covers(id) {
		c, err = s.documents.get(ctx, id)
		return foundClient{c, true}, err
	}
	return foundClient{c, false}, err
}

// unknownClient refuses a client_id that findClient found nothing for.
func unknownClient(err error, code, description string) *refusal {
	if none, ok := errors.AsType[*documentError](err); ok {
		return failed(code, "client_id leads to no client ID metadata document that can be used here", none)
	}
	return refuse(code, description)
}
