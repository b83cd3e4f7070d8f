// Package issuertest drives an authorization server from outside, as its clients
// and the people who sign in do, for tests of what it keeps things in.
package issuertest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/countermark/countermark/internal/strictjson"
)

// What every App proves its codes by (RFC 7636), and alice herself.
const (
	// Password is alice's.
	Password = "alice-password"

	verifier  = "a-verifier-of-43-characters-0123456789._~AZ"
	challenge = "zcX4NJD8QZZBYozjC9_ZQXk9wAIcHvr0H7dmg1gmcsg"
)

// An App is a client that authenticates by its secret, and the browser of alice,
// who signs in and allows whatever she is asked. It is safe for concurrent use
// from where At has it.
type App struct {
	ID, Secret  string // of the client
	RedirectURI string
	Typed       string // by alice, where her password is asked for; empty is the right one

	http *http.Client
}

// At returns the app at the server that transport leads to. All that come of one
// that was somewhere already are one browser.
func (a *App) At(transport http.RoundTripper) *App {
	n := *a
	n.http = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if a.http != nil {
		n.http.Jar = a.http.Jar
	} else {
		n.http.Jar, _ = cookiejar.New(nil) // never fails
	}
	return &n
}

// Direct is a way to a handler that no network is part of.
type Direct struct{ http.Handler }

// RoundTrip implements [http.RoundTripper].
func (d Direct) RoundTrip(r *http.Request) (*http.Response, error) {
	served := r.Clone(r.Context())
	served.RequestURI, served.RemoteAddr = r.URL.RequestURI(), "127.0.0.1:49152"
	served.Host = r.URL.Host
	if served.Body == nil {
		served.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, served)
	return w.Result(), nil
}

// Dial is a way to what listens at addr, whatever the URL.
func Dial(addr string) *http.Transport {
	return &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}}
}

// An Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Text returns a string member of the JSON object that came back, "" if it has
// none.
func (a *Answer) Text(name string) string {
	var text string
	_ = strictjson.Object(string(a.Body), func(member string, v strictjson.Value) error {
		if member == name {
			text, _ = v.Text()
		}
		return nil
	})
	return text
}

// Outcome is the answer in short: its status, and its error if it is one.
func (a *Answer) Outcome() string {
	return strings.TrimSpace(fmt.Sprint(a.Status, " ", a.Text("error")))
}

// Post sends a form, with the client's secret unless it has a client assertion.
func (a *App) Post(ctx context.Context, path string, form url.Values, header http.Header) (*Answer, error) {
	req, err := newPost(ctx, URL+path, form)
	if err != nil {
		return nil, err
	}
	if !form.Has("client_assertion") {
		req.SetBasicAuth(url.QueryEscape(a.ID), url.QueryEscape(a.Secret))
	}
	maps.Copy(req.Header, header)
	return a.Do(req)
}

// Get gets a document of the issuer.
func (a *App) Get(ctx context.Context, path string) (*Answer, error) {
	return a.get(ctx, URL+path)
}

