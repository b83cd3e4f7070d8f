package authserver

import (
	"context"
	"errors"
	"net/http"
	"net/url"
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
	documentStale      = time.Hour       // after that, while it cannot be fetched again
	documentPause      = 5 * time.Second // after a fetch of one that failed
	documentTimeout    = 5 * time.Second
	maxDocument        = 5 << 10 // bytes
	maxDocuments       = 1000    // remembered, and as many failures
	maxDocumentFetches = 16      // at once
	maxHostFetches     = 2       // of them of one host, so that few that hang keep nobody else out
)

// documents are the clients of client ID metadata documents.
type documents struct {
	policy *clientPolicy
	hosts  []string // empty: any
	local  bool     // whether the issuer is on loopback
	egress *http.Client
	now    func() time.Time
	flight singleflight.Group

	mu      sync.Mutex
	known   map[string]documentState
	failed  map[string]documentState // so that nobody has the server ask all the time: no answer is kept
	fetches int                      // under way
	busy    map[string]int           // them by host
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
// long ago, or not much too long and there is no fetching it now. It is ErrNotFound if
// there is none, and a refusal if that cannot be told now.
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
	if state, ok := d.known[id]; ok && d.now().Before(state.until) {
		return state, true
	}
	if failure, ok := d.failed[id]; ok && d.now().Before(failure.until) {
		return d.lastOr(id, failure), true
	}
	return documentState{}, false
}

// lastOr returns the document as last fetched, if that is not too long ago for one
// that cannot be fetched now, or else the failure that this is. It is called with mu.
func (d *documents) lastOr(id string, failure documentState) documentState {
	if last, ok := d.known[id]; ok && d.now().Before(last.until.Add(documentStale)) {
		return last
	}
	return failure
}

var errDocumentsBusy = errors.New("too many documents are being fetched, or too many of that host")

// refresh fetches a document, unless somebody just did.
func (d *documents) refresh(ctx context.Context, id string) documentState {
	if state, ok := d.state(id); ok {
		return state
	}
	host := documentHost(id)
	if !d.begin(host) {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.lastOr(id, documentState{err: errDocumentsBusy}) // which is not the document's fault
	}
	client, fresh, err := d.fetch(ctx, id)
	state := documentState{client: client, err: err, tried: d.now()}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.end(host)
	delete(d.failed, id)
	if _, none := errors.AsType[*documentError](err); none || err == nil {
		delete(d.known, id) // whoever asks there learns that it is no more what it was
	}
	if err != nil {
		state.until = state.tried.Add(documentPause)
		remember(&d.failed, id, state)
		return d.lastOr(id, state)
	}
	state.until = state.tried.Add(fresh)
	remember(&d.known, id, state)
	return state
}

// documentHost is the host whose places a fetch takes.
func documentHost(id string) string {
	u, err := url.Parse(id)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
}

// begin takes a place for a fetch, if there is one.
func (d *documents) begin(host string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fetches == maxDocumentFetches || d.busy[host] == maxHostFetches {
		return false
	}
	d.fetches++
	put(&d.busy, host, d.busy[host]+1)
	return true
}

// end gives a place back. It is called with mu.
func (d *documents) end(host string) {
	d.fetches--
	if d.busy[host]--; d.busy[host] == 0 {
		delete(d.busy, host)
	}
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
