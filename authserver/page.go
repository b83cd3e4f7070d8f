package authserver

import (
	"html/template"
	"net/url"
	"strings"

	"github.com/countermark/countermark/internal/fetch"
)

// A Page is what a template of [Pages.Templates] is executed with. Every one of
// them gets all of this, each uses what it needs, and what is not of its page is
// empty. These always have, besides what all have,
//
//	signin.html      Client, Form: with username and password
//	consent.html     Client, User, Seen, Host or UserCode, Form: with seen, and decision,
//	                 which is allow, deny, or switch to sign in as somebody else;
//	                 SelfRegistered if the client is
//	device.html      Form: with user_code
//	devicedone.html  Client
//	error.html       Problem
//	notice.html      Notices, Next
//	signout.html     User, Form
//	signedout.html   nothing
//	formpost.html    Host, Target, Params
type Page struct {
	name  string // of the template
	forms string // where its forms may lead: the form-action of its CSP

	// Title is the heading: what the page is about. With a Problem the same page
	// is there again, or it is an error page.
	Title, Problem string
	// Name and Logo are those of [Pages]; the Logo is a data URL.
	Name string
	Logo template.URL
	// Development says that the server is one of [Config.Development].
	Development bool
	// Style is style.css, Script what sends the form of formpost.html by itself:
	// the one style element and the one script that the browser takes, as they are.
	Style  template.CSS
	Script template.JS

	// Client is the client by the name that people know, User the person by theirs.
	Client, User string
	// SelfRegistered is the ClientID of a client that registered itself, and empty for
	// any other: what it is called is then its own claim, which nobody here checked.
	// The consent page has to say so.
	SelfRegistered string
	// Users are those who can sign in by a button called "as", without a password.
	// Only with Development there are any.
	Users []string
	// Form is where the form of the page goes.
	Form PageForm

	// Scopes and Audience, the APIs, are what is to be allowed, and Host is where the
	// person will be sent, or may go by the link Target.
	Scopes   []PageScope
	Audience []string
	Host     string
	// Seen has to come along in a field "seen" of the consent page's form.
	Seen string
	// UserCode is what the device shows that asks. Denied says that it was told no.
	UserCode string
	Denied   bool

	// Notices are what happened in the person's name since they last signed in.
	Notices []PageNotice
	// Again and Next are links within the server: to begin again after an error, if
	// that is of use, and to go on after the notices.
	Again, Next string

	// Target is where the form of formpost.html goes, with Params as hidden fields, and
	// where the link of signedout.html leads, if it has a Host.
	Target template.URL
	Params []PageParam
}

// A PageForm is a form of the server's own. It is posted to Action, with Token in a
// field "csrf" and Request in a field "request".
type PageForm struct{ Action, Token, Request string }

// A PageScope is a scope that a client asks for.
type PageScope struct {
	Name string
	// Meaning says in words what the Name allows, as the end of a sentence that
	// begins with "It may". It is empty where only the API knows.
	Meaning string
}

// A PageNotice is that an application of the person was signed out because a
// refresh token of it was used twice.
type PageNotice struct{ Client, When string }

// A PageParam is a parameter of an authorization response.
type PageParam struct{ Name, Value string }

// meanings are those of the scopes that mean the same everywhere (OpenID Connect
// Core sections 5.4 and 11).
var meanings = map[string]string{
	"openid":         "know that it is you who signs in",
	"profile":        "see your profile, such as your name and picture",
	"email":          "see your email address",
	"address":        "see your postal address",
	"phone":          "see your phone number",
	"offline_access": "keep this access while you are away",
}

// pageScopes says what a scope allows.
func pageScopes(scope string) []PageScope {
	var scopes []PageScope
	for name := range strings.FieldsSeq(scope) {
		scopes = append(scopes, PageScope{Name: name, Meaning: meanings[name]})
	}
	return scopes
}

// redirectHost says to people where they will be sent.
func redirectHost(uri string) string {
	u, err := url.Parse(uri)
	switch {
	case err != nil:
		return uri
	case u.Scheme != "https" && u.Scheme != "http":
		return "the app " + u.Scheme
	case fetch.IsLoopback(u.Hostname()):
		return u.Host + " (a program on this device)"
	default:
		return u.Host
	}
}