// Code begins an authorization request, signs in and consents as far as it is
// asked to, and returns the code. Extra are pairs of further parameters.
func (a *App) Code(ctx context.Context, extra ...string) (string, error) {
	query := url.Values{
		"response_type": {"code"}, "client_id": {a.ID}, "redirect_uri": {a.RedirectURI}, "state": {"state"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	for pair := range slices.Chunk(extra, 2) {
		query.Set(pair[0], pair[1])
	}
	return a.follow(ctx, URL+"/authorize?"+query.Encode())
}

// Push pushes an authorization request and returns its request_uri (RFC 9126).
func (a *App) Push(ctx context.Context) (string, error) {
	answer, err := a.Post(ctx, "/par", url.Values{
		"response_type": {"code"}, "redirect_uri": {a.RedirectURI}, "code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}, nil)
	if err != nil {
		return "", err
	}
	if answer.Text("request_uri") == "" {
		return "", fmt.Errorf("no request_uri: %s", answer.Outcome())
	}
	return answer.Text("request_uri"), nil
}

// PushedCode is Code for a request that was pushed.
func (a *App) PushedCode(ctx context.Context, requestURI string) (string, error) {
	query := url.Values{"client_id": {a.ID}, "request_uri": {requestURI}}
	return a.follow(ctx, URL+"/authorize?"+query.Encode())
}

// Redeem takes a code to the token endpoint.
func (a *App) Redeem(ctx context.Context, code string) (*Answer, error) {
	return a.Post(ctx, "/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {a.RedirectURI}, "code_verifier": {verifier},
	}, nil)
}

// Refresh takes a refresh token to the token endpoint.
func (a *App) Refresh(ctx context.Context, token string) (*Answer, error) {
	return a.Post(ctx, "/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}, nil)
}

// Active asks whether a token is active.
func (a *App) Active(ctx context.Context, token string) (bool, error) {
	answer, err := a.Post(ctx, "/introspect", url.Values{"token": {token}}, nil)
	if err != nil {
		return false, err
	}
	if answer.Status != http.StatusOK {
		return false, fmt.Errorf("introspection: %s", answer.Outcome())
	}
	return strings.Contains(string(answer.Body), `"active":true`), nil
}

var (
	formAction  = regexp.MustCompile(`<form[^>]* action="([^"]*)"`)
	goOn        = regexp.MustCompile(`<a href="([^"]*)"`)
	filledField = regexp.MustCompile(`<input[^>]* name="(\w+)"[^>]* value="([^"]+)"`)
)

// follow goes where it is sent, and fills in what it is asked, until that is the
// client, and returns the code.
func (a *App) follow(ctx context.Context, location string) (string, error) {
	to, err := a.walk(ctx, location)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(to)
	if err != nil || u.Query().Get("code") == "" {
		return "", fmt.Errorf("no code, but %q", u.Query().Get("error"))
	}
	return u.Query().Get("code"), nil
}

// walk goes where it is sent, and fills in what it is asked, until that is the
// client, and returns where it is sent there; or until there is nothing to go on
// to.
func (a *App) walk(ctx context.Context, location string) (string, error) {
	answer, err := a.get(ctx, location)
	for range 8 { // sign-in, notices, consent, and the redirects between
		if err != nil {
			return "", err
		}
		if to := answer.Header.Get("Location"); answer.Status == http.StatusSeeOther {
			if a.RedirectURI != "" && strings.HasPrefix(to, a.RedirectURI) {
				return to, nil
			}
			answer, err = a.get(ctx, resolve(to))
			continue
		}
		page := string(answer.Body)
		action, link := formAction.FindStringSubmatch(page), goOn.FindStringSubmatch(page)
		switch {
		case answer.Status != http.StatusOK:
			return "", fmt.Errorf("authorization: %d", answer.Status)
		case action != nil:
			var req *http.Request
			if req, err = newPost(ctx, resolve(html.UnescapeString(action[1])), a.fillIn(page)); err == nil {
				answer, err = a.Do(req)
			}
		case link != nil: // of a notice
			answer, err = a.get(ctx, resolve(html.UnescapeString(link[1])))
		default:
			return "", nil
		}
	}
	return "", errors.New("authorization: there is no end of pages")
}

// fillIn returns what alice fills into the form of a page.
func (a *App) fillIn(page string) url.Values {
	fields := url.Values{"username": {"alice"}, "password": {cmp.Or(a.Typed, Password)}, "decision": {"allow"}}
	for name := range fields {
		if !strings.Contains(page, `name="`+name+`"`) {
			fields.Del(name)
		}
	}
	for _, f := range filledField.FindAllStringSubmatch(page, -1) {
		fields.Set(f[1], html.UnescapeString(f[2]))
	}
	return fields
}

// resolve returns the URL that a reference of a page stands for.
func resolve(reference string) string {
	if strings.HasPrefix(reference, "/") {
		return URL + reference
	}
	return reference
}

func (a *App) get(ctx context.Context, location string) (*Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, location, http.NoBody)
	if err != nil {
		return nil, err
	}
	return a.Do(req)
}

func newPost(ctx context.Context, location string, form url.Values) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, location, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req, nil
}

// Do sends a request. It returns an error unless an answer came whole.
func (a *App) Do(req *http.Request) (*Answer, error) {
	resp, err := a.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	return &Answer{resp.StatusCode, resp.Header, body}, nil
}
