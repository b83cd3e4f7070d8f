package authserver

import (
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Pages is how the pages look that people see. The zero value is fine.
type Pages struct {
	// Name is whose server it is, as people know it: each page shows it, and has it
	// in its title. Empty means the host of the issuer.
	Name string
	// Logo is a picture that stands beside the Name: the content of a PNG, JPEG,
	// WebP, GIF or SVG file of at most 64 KiB. It is shown 36 pixels high, on light and
	// on dark. The pages hold it, so that nothing is loaded. Empty means none.
	Logo []byte
	// Templates are files that take the place of those in the directory ui of this
	// package, one by one and by their names: a style.css alone changes the look, a
	// layout.html with its templates "head", "foot" and "carried" the frame of all
	// pages, and a signin.html, say, that one page. What is not there stays as it is.
	//
	// The *.html are html/template, executed with a *[Page]. New tries each of them,
	// with all that there may be and with the least, and has an error for one that
	// fails, or leaves out what its form has to carry, what went wrong, or which
	// client asks for consent and that it registered itself. A style.css is part of
	// every page, by {{.Style}}.
	//
	// Whatever the templates say, the Content-Security-Policy has the browser load
	// nothing, heed no style but style.css, run no other script than {{.Script}}, and
	// show pictures from data URLs alone. Nil means those of this package.
	Templates fs.FS
}

//go:embed ui
var ui embed.FS

const maxLogo = 64 << 10 // bytes

// newPages makes the pages of an issuer.
func newPages(p *Pages, issuer *url.URL, development bool) (*pages, error) {
	if p.Name != strings.TrimSpace(p.Name) || !utf8.ValidString(p.Name) || strings.ContainsFunc(p.Name, unicode.IsControl) {
		return nil, errors.New("authserver: Config.Pages.Name: must be text without control characters or space around it")
	}
	shared := Page{Name: p.Name, Development: development, Script: submitScript}
	if p.Name == "" {
		shared.Name = issuer.Host
	}
	pictures := "'none'"
	if len(p.Logo) > 0 {
		kind, err := logoType(p.Logo)
		if err != nil {
			return nil, fmt.Errorf("authserver: Config.Pages.Logo: %w", err)
		}
		shared.Logo = template.URL("data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(p.Logo)) //nolint:gosec // a picture
	}
	if len(p.Logo) > 0 || p.Templates != nil {
		pictures = "data:"
	}
	templates, style, err := parseTemplates(p.Templates)
	if err != nil {
		return nil, fmt.Errorf("authserver: Config.Pages.Templates: %w", err)
	}
	shared.Style = template.CSS(style) //nolint:gosec // of this module, or of its configuration
	made := &pages{
		templates: templates,
		shared:    shared,
		policy: "default-src 'none'; style-src " + sourceHash(style) + "; script-src " + sourceHash(submitScript) +
			"; img-src " + pictures + "; base-uri 'none'; frame-ancestors 'none'; form-action ",
	}
	if p.Templates != nil {
		if err := made.try(); err != nil {
			return nil, fmt.Errorf("authserver: Config.Pages.Templates: %w", err)
		}
	}
	return made, nil
}

// logoType returns the media type of a picture that every browser shows.
func logoType(picture []byte) (string, error) {
	if len(picture) > maxLogo {
		return "", fmt.Errorf("must have at most %d bytes", maxLogo)
	}
	kind, _, _ := strings.Cut(http.DetectContentType(picture), ";")
	switch {
	case slices.Contains([]string{"image/png", "image/jpeg", "image/webp", "image/gif"}, kind):
		return kind, nil
	case strings.HasPrefix(kind, "text/") && strings.Contains(string(picture), "<svg"):
		return "image/svg+xml", nil // as a picture it runs and loads nothing
	default:
		return "", errors.New("must be the content of a PNG, JPEG, WebP, GIF or SVG file")
	}
}

// parseTemplates returns the templates and the style, those of own instead of ours
// where it has some.
func parseTemplates(own fs.FS) (root *template.Template, style string, err error) {
	if own != nil {
		if err := checkNames(own); err != nil {
			return nil, "", err
		}
	}
	files, err := fs.ReadDir(ui, "ui")
	if err != nil {
		return nil, "", err
	}
	root = template.New("")
	for _, file := range files {
		text, err := readTemplate(own, file.Name())
		switch {
		case err != nil:
			return nil, "", err
		case file.Name() != "style.css":
			_, err = root.New(file.Name()).Parse(text)
		case strings.Contains(strings.ToLower(text), "</style"):
			err = errors.New("style.css: has an end of the style element in it")
		default:
			style = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text) // as a browser reads it, before it takes the hash
		}
		if err != nil {
			return nil, "", err
		}
	}
	return root, style, nil
}

// checkNames refuses what looks like a template and is none, as by a slip of the
// pen in its name.
func checkNames(own fs.FS) error {
	for _, pattern := range []string{"*.html", "*.css"} {
		found, err := fs.Glob(own, pattern)
		if err != nil {
			return err
		}
		for _, name := range found {
			if _, err := fs.Stat(ui, "ui/"+name); err != nil {
				return fmt.Errorf("%s: takes the place of no file", name)
			}
		}
	}
	return nil
}

func readTemplate(own fs.FS, name string) (string, error) {
	if own != nil {
		text, err := fs.ReadFile(own, name)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return string(text), err
		}
	}
	text, err := fs.ReadFile(ui, "ui/"+name)
	return string(text), err
}

