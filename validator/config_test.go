package validator_test

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/validator"
)

func TestNew_ErrorsNameTheField(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		edit  func(*validator.Config)
		field string
	}{
		"no issuer":                {func(c *validator.Config) { c.Issuer = "" }, "Config.Issuer"},
		"no audiences":             {func(c *validator.Config) { c.Audiences = nil }, "Config.Audiences"},
		"no audience":              {func(c *validator.Config) { c.Audiences = []string{} }, "Config.Audiences"},
		"an empty audience":        {func(c *validator.Config) { c.Audiences = []string{""} }, "Config.Audiences"},
		"an empty audience of two": {func(c *validator.Config) { c.Audiences = []string{audience, ""} }, "Config.Audiences"},
		"nobody to ask":            {func(c *validator.Config) { c.Keys = nil }, "Config.Keys, Config.Introspector"},
		"leeway of 5 min and more": {func(c *validator.Config) { c.Leeway = 5*time.Minute + 1 }, "Config.Leeway"},
		"a negative proof age":     {func(c *validator.Config) { c.ProofAge = -1 }, "Config.ProofAge"},
		"a proof age past 1 h":     {func(c *validator.Config) { c.ProofAge = time.Hour + 1 }, "Config.ProofAge"},
		"scopes in the subject":    {func(c *validator.Config) { c.ScopeClaims = []string{"scope", "sub"} }, "Config.ScopeClaims"},
		"a short nonce key":        {func(c *validator.Config) { c.NonceKey = make([]byte, 31) }, "Config.NonceKey"},
		"algorithm none":           {func(c *validator.Config) { c.Algorithms = []string{"ES256", "none"} }, "Config.Algorithms"},
		"algorithm HS256":          {func(c *validator.Config) { c.Algorithms = []string{"HS256"} }, "Config.Algorithms"},
		"algorithm of other case":  {func(c *validator.Config) { c.Algorithms = []string{"es256"} }, "Config.Algorithms"},
		"algorithm empty":          {func(c *validator.Config) { c.Algorithms = []string{""} }, "Config.Algorithms"},
		"no key source in Keys":    {func(c *validator.Config) { c.Keys = (*asked)(nil) }, "Config.Keys"},
		"none in Introspector":     {func(c *validator.Config) { c.Introspector = (*asked)(nil) }, "Config.Introspector"},
		"type dpop+jwt":            {func(c *validator.Config) { c.Types = []string{"at+jwt", "DPoP+JWT"} }, "Config.Types"},
		"type logout+jwt":          {func(c *validator.Config) { c.Types = []string{"application/logout+jwt"} }, "Config.Types"},
		"may lack sub":             {func(c *validator.Config) { c.AnswerMayLack = []string{"sub"} }, "Config.AnswerMayLack"},
		"may lack active":          {func(c *validator.Config) { c.AnswerMayLack = []string{"aud", "active"} }, "Config.AnswerMayLack"},
		"may lack AUD":             {func(c *validator.Config) { c.AnswerMayLack = []string{"AUD"} }, "Config.AnswerMayLack"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := validator.Config{Issuer: issuer, Audiences: []string{audience}, Keys: issuerKeys()}
			if _, err := validator.New(cfg); err != nil {
				t.Fatalf("the control: %v", err)
			}
			row.edit(&cfg)
			v, err := validator.New(cfg)
			if err == nil || v != nil {
				t.Fatalf("accepted")
			}
			if !strings.HasPrefix(err.Error(), "validator: "+row.field+": ") {
				t.Errorf("%q does not name %s", err, row.field)
			}
		})
	}
}

// Zero is the strict choice: what is no access token is refused by a Config that
// has its required fields and no more.
func TestConfig_ZeroRefusesWhatIsNoAccessTokenForHere(t *testing.T) {
	t.Parallel()
	runRefusals(t, defaultRefusals())
}

