package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
)

const refreshed = `{"access_token":"new","token_type":"Bearer","expires_in":600}`

// answer is a server that answers everything so; a status of 0 means with nothing at
// all.
func answer(t *testing.T, status int, body string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status == 0 {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", "application/json")
		if r.Header.Get("Authorization") == "Bearer old" { // it had to be refreshed
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	return s
}

// visit shows the home page, twice, to somebody whose access token has expired.
func visit(t *testing.T, issuer, api *httptest.Server) (first, second *httptest.ResponseRecorder) {
	t.Helper()
	client := &http.Client{Timeout: time.Second}
	a := &app{api: api.URL, http: client}
	config := &oauth2.Config{ClientID: "webapp", Endpoint: oauth2.Endpoint{TokenURL: issuer.URL, AuthStyle: oauth2.AuthStyleInHeader}}
	old := &oauth2.Token{AccessToken: "old", RefreshToken: "refresh", Expiry: time.Now().Add(-time.Minute)}
	began := httptest.NewRecorder()
	a.sessions.begin(began, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody), &session{tokens: config.TokenSource(t.Context(), old)})
	show := func() *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.AddCookie(began.Result().Cookies()[0])
		w := httptest.NewRecorder()
		a.showHome(w, r)
		return w
	}
	return show(), show()
}

func TestWebapp_AnExpiredAccessTokenIsRefreshed(t *testing.T) {
	t.Parallel()
	first, second := visit(t, answer(t, 200, refreshed), answer(t, 200, "Two orders."))
	for _, w := range []*httptest.ResponseRecorder{first, second} {
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "Two orders.") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
}

// What may be over soon signs nobody out: they are told, and can try again.
func TestWebapp_AnOutageKeepsTheSession(t *testing.T) {
	t.Parallel()
	const ok = http.StatusOK
	for name, servers := range map[string][2]*httptest.Server{
		"the API has no answer":           {answer(t, ok, refreshed), answer(t, 0, "")},
		"the API answers 503":             {answer(t, ok, refreshed), answer(t, 503, "")},
		"the API answers 500":             {answer(t, ok, refreshed), answer(t, 500, "")},
		"the API answers 403":             {answer(t, ok, refreshed), answer(t, 403, "")},
		"the issuer has no answer":        {answer(t, 0, ""), answer(t, ok, "Two orders.")},
		"the issuer answers 503":          {answer(t, 503, `{"error":"temporarily_unavailable"}`), answer(t, ok, "Two orders.")},
		"the issuer knows no such client": {answer(t, 401, `{"error":"invalid_client"}`), answer(t, ok, "Two orders.")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, second := visit(t, servers[0], servers[1])
			for _, w := range []*httptest.ResponseRecorder{first, second} {
				text := w.Body.String()
				if w.Code != http.StatusBadGateway || !strings.Contains(text, "Your orders cannot be had at the moment.") ||
					!strings.Contains(text, "Try again") || !strings.Contains(text, "Sign out") {
					t.Errorf("%d %s", w.Code, text)
				}
			}
		})
	}
}

func TestWebapp_TokensThatAreRefusedEndTheSession(t *testing.T) {
	t.Parallel()
	for name, servers := range map[string][2]*httptest.Server{
		"by the API":    {answer(t, 200, refreshed), answer(t, 401, "")},
		"by the issuer": {answer(t, 400, `{"error":"invalid_grant"}`), answer(t, 200, "Two orders.")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, second := visit(t, servers[0], servers[1])
			if first.Code != http.StatusOK || !strings.Contains(first.Body.String(), "Your sign-in has ended.") {
				t.Errorf("%d %s", first.Code, first.Body)
			}
			if !strings.Contains(second.Body.String(), "You are not signed in.") {
				t.Errorf("%d %s", second.Code, second.Body)
			}
		})
	}
}