// try executes each template with a page that has everything, and with one that has
// no more than there always is.
func (p *pages) try() error {
	form := PageForm{Action: "/sample-action", Token: "sample-token", Request: "sample-request"}
	inForm := []string{form.Action, form.Token}
	forAll := []string{form.Request}
	const client, id, user, problem = "sample-client", "sample-id", "sample-user", "sample-problem"
	api, notices := []string{"https://api.example"}, []PageNotice{{client, "2 January 2006, 15:04 UTC"}}
	target, params := template.URL("https://client.example/sample"), []PageParam{{"sample-param", "sample-value"}}
	for _, sample := range []struct {
		least Page
		wants []string
		fails bool // whether it has to say what the problem is
	}{
		{Page{name: "signin.html", Client: client, Form: form}, slices.Concat(inForm, forAll, []string{"username", "password"}), true},
		{
			Page{name: "consent.html", Client: client, User: user, Form: form, Seen: "sample-seen"},
			slices.Concat(inForm, forAll, []string{"sample-seen", "decision", "allow", "deny", client}), false,
		},
		{Page{name: "consent.html", Client: client, SelfRegistered: id, User: user, Form: form, Seen: "sample-seen"}, []string{id}, false},
		{Page{name: "device.html", Form: form}, append([]string{"user_code"}, inForm...), true},
		{Page{name: "devicedone.html", Client: client}, nil, false},
		{Page{name: "error.html", Problem: problem}, nil, true},
		{Page{name: "notice.html", Notices: notices, Next: "/sample-next"}, []string{client, "/sample-next"}, false},
		{Page{name: "signout.html", User: user, Form: form}, slices.Concat(inForm, forAll), false},
		{Page{name: "signedout.html"}, nil, false},
		{
			Page{name: "formpost.html", Host: "client.example", Target: target, Params: params},
			[]string{"https://client.example/sample", "sample-param", "sample-value"}, false,
		},
	} {
		sample.least.Title = "Sample"
		for _, content := range []*Page{{
			name: sample.least.name, Title: "Sample", Problem: problem, Client: client, SelfRegistered: id, User: user, Users: []string{user},
			Form: form, Seen: "sample-seen", Scopes: pageScopes("openid sample:read"), Audience: api, Host: "client.example",
			UserCode: "BCDF-GHJK", Notices: notices, Again: "/sample-again", Next: "/sample-next", Target: target, Params: params,
		}, &sample.least} {
			if err := p.tryOne(content, sample.wants, sample.fails); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *pages) tryOne(content *Page, wants []string, fails bool) error {
	body, err := p.render(content)
	if err != nil {
		return err
	}
	if fails && content.Problem != "" {
		wants = append(slices.Clone(wants), content.Problem)
	}
	for _, want := range wants {
		if !strings.Contains(string(body), want) {
			return fmt.Errorf("%s: lacks %q, of a page made to try it: see Page for what it needs", content.name, want)
		}
	}
	return nil
}