func defaultRefusals() []refusal {
	m := validator.ErrMalformed
	idToken := edits{"client_id": nil, "jti": nil, "scope": nil, "nonce": "canary-nonce", "azp": "canary-client"}
	logout := edits{"events": edits{"http://schemas.openid.net/event/backchannel-logout": edits{}}, "sid": "canary-sid"}
	both := func(name string, header, claims edits, want error) refusal {
		return refusal{name: name, token: func() string { return minted(header, claims) }, want: want}
	}
	return []refusal{
		both("ID token", edits{"typ": "JWT"}, idToken, validator.ErrType),
		both("ID token without typ", edits{"typ": nil}, idToken, validator.ErrType),
		both("ID token that says at+jwt", nil, idToken, m),
		both("logout token", edits{"typ": "logout+jwt"}, logout, validator.ErrType),
		both("DPoP proof", edits{"typ": "dpop+jwt"}, edits{"htm": "GET", "htu": audience}, validator.ErrType),
		both("bound by cnf jkt", nil, edits{"cnf": edits{"jkt": "canary"}}, validator.ErrBinding),
		both("bound by cnf x5t#S256", nil, edits{"cnf": edits{"x5t#S256": "canary"}}, validator.ErrBinding),
		both("bound by cnf of nothing", nil, edits{"cnf": edits{}}, validator.ErrBinding),
		both("bound by cnf null", nil, edits{"cnf": null}, validator.ErrBinding),
		both("bound by cnf text", nil, edits{"cnf": "canary"}, validator.ErrBinding),
		both("without exp", nil, edits{"exp": nil}, m),
		both("without sub", nil, edits{"sub": nil}, m),
		both("unknown crit", edits{"crit": []string{"canary"}}, nil, m),
		text("duplicated member", goodHeader(), with(goodPayload(), `"sub":"canary-subject"`), m),
		text("fold-colliding member", goodHeader(), with(goodPayload(), "\"\u017fub\":\"canary-root\""), m),
		text("duplicated member of the header", with(goodHeader(), `"typ":"at+jwt"`), goodPayload(), m),
		text("fold-colliding member of the header", with(goodHeader(), "\"\u212aid\":\"canary-kid\""), goodPayload(), m),
	}
}

func TestConfig_TypesAreAddedByName(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		types []string
		typ   any // of the token; nil for none
		ok    bool
	}{
		{[]string{}, "at+jwt", true},
		{[]string{"JWT"}, "JWT", true},
		{[]string{"JWT"}, "jwt", true},
		{[]string{"JWT"}, "application/jwt", true},
		{[]string{"jwt"}, "JWT", true},
		{[]string{"application/JWT"}, "jwt", true},
		{[]string{"JWT"}, "at+jwt", false}, // what is listed replaces the default
		{[]string{"JWT"}, nil, false},
		{[]string{"JWT"}, "", false},
		{[]string{""}, nil, true},
		{[]string{""}, "JWT", false},
		{[]string{"", "at+jwt"}, nil, true},
		{[]string{"", "at+jwt"}, "at+jwt", true},
		{[]string{"at+jwt"}, "JWT", false},
	} {
		v := newValidator(t, func(c *validator.Config) { c.Types = row.types })
		tok, err := v.Validate(t.Context(), minted(edits{"typ": row.typ}, nil))
		if row.ok {
			if err != nil {
				t.Errorf("%q of %q: %v", row.typ, row.types, err)
			}
			continue
		}
		wantRefused(t, tok, err, validator.ErrType)
	}
}

// What New was given may be used again for something else.
func TestNew_KeepsNoneOfTheCallersSlices(t *testing.T) {
	t.Parallel()
	cfg := validator.Config{
		Issuer: issuer, Audiences: []string{audience}, Keys: issuerKeys(), Introspector: answers(goodAnswer(edits{"aud": nil})),
		Types: []string{"at+jwt", "X+JWT"}, Algorithms: []string{"ES256"}, ScopeClaims: []string{"scope"}, AnswerMayLack: []string{"aud"},
		Now: func() time.Time { return noon },
	}
	lists := [][]string{cfg.Audiences, cfg.Types, cfg.Algorithms, cfg.ScopeClaims, cfg.AnswerMayLack}
	var before [][]string
	for _, list := range lists {
		before = append(before, slices.Clone(list))
	}
	v, err := validator.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for i, list := range lists {
		if !slices.Equal(list, before[i]) {
			t.Errorf("New changed %q to %q", before[i], list)
		}
		for j := range list {
			list[j] = "changed"
		}
	}
	accept(t, v, opaque)
	if tok := accept(t, v, minted(nil, nil)); !tok.HasScope("canary:read") {
		t.Error("the scope is lost")
	}
	tok, err := v.Validate(t.Context(), minted(nil, edits{"aud": "changed"}))
	wantRefused(t, tok, err, validator.ErrAudience)
}

// The zero Validator and a nil one refuse, as what they cannot judge.
func TestValidator_NotMadeByNew(t *testing.T) {
	t.Parallel()
	for _, v := range []*validator.Validator{nil, {}} {
		tok, err := v.Validate(t.Context(), minted(nil, nil))
		wantRefused(t, tok, err, validator.ErrUnavailable)
	}
}

// An issuer that is down delays nobody's start: New asks nobody anything.
func TestNew_DoesNoIO(t *testing.T) {
	t.Parallel()
	source := &asked{keys: issuerKeys(), answer: goodAnswer(nil)}
	newValidator(t, func(c *validator.Config) {
		c.Keys, c.Introspector = source, source
		c.Check = func(context.Context, *validator.Token) error { t.Error("Check is called"); return nil }
	})
	if source.forKeys.Load()+source.forAnswers.Load() != 0 {
		t.Error("New asked")
	}
}

func TestNew_LeavesNoGoroutine(t *testing.T) {
	token := minted(nil, nil)
	before := runtime.NumGoroutine()
	for range 100 {
		accept(t, newValidator(t, nil), token)
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines before, %d after", before, after)
	}
}
