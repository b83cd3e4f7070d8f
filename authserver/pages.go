package authserver

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/countermark/countermark/internal/fetch"
)

// submitScript sends the one form of its page on.
const submitScript = "document.forms[0].submit()"

// pages are the templates and what all of them share.
type pages struct {
	templates *template.Template
	shared    Page   // but for what is of one page
	policy    string // the Content-Security-Policy but for form-action
}

// sourceHash is what a Content-Security-Policy allows an inline text by.
func sourceHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// write sends a page: it is nobody's to keep, to frame, or to learn of by where
// the browser goes from it.
func (p *pages) write(w http.ResponseWriter, status int, content *Page) {
	body, err := p.render(content)
	if err != nil {
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
	_, _ = w.Write(body)
}

// render returns a page with what all of them share.
func (p *pages) render(content *Page) ([]byte, error) {
	content.Name, content.Logo, content.Development = p.shared.Name, p.shared.Logo, p.shared.Development
	content.Style, content.Script = p.shared.Style, p.shared.Script
	var body bytes.Buffer
	err := p.templates.ExecuteTemplate(&body, content.name, content)
	return body.Bytes(), err
}

// newForm is a form that leads to path, for a request and a browser.
func (s *Server) newForm(secret, path, query string) PageForm {
	return PageForm{Action: s.path + path, Token: csrfToken(secret, path, query), Request: query}
}

// writeErrorPage says to a person what err stands for.
func (s *Server) writeErrorPage(w http.ResponseWriter, r *http.Request, c *client, err error) {
	refusal := s.report(r, c, err)
	title := "This request cannot be answered"
	if refusal.status >= http.StatusInternalServerError {
		title = "Something went wrong"
		w.Header().Set("Retry-After", "1")
	}
	content := &Page{name: "error.html", forms: "'none'", Title: title, Problem: "The reason: " + refusal.description + "."}
	if refusal.again != "" {
		content.Again = s.path + refusal.again
	}
	s.pages.write(w, refusal.status, content)
}

// formPostPage is the page that posts params to the client (OAuth 2.0 Form Post
// Response Mode, section 2).
func formPostPage(uri string, params url.Values) *Page {
	p := &Page{
		name:   "formpost.html",
		forms:  formSource(uri),
		Title:  "One moment",
		Host:   redirectHost(uri),
		Target: template.URL(uri), //nolint:gosec // registered, so that nothing runs of it
	}
	for _, name := range slices.Sorted(maps.Keys(params)) {
		p.Params = append(p.Params, PageParam{Name: name, Value: params.Get(name)})
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
