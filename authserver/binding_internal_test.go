package authserver

import (
	"strings"
	"testing"
)

// What a code or refresh token is bound to, only its key redeems (RFC 9449
// sections 5 and 10, RFC 8705 section 4).
func TestPoint22_OnlyTheKeyHolds(t *testing.T) {
	t.Parallel()
	jkt := func(s string) *confirmation { return &confirmation{JKT: s} }
	x5t := func(s string) *confirmation { return &confirmation{X5TS: s} }
	for name, row := range map[string]struct {
		bound, shown *confirmation
		ok           bool
	}{
		"bound to none, none shown":       {nil, nil, true},
		"bound to none, one shown":        {nil, jkt("a"), true},
		"the key":                         {jkt("a"), jkt("a"), true},
		"the certificate":                 {x5t("a"), x5t("a"), true},
		"none shown":                      {jkt("a"), nil, false},
		"no certificate shown":            {x5t("a"), nil, false},
		"another key":                     {jkt("a"), jkt("b"), false},
		"another certificate":             {x5t("a"), x5t("b"), false},
		"a certificate for a key":         {jkt("a"), x5t("a"), false},
		"a key for a certificate":         {x5t("a"), jkt("a"), false},
		"bound to nothing known":          {&confirmation{}, nil, false},
		"bound to nothing known, a key":   {&confirmation{}, jkt("a"), false},
		"bound to both, which none shows": {&confirmation{JKT: "a", X5TS: "a"}, jkt("a"), false},
	} {
		r := &request{confirmation: row.shown}
		if err := r.holds(row.bound); (err == nil) != row.ok {
			t.Errorf("%s: %v", name, err)
		} else if err != nil && !strings.HasPrefix(err.Error(), "invalid_grant: ") {
			t.Errorf("%s: refused with %v", name, err)
		}
	}
}

// A grant that forgets to ask for the key still gets no token issued.
func TestPoint22_NothingIsIssuedWithoutTheKey(t *testing.T) {
	t.Parallel()
	s, err := New(Config{Issuer: "https://issuer.example"})
	if err != nil {
		t.Fatal(err)
	}
	r := &request{client: &client{}, confirmation: &confirmation{JKT: "b"}}
	a := &authorization{Confirmation: &confirmation{JKT: "a"}}
	if answer, err := s.issue(t.Context(), r, a); err == nil {
		t.Errorf("issued %+v", answer)
	}
}

// RFC 9449 section 10: dpop_jkt, the proof of a pushed request, or both.
func TestPoint22_TheKeyOfACode(t *testing.T) {
	t.Parallel()
	key, other := strings.Repeat("A", 43), strings.Repeat("B", 42)+"A"
	proved := &confirmation{JKT: key}
	plain, certified := &client{}, &client{Client: Client{TLSClientCertificateBoundAccessTokens: true}}
	for name, row := range map[string]struct {
		client *client
		jkt    string
		proved *confirmation
		want   string // the key; "!" for a refusal
	}{
		"neither":                       {plain, "", nil, ""},
		"dpop_jkt":                      {plain, key, nil, key},
		"a proof":                       {plain, "", proved, key},
		"both, the same":                {plain, key, proved, key},
		"both, and they differ":         {plain, other, proved, "!"},
		"too short":                     {plain, key[1:], nil, "!"},
		"too long":                      {plain, key + "AAA", nil, "!"},
		"padded":                        {plain, key + "=", nil, "!"},
		"no base64url":                  {plain, "?" + key[1:], nil, "!"},
		"a certificate's client":        {certified, "", nil, ""},
		"a certificate's, with jkt":     {certified, key, nil, "!"},
		"a certificate's, with a proof": {certified, "", proved, "!"},
	} {
		bound, err := row.client.codeKey(row.jkt, row.proved)
		got := ""
		switch {
		case err != nil:
			got = "!"
		case bound != nil:
			got = bound.JKT
		}
		if got != row.want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, row.want)
		}
	}
}
