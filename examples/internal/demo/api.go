package demo

import (
	"context"
	"crypto/tls"
	"net/http"
)

// An API is a running HTTP server.
type API struct {
	URL string

	server *http.Server
}

// StartAPI serves handler on a free loopback port.
func StartAPI(ctx context.Context, handler http.Handler) (*API, error) {
	listener, err := listen(ctx)
	if err != nil {
		return nil, err
	}
	return &API{URL: "http://" + listener.Addr().String(), server: serve(listener, handler)}, nil
}

// StartTLS is [StartAPI] over TLS, as cfg says.
func StartTLS(ctx context.Context, handler http.Handler, cfg *tls.Config) (*API, error) {
	listener, err := listen(ctx)
	if err != nil {
		return nil, err
	}
	return &API{URL: "https://" + listener.Addr().String(), server: serve(tls.NewListener(listener, cfg), handler)}, nil
}

// Stop ends the server.
func (a *API) Stop() { _ = a.server.Close() }

// call makes a request, with a bearer token unless it is empty, and returns the
// status and the challenge of the answer.
func (a *API) call(ctx context.Context, c *http.Client, method, path, token string) (status int, challenge string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, a.URL+path, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	return resp.StatusCode, resp.Header.Get("WWW-Authenticate"), resp.Body.Close()
}
