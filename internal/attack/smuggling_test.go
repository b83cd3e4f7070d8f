package attack_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/countermark/countermark/validator"
)

// smugglingRows are tokens in another place than the one value of Authorization, or
// there in another form: RFC 6750 section 2, RFC 9110 section 11, CVE-2026-40575,
// CVE-2025-54576.
func smugglingRows(m *mint) []row {
	none, malformed := refused(validator.ErrNoToken, 401, plain), refused(validator.ErrRequest, 400, request400)
	var rows []row
	elsewhere := func(name string, v visit, want outcome) { rows = append(rows, row{name: name, brings: v, want: want}) }

	for _, field := range []string{
		"Proxy-Authorization", "X-Authorization", "X-Forwarded-Authorization", "X-Original-Authorization", "X-Access-Token", "X-Forwarded-Access-Token",
		"X-Auth-Request-Access-Token", "X-Amzn-Oidc-Accesstoken", "X-Api-Key", "Authentication", "Authorization-Token", "Authorization_", "Access-Token", "Access_token",
		"Authorization-Bin", "Grpcgateway-Authorization", "Grpc-Metadata-Authorization", "X-Forwarded-User", "X-Remote-User",
	} {
		elsewhere("the token in "+field, visit{fields: http.Header{field: {"Bearer " + m.good}}}, none)
	}
	elsewhere("the token in a cookie", visit{fields: http.Header{"Cookie": {"access_token=" + m.good + "; Authorization=Bearer " + m.good}}}, none)
	elsewhere("the token as a WebSocket protocol", visit{fields: http.Header{"Sec-Websocket-Protocol": {"bearer, " + m.good}}}, none)
	elsewhere("the token in a form", visit{form: "access_token=" + m.good}, none)
	both := bearer(m.good)
	both.query = "access_token=" + m.good
	elsewhere("the token in the query as well", both, malformed)
	for name, query := range map[string]string{
		"alone":             "access_token=",
		"after others":      "a=b&access_token=",
		"after a semicolon": "a=b;access_token=",
		"escaped":           "access%5Ftoken=",
		"escaped in full":   "%61ccess_token=",
		"twice":             "access_token=canary&access_token=",
	} {
		elsewhere("the token in the query, "+name, visit{query: query + m.good}, malformed)
	}
	for name, query := range map[string]string{"in upper case": "ACCESS_TOKEN=", "as an array": "access_token[]=", "by another name": "token=", "as Authorization": "authorization=Bearer%20"} {
		elsewhere("the token in the query, "+name, visit{query: query + m.good}, none)
	}

	for _, scheme := range []string{
		"Token", "JWT", "OAuth", "MAC", "Digest", "Negotiate", "GNAP", "Basic", "HOBA", "AWS4-HMAC-SHA256", "Bear", "BearerX", "Bearer:", "Bearer=", "Bearer,",
		`"Bearer"`, "'Bearer", "<Bearer>", "B\u0435arer", "\uff22earer", "Bearer\u200b", "DPoP2", "D\u0420oP", "Authorization:Bearer",
	} {
		elsewhere("the scheme "+text(scheme), visit{scheme: scheme, token: m.good}, none)
	}
	for name, value := range map[string]string{
		"an escaped space":     "Bearer%20" + m.good,
		"a plus":               "Bearer+" + m.good,
		"a tab":                "Bearer\t" + m.good,
		"a no-break space":     "Bearer\u00a0" + m.good,
		"no space":             "Bearer" + m.good,
		"a comma before":       ", Bearer " + m.good,
		"its own name before":  "Authorization: Bearer " + m.good,
		"another scheme first": "Basic dXNlcjpwdw==, Bearer " + m.good,
	} {
		elsewhere("a scheme with "+name, shows(value), none)
	}
	for name, value := range map[string]string{
		"the scheme twice":       "Bearer Bearer " + m.good,
		"another scheme after":   "Bearer " + m.good + ", Basic dXNlcjpwdw==",
		"a parameter after":      "Bearer " + m.good + `, realm="api"`,
		"a challenge":            `Bearer realm="api"`,
		"a semicolon":            "Bearer " + m.good + ";v=1",
		"an ampersand":           "Bearer " + m.good + "&x=1",
		"a tab after the space":  "Bearer \t" + m.good,
		"a tab inside":           "Bearer " + m.good[:9] + "\t" + m.good[9:],
		"brackets":               "Bearer <" + m.good + ">",
		"braces":                 "Bearer {" + m.good + "}",
		"a byte beyond ASCII":    "Bearer " + m.good + "\xff",
		"a no-break space after": "Bearer " + m.good + "\u00a0",
		"padding first":          "Bearer =" + m.good,
		"a comma alone":          "Bearer ,",
		"an at sign":             "Bearer canary@" + m.good,
	} {
		elsewhere("a token with "+name, shows(value), malformed)
	}
	elsewhere("three values", shows("Bearer "+m.good, "Bearer "+m.good, "Bearer "+m.good), malformed)
	elsewhere("a good value after a bad one", shows("Bearer canary", "Bearer "+m.good), malformed)
	elsewhere("a bad value after a good one", shows("Bearer "+m.good, "Bearer canary"), malformed)
	elsewhere("DPoP and Bearer", shows("DPoP "+m.good, "Bearer "+m.good), malformed)
	elsewhere("two values, both empty", shows("", ""), malformed)
	for _, word := range []string{"null", "undefined", "None", "true", "0", "-", "...", "token"} {
		rows = append(rows, attack("the token is "+text(word), word, validator.ErrInactive))
	}

	// What a proof names is what the client asked for, whatever a header says of it.
	token := m.token(m.toKey())
	good := dpop(token, m.proof(token, nil))
	const meant = "https://canary.example/orders/7"
	for name, fields := range map[string]http.Header{
		"X-Forwarded-Host": {"X-Forwarded-Host": {"canary.example"}, "X-Forwarded-Proto": {"https"}},
		"Forwarded":        {"Forwarded": {"host=canary.example;proto=https"}},
		"X-Original-URL":   {"X-Original-Url": {meant}, "X-Rewrite-Url": {meant}},
		"X-Forwarded-Uri":  {"X-Forwarded-Uri": {"/orders/7"}, "X-Forwarded-Prefix": {"/orders"}},
	} {
		v := dpop(token, m.proof(token, func(_, claims edits) { claims["htu"] = meant }))
		v.fields = fields
		rows = append(rows, row{name: "another URL, by " + name, control: &good, brings: v, want: dpopRefused(validator.ErrProof, "invalid_dpop_proof")})
	}
	v := dpop(token, m.proof(token, func(_, claims edits) { claims["htm"] = "DELETE" }))
	v.fields = http.Header{"X-Http-Method-Override": {"DELETE"}, "X-Method-Override": {"DELETE"}}
	return append(rows, row{name: "another method, by X-HTTP-Method-Override", control: &good, brings: v, want: dpopRefused(validator.ErrProof, "invalid_dpop_proof")})
}

