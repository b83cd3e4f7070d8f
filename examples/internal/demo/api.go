package demo

import (
	"context"
	"net/http"
)

// An API is a running HTTP server, and a client of it.
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

// Stop ends the server.
func (a *API) Stop() { _ = a.server.Close() }

// Call makes a request with a bearer token, or with none if it is empty, and
// returns the status and the challenge of the answer.
func (a *API) Call(ctx context.Context, method, path, token string) (status int, challenge string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, a.URL+path, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	return resp.StatusCode, resp.Header.Get("WWW-Authenticate"), resp.Body.Close()
}
