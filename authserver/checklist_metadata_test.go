package authserver_test

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/tokentest"
)

// A walk tries out what an issuer advertises.
type walk struct {
	*issuer
	about    map[string]any
	keys     map[string]*tokentest.Key // by algorithm
	assertAs signer                    // of a trusted issuer
}

// startWalk starts an issuer that has everything.
func startWalk(t *testing.T, path string) *walk {
	t.Helper()
	w := &walk{keys: map[string]*tokentest.Key{}, assertAs: newSigner(t, "ES256", "k1")}
	var signers []signer
	rsa := tokentest.NewKey(t, "RSA", "RS256").Private
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"} {
		k := &tokentest.Key{ID: alg, Alg: alg, Private: rsa} // one for all, since they take long to make
		if strings.HasPrefix(alg, "E") {
			k = tokentest.NewKey(t, alg, alg)
		}
		w.keys[alg] = k
		signers = append(signers, signer{alg, alg, k.Private})
	}
	var none *authority
	owner, certificate := none.issue(t, nil)
	w.issuer = startWeb(t, path, withSPA, withOpenID, withClaims(claimsOfAlice), withRefresh, withRegistration, withDocuments, trusting(t, w.assertAs, nil), func(c *authserver.Config) {
		c.ClientCertificate = func(r *http.Request) *x509.Certificate {
			if r.Header.Get("X-Certificate") == "" {
				return nil
			}
			return owner.cert
		}
		byMethod := map[string]func(*authserver.Client){
			"client_secret_basic":         func(c *authserver.Client) { c.SecretHash = authserver.HashOf(sealed) },
			"client_secret_post":          func(c *authserver.Client) { c.SecretHash = authserver.HashOf(sealed) },
			"client_secret_jwt":           func(c *authserver.Client) { c.Secret = sealed },
			"private_key_jwt":             func(c *authserver.Client) { c.JWKS = jwks(t, signers...) },
			"self_signed_tls_client_auth": func(c *authserver.Client) { c.JWKS = certified(t, certificate) },
		}
		for method, edit := range byMethod {
			one := authserver.Client{ClientID: method, TokenEndpointAuthMethod: method, GrantTypes: []string{"client_credentials"}, Audience: []string{ordersAPI}}
			edit(&one)
			c.Clients = append(c.Clients, one)
		}
		c.Clients = append(c.Clients, exchanger(false))
	})
	w.about = w.get(w.host + "/.well-known/oauth-authorization-server" + path).object()
	return w
}

// at is the URL of an endpoint that is advertised.
func (w *walk) at(name string) string {
	u, _ := w.about[name].(string)
	if !strings.HasPrefix(u, w.url+"/") {
		w.t.Fatalf("%s: %v", name, w.about[name])
	}
	return strings.TrimPrefix(u, w.url)
}

// by sends a form to an endpoint, authenticated by a method, with an algorithm
// where it has one.
func (w *walk) by(method, alg, path string, pairs ...string) answer {
	v := form(pairs...)
	req := w.request(path, "")
	switch method {
	case "none":
		v.Set("client_id", spa)
	case "client_secret_basic":
		req.SetBasicAuth(method, sealed)
	case "client_secret_post":
		v.Set("client_id", method)
		v.Set("client_secret", sealed)
	case "self_signed_tls_client_auth":
		v.Set("client_id", method)
		req.Header.Set("X-Certificate", "shown")
	case "private_key_jwt":
		return w.assert(path, w.keys[alg].Token(w.t, map[string]any{"typ": "JWT"}, w.claims(method)), pairs...)
	case "client_secret_jwt":
		return w.assert(path, hmacSigner(alg).sign(w.t, nil, w.claims(method)), pairs...)
	}
	signed := w.request(path, v.Encode())
	signed.Header = req.Header
	return w.do(signed)
}

