package introspection

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// An Authenticator is how this client shows the endpoint who it is. Its zero
// value is none, which [New] refuses. Printing one shows no secret.
//
// Each constructor takes the client identifier under which the issuer knows
// this resource server. Also where it is not sent, it keeps the answers to this
// client apart from those to others in a shared [Cache]. What is wrong with the
// arguments is an error of New.
type Authenticator struct {
	clientID  string
	mutualTLS bool
	apply     func(req *http.Request, form url.Values, audience string) error
	err       error
}

// Basic is client_secret_basic: identifier and secret in the Authorization
// header, each form-encoded first (RFC 6749 section 2.3.1).
func Basic(clientID, secret string) Authenticator {
	return newAuthenticator(clientID, missing("secret", secret), func(req *http.Request, _ url.Values, _ string) error {
		req.SetBasicAuth(url.QueryEscape(clientID), url.QueryEscape(secret))
		return nil
	})
}

// Post is client_secret_post: identifier and secret in the body (RFC 6749
// section 2.3.1).
func Post(clientID, secret string) Authenticator {
	return newAuthenticator(clientID, missing("secret", secret), func(_ *http.Request, form url.Values, _ string) error {
		form.Set("client_id", clientID)
		form.Set("client_secret", secret)
		return nil
	})
}

// TLS is mutual TLS: the identifier is in the body, and the certificate in the
// TLS handshake of Config.Client (RFC 8705 section 2). If the metadata names an
// endpoint of its own for it, that one is used (section 5).
func TLS(clientID string) Authenticator {
	a := newAuthenticator(clientID, nil, func(_ *http.Request, form url.Values, _ string) error {
		form.Set("client_id", clientID)
		return nil
	})
	a.mutualTLS = true
	return a
}

// Bearer sends an access token of this client (RFC 7662 section 2.1, RFC 6750
// section 2.1). The function is called for each request, with its context,
// possibly by several goroutines at once, and should remember the token while it
// is good. The client identifier is not sent.
func Bearer(clientID string, token func(context.Context) (string, error)) Authenticator {
	var err error
	if token == nil {
		err = errors.New("the function is nil")
	}
	return newAuthenticator(clientID, err, func(req *http.Request, _ url.Values, _ string) error {
		t, err := token(req.Context())
		if err != nil {
			return err
		}
		if t == "" {
			return errors.New("the bearer token is empty")
		}
		req.Header.Set("Authorization", "Bearer "+t)
		return nil
	})
}

// AuthFunc is for an endpoint that wants something else. The function is called
// for each request, possibly by several goroutines at once, and may add to its
// header and to the form in its body. What it returns as an error is in the
// error of Introspect: keep secrets out of it. The client identifier is not
// sent.
func AuthFunc(clientID string, authenticate func(req *http.Request, form url.Values) error) Authenticator {
	var err error
	if authenticate == nil {
		err = errors.New("the function is nil")
	}
	return newAuthenticator(clientID, err, func(req *http.Request, form url.Values, _ string) error {
		return authenticate(req, form)
	})
}

// newAuthenticator returns an Authenticator that holds the first thing wrong
// with its arguments.
func newAuthenticator(clientID string, err error, apply func(*http.Request, url.Values, string) error) Authenticator {
	if err := missing("client identifier", clientID); err != nil {
		return Authenticator{err: err}
	}
	return Authenticator{clientID: clientID, apply: apply, err: err}
}

func missing(what, text string) error {
	if text == "" {
		return fmt.Errorf("the %s is empty", what)
	}
	return nil
}