// A field that goes on in the next line is one with a space in it (RFC 9112 section
// 5.2), and a name with a space after it is none at all (section 5.1).
func TestSmuggling_RawHTTP(t *testing.T) {
	t.Parallel()
	m := newMint(t)
	guarded, unread := refused(validator.ErrRequest, 400, request400), outcome{answer: answer{status: 400}}
	for _, d := range []door{netHTTP, echo4, echo5} {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			runAll(t, &street{tb: t, m: m, door: d}, []row{ // each begins after "Authorization: "
				{name: "folded inside the token", brings: shows("Bearer " + m.good[:40] + "\r\n " + m.good[40:]), want: guarded},
				{name: "folded, a second one", brings: shows("Bearer " + m.good + "\r\n Bearer " + m.good), want: guarded},
				{name: "a second line", brings: shows("Bearer " + m.good + "\r\nauthorization: Bearer " + m.good), want: guarded},
				{name: "a second line by a bare line feed", brings: shows("Bearer " + m.good + "\nAUTHORIZATION: Bearer " + m.good), want: guarded},
				{name: "a name with a space", brings: shows("Bearer " + m.good + "\r\nAuthorization : Bearer " + m.good), want: unread},
				{name: "a bare carriage return", brings: shows("Bearer " + m.good + "\rX: y"), want: unread},
				{name: "NUL", brings: shows("Bearer " + m.good + "\x00"), want: unread},
				{name: "two lengths", brings: shows("Bearer canary\r\nContent-Length: 5\r\nContent-Length: 6"), want: unread},
			})
		})
	}
}

// A method by another name than its own is no method with a policy, nor one that is
// served (CVE-2026-33186): nobody is let in by it, good token or not.
func TestSmuggling_GRPCPaths(t *testing.T) {
	t.Parallel()
	m := newMint(t)
	h := (&street{tb: t, m: m, door: grpcUnary}).house(validator.Requirement{})
	h.receive(t, &row{})
	host := strings.TrimSuffix(strings.TrimPrefix(h.url, "https://"), ordersGet)
	good := bearer(m.good)
	call := func(path string, v *visit) answer {
		h.forget()
		req := m.request(t, v, operation{})
		got := sendFrames(t, host, path, req)
		if secret := leak(got.text+h.logged.String(), req); secret != "" {
			t.Errorf("%q shows %q", path, secret)
		}
		return got
	}
	if got := call(ordersGet, &good); got.status != http.StatusOK || len(h.subjects) != 1 {
		t.Fatalf("the control: status %d: %s", got.status, got.text)
	}
	for _, path := range []string{
		"orders.Orders/Get", "//orders.Orders/Get", "/orders.Orders//Get", "/orders.Orders/Get/", "/orders.orders/Get", "/orders.Orders/get", "/orders.Orders/Get%20",
		"/orders.Orders/Get?x", "/orders.Orders/Get#x", "/orders.Orders/./Get", "/x/../orders.Orders/Get", "/orders.Orders/Other", "/Orders/Get", "/orders%2EOrders/Get",
		"/orders.Orders\\Get", "*", "/", "", h.url, "/orders.Orders/Get;x",
	} {
		for _, v := range []visit{{}, good} {
			if got := call(path, &v); got.status == http.StatusOK || len(h.subjects) > 0 {
				t.Errorf("%q: status %d, let in %q", path, got.status, h.subjects)
			}
		}
	}
}
