package authserver

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/countermark/countermark/internal/fetch"
)

//go:embed ui
var ui embed.FS

// submitScript sends the one form of its page on.
const submitScript = "document.forms[0].submit()"

// A page is what a template of ui shows. Every one of them gets all of this; each
// uses what it needs.
type page struct {
	name  string // of the template
	forms string // where its forms may lead: the form-action of its CSP

	Title   string
	Style   template.CSS
	Script  template.JS
	Problem string // what went wrong
	Again   string // where to begin again
	Client  string // by the name that people know
	User    string // the name of the person
	Form    pageForm

	Scopes, Audience []string // that are to be allowed
	Host             string   // where the answer goes, for people
	Seen             string
	UserCode         string // of the device that asks
	Denied           bool   // whether the device was told no

	Notices []notice
	Next    string // where the browser goes on, within the issuer

	Target template.URL // where the answer goes, for the browser
	Params []pageParam
}

// A pageForm is a form of the server's own.
type pageForm struct{ Action, Token, Request string }

type pageParam struct{ Name, Value string }

// pages are the templates and what all of them share.
type pages struct {
	templates *template.Template
	style     template.CSS
	policy    string // the Content-Security-Policy but for form-action
}

func newPages() (*pages, error) {
	style, err := ui.ReadFile("ui/style.css")
	if err != nil {
		return nil, err
	}
	templates, err := template.ParseFS(ui, "ui/*.html")
	if err != nil {
		return nil, err
	}
	return &pages{
		templates: templates,
		style:     template.CSS(style), //nolint:gosec // of this module
		policy: "default-src 'none'; style-src " + sourceHash(string(style)) + "; script-src " + sourceHash(submitScript) +
			"; base-uri 'none'; frame-ancestors 'none'; form-action ",
	}, nil
}

// sourceHash is what a Content-Security-Policy allows an inline text by.
func sourceHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// write sends a page: it is nobody's to keep, to frame, or to learn of by where
// the browser goes from it.
func (p *pages) write(w http.ResponseWriter, status int, content *page) {
	content.Style, content.Script = p.style, submitScript
	var body bytes.Buffer
	if err := p.templates.ExecuteTemplate(&body, content.name, content); err != nil {
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	h.Set("Content-Security-Policy", p.policy+content.forms)
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes())
}

// newForm is a form that leads to path, for a request and a browser.
func (s *Server) newForm(secret, path, query string) pageForm {
	return pageForm{Action: s.path + path, Token: csrfToken(secret, path, query), Request: query}
}

// writeErrorPage says to a person what err stands for.
func (s *Server) writeErrorPage(w http.ResponseWriter, r *http.Request, c *client, err error) {
	refusal := s.report(r, c, err)
	title := "This request cannot be answered"
	if refusal.status >= http.StatusInternalServerError {
		title = "Something went wrong"
		w.Header().Set("Retry-After", "1")
	}
	content := &page{name: "error.html", forms: "'none'", Title: title, Problem: "The reason: " + refusal.description + "."}
	if refusal.again != "" {
		content.Again = s.path + authorizePath + "?" + refusal.again
	}
	s.pages.write(w, refusal.status, content)
}

// formPostPage is the page that posts params to the client (OAuth 2.0 Form Post
// Response Mode, section 2).
func formPostPage(uri string, params url.Values) *page {
	p := &page{
		name:   "formpost.html",
		forms:  formSource(uri),
		Title:  "One moment",
		Target: template.URL(uri), //nolint:gosec // registered, so that nothing runs of it
	}
	for _, name := range slices.Sorted(maps.Keys(params)) {
		p.Params = append(p.Params, pageParam{Name: name, Value: params.Get(name)})
	}
	return p
}

// formSource returns what form-action has to allow so that a form may lead to a
// client's redirect URI. Browsers hold every redirect that follows against it
// (CSP Level 3 section 4.2), those that the client answers with as well, which
// nobody knows here: so that it can be no narrower than any https host.
func formSource(uri string) string {
	u, err := url.Parse(uri)
	switch {
	case err != nil || u.Scheme == "https":
		return "https:"
	case u.Scheme == "http" && fetch.IsLoopback(u.Hostname()) && !strings.Contains(u.Host, "["):
		return "https: http://" + u.Host
	default: // an IPv6 address is not in the grammar of a source
		return "https: " + u.Scheme + ":"
	}
}
