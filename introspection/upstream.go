package introspection

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/countermark/countermark/internal/fetch"
)

const (
	maxAnswer  = 64 << 10
	firstPause = 100 * time.Millisecond
	maxPause   = 2 * time.Second
)

// upstream asks the introspection endpoint.
type upstream struct {
	client   *http.Client
	endpoint *endpoint
	auth     Authenticator
	issuer   string
	signed   *verifier // nil: answers are plain JSON
	accept   string    // the media type of an answer
	timeout  time.Duration
	tooLate  error // what a timeout is called
	retries  int
	logger   *slog.Logger
	refused  atomic.Bool // our authentication, at the last word about it
	late     atomic.Bool // the last request that ended got no answer in time
}

func newUpstream(config Config) *upstream {
	u := &upstream{
		client:   config.Client,
		endpoint: newEndpoint(config),
		auth:     config.Auth,
		issuer:   config.Issuer,
		accept:   "application/json",
		timeout:  config.Timeout,
		tooLate:  fmt.Errorf("no answer within %v", config.Timeout),
		retries:  config.Retries,
		logger:   config.Logger,
	}
	if config.Keys != nil {
		u.signed = &verifier{keys: config.Keys, issuer: config.Issuer, audience: config.Audience}
		u.accept = "application/" + signedType
	}
	return u
}

// ask puts the question, again after a failure if retries are left: asking
// twice changes nothing at the issuer.
func (u *upstream) ask(ctx context.Context, token string) (*answer, error) {
	at, err := u.endpoint.find(ctx)
	if err != nil {
		return nil, err
	}
	for retry := 0; ; retry++ {
		a, again, err := u.try(ctx, at, token)
		if err == nil || !again || retry == u.retries {
			return a, err
		}
		pause := firstPause << retry
		pause += rand.N(pause) / 4 //nolint:gosec // spreads the load, keeps no secret
		if status, ok := errors.AsType[*fetch.StatusError](err); ok {
			pause = max(pause, status.After)
		}
		if pause > maxPause {
			return nil, err
		}
		time.Sleep(pause)
	}
}

// try sends one request. With an error, again says whether another one may
// fare better.
func (u *upstream) try(ctx context.Context, at, token string) (_ *answer, again bool, _ error) {
	asked := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, u.timeout, u.tooLate)
	defer cancel()
	req, err := u.request(ctx, at, token)
	if err != nil {
		return nil, false, err
	}
	// Its connection may be dead without anybody knowing, and HTTP/2 would put one
	// request after another on it. After one that says close it takes no more.
	req.Close = u.late.Swap(false)
	strange := false // an answer of another kind: it would be the same again
	body, _, err := fetch.Do(u.client, req, maxAnswer, func(mediaType string) bool {
		strange = mediaType != u.accept
		return !strange
	})
	if ctx.Err() != nil {
		u.late.Store(true)
	}
	if err = u.report(ctx, err); err != nil {
		status, ok := errors.AsType[*fetch.StatusError](err)
		again = !strange && (!ok || status.Code == http.StatusTooManyRequests || status.Code >= 500)
		return nil, again, err
	}
	if u.signed != nil {
		if body, err = u.signed.open(ctx, body); err != nil {
			return nil, false, fmt.Errorf("signed answer: %w", err)
		}
	}
	a, err := parseAnswer(body, asked)
	return a, false, err
}

// request builds an introspection request (RFC 7662 section 2.1). The token is
// in its body and nowhere else.
func (u *upstream) request(ctx context.Context, at, token string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", u.accept)
	// Present but not sent, it lets the transport send again what met a
	// connection that was just being closed.
	req.Header["Idempotency-Key"] = nil

	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	audience := u.issuer
	if audience == "" {
		audience = at
	}
	if err := u.auth.apply(req, form, audience); err != nil {
		return nil, fmt.Errorf("client authentication: %w", err)
	}
	body := form.Encode()
	req.ContentLength = int64(len(body))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
	req.Body, err = req.GetBody()
	return req, err
}

// report names an answer that takes this client for somebody else, and tells
// the operator once until it is mended: no look succeeds until somebody acts.
func (u *upstream) report(ctx context.Context, err error) error {
	if err == nil {
		u.refused.Store(false)
		return nil
	}
	status, ok := errors.AsType[*fetch.StatusError](err)
	if !ok || status.Code != http.StatusUnauthorized && status.Code != http.StatusForbidden {
		return err
	}
	if u.refused.CompareAndSwap(false, true) {
		u.logger.ErrorContext(ctx, "introspection: the endpoint refuses this client's authentication", slog.Any("error", err))
	}
	return fmt.Errorf("the endpoint refuses this client's authentication: %w", err)
}
