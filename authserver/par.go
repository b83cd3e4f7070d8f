package authserver

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

const (
	requestURIPrefix = "urn:ietf:params:oauth:request_uri:" // RFC 9126 section 2.2
	requestLifetime  = 90 * time.Second
)

// A pushedResponse is the successful answer of RFC 9126 section 2.2.
type pushedResponse struct {
	RequestURI string `json:"request_uri"`
	ExpiresIn  int64  `json:"expires_in"` // seconds
}

// push is the pushed authorization request endpoint (RFC 9126 section 2.1). What
// is wrong with the request the client learns here, before any person sees it.
func (s *Server) push(ctx context.Context, r *request) (any, error) {
	if r.form.Has("request_uri") {
		return nil, refuse(invalidRequest, "request_uri must not be pushed")
	}
	proved, err := s.provedKey(ctx, r, parPath, "")
	if err != nil {
		return nil, err
	}
	ar := &authorizationRequest{client: r.client}
	if err := ar.check(r.form, s.userinfo(), proved); err != nil {
		return nil, err
	}
	if ar.confirmation != nil { // as if a proof had been sent as dpop_jkt (RFC 9449 section 10.1)
		r.form.Set(dpopJKT, ar.confirmation.JKT)
	}
	until := s.now().Add(requestLifetime)
	data, err := json.Marshal(&pushedRequest{
		ClientID: r.client.ClientID, Until: until.UnixMilli(),
		Params: normalQuery(r.form), // no credentials
	})
	if err != nil {
		return nil, fmt.Errorf("pushed request: %w", err)
	}
	uri := requestURIPrefix + newSecret()
	err = s.write(ctx, func() error {
		return s.store.Put(ctx, PushedRequest, s.keyOf(uri), Record{Data: data, Expiry: until.Add(interactionTime)})
	})
	if err != nil {
		return nil, err
	}
	return &pushedResponse{RequestURI: uri, ExpiresIn: int64(requestLifetime / time.Second)}, nil
}

// spendPushed uses up the request_uri of ar, if it has one: it gets one answer.
func (s *Server) spendPushed(ctx context.Context, ar *authorizationRequest) error {
	if ar.pushed == "" {
		return nil
	}
	outcome, err := s.consume(ctx, PushedRequest, s.keyOf(ar.pushed))
	if err != nil {
		return err
	}
	ar.pushed = ""
	if outcome != First {
		return refuse(invalidRequestURI, "the request_uri is unknown, expired or used")
	}
	return nil
}