// methods tries an endpoint's client authentication methods and algorithms.
func (w *walk) methods(endpoint, methods, algs string, pairs func(method string) []string) {
	for _, m := range w.texts(methods) {
		try := []string{""}
		switch m {
		case "private_key_jwt":
			try = slices.DeleteFunc(w.texts(algs), func(a string) bool { return strings.HasPrefix(a, "HS") })
		case "client_secret_jwt":
			try = slices.DeleteFunc(w.texts(algs), func(a string) bool { return !strings.HasPrefix(a, "HS") })
		}
		for _, alg := range try {
			if a := w.by(m, alg, w.at(endpoint), pairs(m)...); a.status != 200 || len(try) == 0 {
				w.t.Errorf("%s by %s %s: %d %s", endpoint, m, alg, a.status, a.body)
			}
		}
	}
}

func (w *walk) texts(name string) []string {
	list, _ := w.about[name].([]any)
	texts := make([]string, 0, len(list))
	for _, v := range list {
		texts = append(texts, fmt.Sprint(v))
	}
	if len(texts) == 0 {
		w.t.Errorf("%s: %v", name, w.about[name])
	}
	return texts
}

// grantsThatWork get a token each.
func (w *walk) grantsThatWork() map[string]func() answer {
	return map[string]func() answer{
		"authorization_code": func() answer { return w.redeem(web, w.code(web)) },
		"refresh_token":      func() answer { return w.refresh(web, w.redeem(web, w.code(web)).member("refresh_token")) },
		"client_credentials": func() answer { return w.post("/token", shop, form("grant_type", "client_credentials")) },
		deviceGrant:          func() answer { return w.device(tv).decide("allow").poll() },
		jwtBearer: func() answer {
			return w.post("/token", shop, form("grant_type", jwtBearer, "assertion", w.assertAs.sign(w.t, nil, w.assertion())))
		},
		tokenExchange: func() answer { return w.exchange(gateway, w.token(shop, "resource", ordersAPI)) },
	}
}

func TestPoint34_EveryAdvertisedFeatureWorks(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"at the root": "", "at a path": "/tenant"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			walkThrough(t, startWalk(t, path))
		})
	}
}

