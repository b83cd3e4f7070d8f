package main

import (
	"context"
	"crypto/subtle"
	"embed"
	"errors"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

//go:embed page.html style.css
var files embed.FS

var page = template.Must(template.ParseFS(files, "page.html"))

// An app is the web application, a client of the issuer.
type app struct {
	oauth    *oauth2.Config
	home     string
	issuer   string
	api      string
	http     *http.Client
	sessions sessions
}

func newApp(s *system, secret string) http.Handler {
	a := &app{
		oauth: &oauth2.Config{
			ClientID: "webapp", ClientSecret: secret, RedirectURL: s.webURL + "/callback", Scopes: []string{"openid", "orders:read"},
			Endpoint: oauth2.Endpoint{AuthURL: s.issuerURL + "/authorize", TokenURL: s.issuerURL + "/token", AuthStyle: oauth2.AuthStyleInHeader},
		},
		home:   s.webURL + "/",
		issuer: s.issuerURL,
		api:    s.apiURL,
		http:   &http.Client{Timeout: 10 * time.Second},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.showHome)
	mux.Handle("GET /style.css", http.FileServerFS(files))
	mux.HandleFunc("POST /signin", a.signIn)
	mux.HandleFunc("GET /callback", a.callback)
	mux.HandleFunc("POST /signout", a.signOut)
	return http.NewCrossOriginProtection().Handler(mux) // no other site posts here
}

// errEnded says that the tokens of a session are good no more: nothing but another
// sign-in helps.
var errEnded = errors.New("the sign-in has ended")

// showHome shows what the API says, to whoever is signed in. Who is stays so while
// the API, or the issuer, has no answer: it may have one the next time.
func (a *app) showHome(w http.ResponseWriter, r *http.Request) {
	n := a.sessions.of(r)
	if !n.signedIn() {
		show(w, http.StatusOK, view{Text: "You are not signed in."})
		return
	}
	orders, err := a.orders(r.Context(), n.tokens)
	switch {
	case errors.Is(err, errEnded):
		a.sessions.end(w, r)
		show(w, http.StatusOK, view{Text: "Your sign-in has ended."})
	case err != nil:
		slog.Warn("orders", "error", err)
		show(w, http.StatusBadGateway, view{Text: "Your orders cannot be had at the moment.", SignedIn: true, Failed: true})
	default:
		show(w, http.StatusOK, view{Text: orders, SignedIn: true})
	}
}

// orders asks the API, with a token that is refreshed when it has to be. That the
// issuer refuses to (RFC 6749 section 5.2), or the API to take it (RFC 6750 section
// 3.1), is errEnded.
func (a *app) orders(ctx context.Context, tokens oauth2.TokenSource) (string, error) {
	token, err := tokens.Token()
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok && refused.ErrorCode == "invalid_grant" {
		return "", errEnded
	}
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.api+"/orders", http.NoBody)
	if err != nil {
		return "", err
	}
	token.SetAuthHeader(req)
	resp, err := a.http.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		return "", errEnded
	case resp.StatusCode != http.StatusOK:
		return "", errors.New("the API answers " + resp.Status)
	}
	return string(body), err
}

// signIn sends the browser to the issuer (RFC 6749 section 4.1.1), unless somebody
// signed in meanwhile, on another page.
func (a *app) signIn(w http.ResponseWriter, r *http.Request) {
	if a.sessions.of(r).signedIn() {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	n := &session{state: newSecret(), verifier: oauth2.GenerateVerifier()}
	a.sessions.begin(w, r, n)
	to := a.oauth.AuthCodeURL(n.state, oauth2.S256ChallengeOption(n.verifier), oauth2.SetAuthURLParam("resource", apiName))
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// callback is where the issuer sends the browser back to, with a code or an error.
// To who is signed in it changes nothing: they came here before, or by another page.
func (a *app) callback(w http.ResponseWriter, r *http.Request) {
	n, said := a.sessions.of(r), r.URL.Query()
	switch {
	case n.signedIn():
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	case n == nil || subtle.ConstantTimeCompare([]byte(said.Get("state")), []byte(n.state)) != 1:
		show(w, http.StatusBadRequest, view{Text: "This is not the end of a sign-in that began here."})
		return
	case said.Get("iss") != a.issuer: // RFC 9207: another issuer's answer
		show(w, http.StatusBadRequest, view{Text: "The answer is of another issuer."})
		return
	case said.Get("error") != "":
		a.sessions.end(w, r)
		show(w, http.StatusOK, view{Text: "You were not signed in."})
		return
	}
	background := context.WithValue(context.Background(), oauth2.HTTPClient, a.http) // refreshes come later
	token, err := a.oauth.Exchange(background, said.Get("code"), oauth2.VerifierOption(n.verifier))
	if err != nil {
		slog.Warn("callback", "error", err)
		show(w, http.StatusBadGateway, view{Text: "The issuer gave no token."})
		return
	}
	idToken, _ := token.Extra("id_token").(string) // straight from the issuer, which alone gets it back
	a.sessions.begin(w, r, &session{tokens: a.oauth.TokenSource(background, token), idToken: idToken})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// signOut ends the session here; by revoking the refresh token, all that the issuer
// let the application do (RFC 7009); and by way of its end-session endpoint the
// session there (OpenID Connect RP-Initiated Logout 1.0 section 2).
func (a *app) signOut(w http.ResponseWriter, r *http.Request) {
	n := a.sessions.of(r)
	a.sessions.end(w, r)
	if !n.signedIn() {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	if err := a.revoke(r.Context(), n.tokens); err != nil {
		slog.Warn("sign-out", "error", err)
	}
	http.Redirect(w, r, a.issuer+"/end_session?"+url.Values{
		"id_token_hint": {n.idToken}, "post_logout_redirect_uri": {a.home},
	}.Encode(), http.StatusSeeOther)
}

func (a *app) revoke(ctx context.Context, tokens oauth2.TokenSource) error {
	token, err := tokens.Token()
	if err != nil {
		return err
	}
	form := url.Values{"token": {token.RefreshToken}, "token_type_hint": {"refresh_token"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.issuer+"/revoke", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(a.oauth.ClientID), url.QueryEscape(a.oauth.ClientSecret)) // RFC 6749 section 2.3.1
	resp, err := a.http.Do(req)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		err = errors.New("the issuer answers " + resp.Status)
	}
	return errors.Join(err, resp.Body.Close())
}

// A view is what the page shows.
type view struct {
	Text             string
	SignedIn, Failed bool
}

func show(w http.ResponseWriter, status int, v view) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'")
	w.WriteHeader(status)
	_ = page.Execute(w, v)
}