// walkThrough tries all that is advertised.
func walkThrough(t *testing.T, w *walk) {
	t.Helper()
	grants := w.grantsThatWork()
	none := func(string) []string { return []string{"token", "x"} }
	tried := map[string]func(){
		"issuer": func() {
			if w.about["issuer"] != w.url {
				t.Error(w.about["issuer"])
			}
		},
		"jwks_uri": func() {
			if w.at("jwks_uri") != "/jwks" || w.verify(w.token(shop)) != nil { // which reads /jwks
				t.Error(w.about["jwks_uri"])
			}
		},
		"token_endpoint": func() {
			w.methods("token_endpoint", "token_endpoint_auth_methods_supported", "token_endpoint_auth_signing_alg_values_supported", func(m string) []string {
				if m == "none" {
					return codeForm(w.spaCode(), webURI)
				}
				return []string{"grant_type", "client_credentials"}
			})
		},
		"introspection_endpoint": func() {
			w.methods("introspection_endpoint", "introspection_endpoint_auth_methods_supported", "introspection_endpoint_auth_signing_alg_values_supported", none)
			if a := w.by("none", "", w.at("introspection_endpoint"), "token", "x"); a.outcome() != "401 invalid_client" {
				t.Errorf("by none, which is not listed: %d", a.status)
			}
		},
		"revocation_endpoint": func() {
			w.methods("revocation_endpoint", "revocation_endpoint_auth_methods_supported", "revocation_endpoint_auth_signing_alg_values_supported", none)
		},
		"grant_types_supported": func() {
			listed := w.texts("grant_types_supported")
			if all := slices.Sorted(maps.Keys(grants)); !slices.Equal(listed, all) {
				t.Errorf("%v, and these work: %v", listed, all)
			}
			for _, g := range listed {
				if a := grants[g](); a.status != 200 || a.member("access_token") == "" {
					t.Errorf("%s: %d %s", g, a.status, a.body)
				}
			}
		},
		"authorization_endpoint": func() {
			for _, rt := range w.texts("response_types_supported") {
				for _, method := range w.texts("code_challenge_methods_supported") {
					s := w.browser().grant(authParams(web, "response_type", rt, "code_challenge_method", method))
					if s.response().Get("code") == "" || s.response().Get("iss") != w.url {
						t.Errorf("%s, %s: %s", rt, method, s.header.Get("Location"))
					}
				}
			}
		},
		"response_modes_supported": func() {
			for _, mode := range w.texts("response_modes_supported") {
				b := w.browser()
				b.grant(authParams(web))
				s := b.authorize(authParams(web, "response_mode", mode))
				if sent := cmp.Or(s.response().Get("code"), s.fields.Get("code")); sent == "" {
					t.Errorf("%s: %d %s", mode, s.status, s.body)
				}
			}
		},
		"prompt_values_supported": func() {
			shows := map[string]string{"none": "", "login": "Sign in", "consent": "Allow access?", "select_account": "Sign in"}
			for _, prompt := range w.texts("prompt_values_supported") {
				b := w.browser()
				b.grant(authParams(web))
				want, known := shows[prompt]
				if s := b.authorize(authParams(web, "prompt", prompt)); s.title != want || !known || (s.response().Get("code") == "") != (want != "") {
					t.Errorf("%s: %d %s", prompt, s.status, s.title)
				}
			}
		},
		"acr_values_supported": func() {
			_, p := parts(t, grants["authorization_code"]().member("access_token"))
			if list := w.texts("acr_values_supported"); !slices.Equal(list, []string{fmt.Sprint(p["acr"])}) {
				t.Errorf("%v, and a token has %v", list, p["acr"])
			}
		},
		"pushed_authorization_request_endpoint": func() {
			a := w.post(w.at("pushed_authorization_request_endpoint"), web, authParams(web))
			if s := w.browser().grant(pushed(web, a.member("request_uri"))); s.response().Get("code") == "" {
				t.Errorf("%d %s", a.status, a.body)
			}
		},
		"device_authorization_endpoint": func() {
			if a := w.fromDevice(w.at("device_authorization_endpoint"), tv); a.status != 200 || a.member("user_code") == "" {
				t.Errorf("%d %s", a.status, a.body)
			}
		},
		"registration_endpoint": func() {
			a := w.metadata("POST", w.url+w.at("registration_endpoint"), initialToken, `{"redirect_uris":["`+appURI+`"]}`)
			if a.status != 201 || a.member("client_id") == "" {
				t.Errorf("%d %s", a.status, a.body)
			}
		},
		"client_id_metadata_document_supported": func() {
			if a := w.tokens(login{id: startDocument(t, "").id}); a.status != 200 || a.member("access_token") == "" {
				t.Errorf("%d %s", a.status, a.body)
			}
		},
		"request_parameter_supported": func() { // false
			if s := w.browser().authorize(authParams(web, "request", "x")); s.response().Get("error") != "request_not_supported" {
				t.Error(s.header.Get("Location"))
			}
		},
		"request_uri_parameter_supported": func() { // false
			if s := w.browser().authorize(authParams(web, "request_uri", "https://web.example/x")); !s.isPage(400) && s.response().Get("error") == "" {
				t.Error(s.status, s.header.Get("Location"))
			}
		},
		"dpop_signing_alg_values_supported": func() {
			for _, alg := range w.texts("dpop_signing_alg_values_supported") {
				if a := w.ask(shop, w.proof(w.keys[alg], nil)); a.status != 200 || a.member("token_type") != "DPoP" {
					t.Errorf("%s: %d %s", alg, a.status, a.body)
				}
			}
		},
		"userinfo_endpoint": func() {
			if a := w.atUserinfo(http.MethodGet, w.openID(web).member("access_token")); w.at("userinfo_endpoint") != "/userinfo" || a.member("sub") == "" {
				t.Errorf("%d %s", a.status, a.body)
			}
		},
		"end_session_endpoint": func() {
			b := w.browser()
			s := b.get(w.url + w.at("end_session_endpoint") + "?id_token_hint=" + b.arrives())
			if s.title != "Signed out" || b.isSignedIn() {
				t.Errorf("%d %s", s.status, s.body)
			}
		},
		"id_token_signing_alg_values_supported": func() {
			header, _ := w.idToken(w.openID(web))
			if list := w.texts("id_token_signing_alg_values_supported"); !slices.Equal(list, []string{fmt.Sprint(header["alg"])}) {
				t.Errorf("%v, and an ID token has %v", list, header["alg"])
			}
		},
		"subject_types_supported": func() { // public: the same sub for every client
			_, one := w.idToken(w.openID(web))
			_, other := w.idToken(w.openID(portal))
			if !slices.Equal(w.texts("subject_types_supported"), []string{"public"}) || one["sub"] != other["sub"] {
				t.Error(one["sub"], other["sub"])
			}
		},
		"scopes_supported": func() {
			for _, scope := range w.texts("scopes_supported") {
				a := w.openID(web, "scope", "openid "+scope)
				if about := w.atUserinfo(http.MethodGet, a.member("access_token")).object(); scope != "openid" && len(about) < 2 {
					t.Errorf("%s: %v", scope, about)
				}
			}
		},
		"claims_supported": func() {
			a := w.openID(web, "nonce", "n")
			_, told := w.idToken(a)
			maps.Copy(told, w.atUserinfo(http.MethodGet, a.member("access_token")).object())
			delete(told, "at_hash") // about the access token
			if list := slices.Sorted(slices.Values(w.texts("claims_supported"))); !slices.Equal(list, slices.Sorted(maps.Keys(told))) {
				t.Errorf("%v, and these are told: %v", list, told)
			}
		},
		"tls_client_certificate_bound_access_tokens": func() {}, // TestRFC8705_Section3, over TLS
	}
	// Shown with the endpoint that each is about.
	within := []string{
		"response_types_supported", "code_challenge_methods_supported", "authorization_response_iss_parameter_supported",
		"token_endpoint_auth_methods_supported", "token_endpoint_auth_signing_alg_values_supported",
		"introspection_endpoint_auth_methods_supported", "introspection_endpoint_auth_signing_alg_values_supported",
		"revocation_endpoint_auth_methods_supported", "revocation_endpoint_auth_signing_alg_values_supported",
	}
	for name := range w.about {
		if try, ok := tried[name]; ok {
			try()
		} else if !slices.Contains(within, name) {
			t.Errorf("%s is advertised, and nothing shows that it works", name)
		}
	}
	for name := range tried {
		if w.about[name] == nil {
			t.Errorf("%s works and is not advertised", name)
		}
	}
	for _, endpoint := range []string{"request_parameter_supported", "request_uri_parameter_supported"} {
		if w.about[endpoint] != false {
			t.Errorf("%s: %v", endpoint, w.about[endpoint])
		}
	}
}

// The places where clients of the Model Context Protocol look, each of which tells
// them that there is PKCE.
func TestPoint34_EveryProbeFindsTheSame(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "/tenant")
	var first string
	for _, place := range []string{
		"/.well-known/oauth-authorization-server/tenant", "/.well-known/openid-configuration/tenant", "/tenant/.well-known/openid-configuration",
	} {
		a := i.get(i.host + place)
		first = cmp.Or(first, string(a.body))
		if a.status != 200 || a.member("issuer") != i.url || fmt.Sprint(a.object()["code_challenge_methods_supported"]) != "[S256]" || string(a.body) != first {
			t.Errorf("%s: %d %s", place, a.status, a.body)
		}
	}
}
