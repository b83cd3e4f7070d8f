package validator_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/validator"
)

func TestIssuers_ATokenIsJudgedByItsIssuerAlone(t *testing.T) {
	t.Parallel()
	a, b := newParty(t, "a"), newParty(t, "b")
	s := newIssuers(t, validator.IssuersConfig{Validators: []*validator.Validator{a.validator(t, nil), b.validator(t, nil)}})
	a.wantToken(t, s, a.token(t, nil))
	a.wantAsked(t, 1, 0)
	b.wantAsked(t, 0, 0)
	b.wantToken(t, s, b.token(t, nil))
	a.wantAsked(t, 1, 0)
	b.wantAsked(t, 1, 0)
}

// A signs, and names B in each way that somebody could take for naming B. Only
// one that really says B may reach B's keys, which do not fit; only one that says
// somebody else may reach Resolve, and with what it says. A's keys are never
// asked: the tokens do not say A.
func TestIssuers_ATokenThatNamesAnotherIssuerIsRefused(t *testing.T) {
	t.Parallel()
	const isB = "https://b.example"
	for name, row := range map[string]struct {
		iss     string // members of the payload, among which the issuer is or should be
		want    error
		asksB   int32
		resolve string // who is looked up
	}{
		"B":                       {`"iss":"https://b.example"`, validator.ErrSignature, 1, ""},
		"B, slashes escaped":      {`"iss":"https:\/\/b.example"`, validator.ErrSignature, 1, ""},
		"B, letters escaped":      {`"iss":"\u0068ttps://\u0062.example"`, validator.ErrSignature, 1, ""},
		"B, member name escaped":  {`"\u0069s\u0073":"https://b.example"`, validator.ErrSignature, 1, ""},
		"B, white space around":   {` "iss" : "https://b.example" `, validator.ErrSignature, 1, ""},
		"B, then dotless i":       {`"iss":"https://b.example","ıss":"https://a.example"`, validator.ErrSignature, 1, ""},
		"B and A inside":          {`"x":{"iss":"https://a.example"},"iss":"https://b.example"`, validator.ErrSignature, 1, ""},
		"upper case":              {`"iss":"HTTPS://B.EXAMPLE"`, validator.ErrIssuer, 0, "HTTPS://B.EXAMPLE"},
		"upper case host":         {`"iss":"https://B.example"`, validator.ErrIssuer, 0, "https://B.example"},
		"trailing slash":          {`"iss":"https://b.example/"`, validator.ErrIssuer, 0, "https://b.example/"},
		"trailing dot":            {`"iss":"https://b.example."`, validator.ErrIssuer, 0, "https://b.example."},
		"port":                    {`"iss":"https://b.example:443"`, validator.ErrIssuer, 0, "https://b.example:443"},
		"user information":        {`"iss":"https://a@b.example"`, validator.ErrIssuer, 0, "https://a@b.example"},
		"query":                   {`"iss":"https://b.example?"`, validator.ErrIssuer, 0, "https://b.example?"},
		"fragment":                {`"iss":"https://b.example#"`, validator.ErrIssuer, 0, "https://b.example#"},
		"percent-encoded":         {`"iss":"https://%62.example"`, validator.ErrIssuer, 0, "https://%62.example"},
		"another scheme":          {`"iss":"http://b.example"`, validator.ErrIssuer, 0, "http://b.example"},
		"space before":            {`"iss":" https://b.example"`, validator.ErrIssuer, 0, " https://b.example"},
		"space behind":            {`"iss":"https://b.example "`, validator.ErrIssuer, 0, "https://b.example "},
		"newline behind":          {`"iss":"https://b.example\n"`, validator.ErrIssuer, 0, "https://b.example\n"},
		"NUL behind":              {`"iss":"https://b.example\u0000"`, validator.ErrIssuer, 0, "https://b.example\x00"},
		"zero width space":        {`"iss":"https://b\u200b.example"`, validator.ErrIssuer, 0, "https://b\u200b.example"},
		"byte order mark":         {`"iss":"\ufeffhttps://b.example"`, validator.ErrIssuer, 0, "\ufeffhttps://b.example"},
		"Cyrillic e":              {`"iss":"https://b.еxample"`, validator.ErrIssuer, 0, "https://b.еxample"},
		"full-width b":            {`"iss":"https://ｂ.example"`, validator.ErrIssuer, 0, "https://ｂ.example"},
		"long s in https":         {`"iss":"httpſ://b.example"`, validator.ErrIssuer, 0, "httpſ://b.example"},
		"Kelvin sign":             {`"iss":"\u212a"`, validator.ErrIssuer, 0, "\u212a"},
		"both in one string":      {`"iss":"https://a.example https://b.example"`, validator.ErrIssuer, 0, "https://a.example https://b.example"},
		"twice, A first":          {`"iss":"https://a.example","iss":"https://b.example"`, validator.ErrMalformed, 0, ""},
		"twice, B first":          {`"iss":"https://b.example","iss":"https://a.example"`, validator.ErrMalformed, 0, ""},
		"twice the same":          {`"iss":"https://b.example","iss":"https://b.example"`, validator.ErrMalformed, 0, ""},
		"twice, once escaped":     {`"iss":"https://a.example","\u0069ss":"https://b.example"`, validator.ErrMalformed, 0, ""},
		"A, then in upper case":   {`"iss":"https://a.example","ISS":"https://b.example"`, validator.ErrMalformed, 0, ""},
		"A, then in title case":   {`"iss":"https://a.example","Iss":"https://b.example"`, validator.ErrMalformed, 0, ""},
		"A, then with a long s":   {`"iss":"https://a.example","iſs":"https://b.example"`, validator.ErrMalformed, 0, ""},
		"long s, then A":          {`"iſſ":"https://b.example","iss":"https://a.example"`, validator.ErrMalformed, 0, ""},
		"a Kelvin sign elsewhere": {`"k":1,"\u212a":2,"iss":"https://b.example"`, validator.ErrMalformed, 0, ""},
		"twice inside":            {`"iss":"https://b.example","x":{"iss":1,"Iss":2}`, validator.ErrMalformed, 0, ""},
		"upper case name alone":   {`"ISS":"https://b.example"`, validator.ErrMalformed, 0, ""},
		"a stranger, upper case":  {`"ISS":"https://c.example"`, validator.ErrMalformed, 0, ""},
		"a stranger, title case":  {`"Iss":"https://c.example"`, validator.ErrMalformed, 0, ""},
		"long s in name alone":    {`"iſs":"https://b.example"`, validator.ErrMalformed, 0, ""},
		"space in name":           {`"iss ":"https://b.example"`, validator.ErrMalformed, 0, ""},
		"inside alone":            {`"x":{"iss":"https://b.example"}`, validator.ErrMalformed, 0, ""},
		"an array":                {`"iss":["https://b.example"]`, validator.ErrMalformed, 0, ""},
		"an array of both":        {`"iss":["https://a.example","https://b.example"]`, validator.ErrMalformed, 0, ""},
		"an object":               {`"iss":{"https://b.example":1}`, validator.ErrMalformed, 0, ""},
		"a number":                {`"iss":1`, validator.ErrMalformed, 0, ""},
		"true":                    {`"iss":true`, validator.ErrMalformed, 0, ""},
		"null":                    {`"iss":null`, validator.ErrMalformed, 0, ""},
		"empty":                   {`"iss":""`, validator.ErrMalformed, 0, ""},
		"missing":                 {`"x":1`, validator.ErrMalformed, 0, ""},
		"not UTF-8":               {"\"iss\":\"https://b.example\xff\"", validator.ErrMalformed, 0, ""},
		"half a surrogate":        {`"iss":"https://b.example\ud800"`, validator.ErrMalformed, 0, ""},
		"bytes behind":            {`"iss":"https://a.example"},{"iss":"https://b.example"`, validator.ErrMalformed, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := newParty(t, "a"), newParty(t, "b")
			if b.name != isB {
				t.Fatal("the rows name another issuer")
			}
			var r registry
			s := newIssuers(t, validator.IssuersConfig{
				Validators: []*validator.Validator{a.validator(t, nil), b.validator(t, nil)},
				Resolve:    r.resolve,
				Opaque:     b.validator(t, nil),
			})
			rest := marshal(a.claims(edits{"iss": nil, "aud": []string{a.audience, b.audience}}))
			token := a.key.Sign(t, `{"alg":"EdDSA","kid":"key-1","typ":"at+jwt"}`, "{"+row.iss+","+rest[1:])
			tok, err := s.Validate(t.Context(), token)
			wantRefused(t, tok, err, row.want)
			if strings.Contains(err.Error(), "example") {
				t.Errorf("the error says whom the token names: %v", err)
			}
			a.wantAsked(t, 0, 0)
			b.wantAsked(t, row.asksB, 0)
			if row.resolve == "" {
				r.wantLookups(t)
			} else {
				r.wantLookups(t, row.resolve)
			}
		})
	}
}

func TestIssuers_TheHeaderNamesNoIssuer(t *testing.T) {
	t.Parallel()
	a, b := newParty(t, "a"), newParty(t, "b")
	s := newIssuers(t, validator.IssuersConfig{Validators: []*validator.Validator{a.validator(t, nil), b.validator(t, nil)}})
	inHeader := edits{"iss": b.name}
	a.wantToken(t, s, a.key.Token(t, inHeader, a.claims(nil)))
	b.wantAsked(t, 0, 0)
	wantValidateRefused(t, s, a.key.Token(t, inHeader, a.claims(edits{"iss": nil})), validator.ErrMalformed)
	b.wantAsked(t, 0, 0)
	a.wantAsked(t, 1, 0)
}

func TestIssuers_AnIssuerThatIsNotOnTheListCostsNothing(t *testing.T) {
	t.Parallel()
	a, evil := newParty(t, "a"), newParty(t, "evil")
	s := newIssuers(t, validator.IssuersConfig{Validators: []*validator.Validator{a.validator(t, nil)}, Opaque: a.validator(t, nil)})
	tok, err := s.Validate(t.Context(), evil.token(t, edits{"aud": a.audience}))
	wantRefused(t, tok, err, validator.ErrIssuer)
	if strings.Contains(err.Error(), "evil") {
		t.Errorf("the error says whom the token names: %v", err)
	}
	a.wantAsked(t, 0, 0)
	evil.wantAsked(t, 0, 0)
}

func TestIssuers_OneKeyAtTwoIssuersMakesNoTokenGoodAtBoth(t *testing.T) {
	t.Parallel()
	a, b := newParty(t, "a"), newParty(t, "b")
	b.key = a.key
	s := newIssuers(t, validator.IssuersConfig{Validators: []*validator.Validator{a.validator(t, nil), b.validator(t, nil)}})
	a.wantToken(t, s, a.token(t, nil))
	wantValidateRefused(t, s, a.token(t, edits{"aud": b.audience}), validator.ErrAudience)
	b.wantAsked(t, 0, 0)
}

func TestIssuers_EachHasItsOwnPolicy(t *testing.T) {
	t.Parallel()
	a, b := newParty(t, "a"), newParty(t, "b")
	forbidden := errors.New("not on Sundays")
	s := newIssuers(t, validator.IssuersConfig{Validators: []*validator.Validator{
		a.validator(t, func(c *validator.Config) { c.Types, c.ScopeClaims = []string{"JWT"}, []string{"roles"} }),
		b.validator(t, func(c *validator.Config) {
			c.Check = func(context.Context, *validator.Token) error { return forbidden }
		}),
	}})
	plain := edits{"typ": "JWT"}
	roles := validator.Requirement{Scopes: []string{"admin"}}
	withRoles := edits{"roles": []string{"admin"}, "scope": "orders:read"}
	if _, err := s.Authorize(t.Context(), validator.Credentials{Token: a.key.Token(t, plain, a.claims(withRoles))}, roles); err != nil {
		t.Errorf("A's token under A's policy: %v", err)
	}
	wantValidateRefused(t, s, a.token(t, nil), validator.ErrType)
	wantValidateRefused(t, s, b.key.Token(t, plain, b.claims(nil)), validator.ErrType)
	wantValidateRefused(t, s, b.token(t, nil), validator.ErrForbidden)
	if _, err := s.Authorize(t.Context(), validator.Credentials{Token: b.token(t, withRoles)}, roles); !errors.Is(err, validator.ErrScope) {
		t.Errorf("B's token with A's claim: %v", err)
	}
}

func TestIssuers_TheRequirementReachesTheIssuer(t *testing.T) {
	t.Parallel()
	a := newParty(t, "a")
	s := newIssuers(t, validator.IssuersConfig{Validators: []*validator.Validator{a.validator(t, nil)}})
	c := validator.Credentials{Scheme: "bearer", Token: a.token(t, nil)}
	tok, err := s.Authorize(t.Context(), c, validator.Requirement{Scopes: []string{"orders:write"}})
	wantRefused(t, tok, err, validator.ErrScope)
	if _, err := s.Authorize(t.Context(), c, validator.Requirement{Fresh: true}); err != nil || a.answers.fresh.Load() != 1 {
		t.Errorf("%v, %d fresh looks", err, a.answers.fresh.Load())
	}
}

func TestIssuers_OpaqueTokensGoToTheRuleThenToTheDefault(t *testing.T) {
	t.Parallel()
	ruled, fallback, fixed := newParty(t, "ruled"), newParty(t, "fallback"), newParty(t, "fixed")
	v := ruled.validator(t, nil)
	rule := func(token string) *validator.Validator {
		if strings.HasPrefix(token, "r_") {
			return v
		}
		return nil
	}
	for name, row := range map[string]struct {
		cfg   validator.IssuersConfig
		token string
		to    *party
	}{
		"rule and default, the rule's":  {validator.IssuersConfig{OpaqueRule: rule, Opaque: fallback.validator(t, nil)}, "r_1", ruled},
		"rule and default, the rest":    {validator.IssuersConfig{OpaqueRule: rule, Opaque: fallback.validator(t, nil)}, "x_1", fallback},
		"rule alone, the rule's":        {validator.IssuersConfig{OpaqueRule: rule}, "r_1", ruled},
		"rule alone, the rest":          {validator.IssuersConfig{OpaqueRule: rule}, "x_1", nil},
		"default alone":                 {validator.IssuersConfig{Opaque: fallback.validator(t, nil)}, "r_1", fallback},
		"neither":                       {validator.IssuersConfig{Validators: []*validator.Validator{fixed.validator(t, nil)}}, "r_1", nil},
		"three parts, but not a header": {validator.IssuersConfig{Opaque: fallback.validator(t, nil)}, "abc.def.ghi", fallback},
	} {
		s := newIssuers(t, row.cfg)
		if row.to == nil {
			wantValidateRefused(t, s, row.token, validator.ErrMalformed)
			continue
		}
		before := row.to.answers.calls.Load()
		row.to.wantToken(t, s, row.token)
		if row.to.answers.calls.Load() != before+1 {
			t.Errorf("%s: somebody else was asked", name)
		}
	}
	fixed.wantAsked(t, 0, 0)
}

func TestIssuers_AJWTIsNeverTakenForOpaque(t *testing.T) {
	t.Parallel()
	a, known := newParty(t, "a"), newParty(t, "known")
	good := a.token(t, nil)
	for name, row := range map[string]struct {
		token string
		want  error
	}{
		"of an unknown issuer":             {newParty(t, "evil").token(t, nil), validator.ErrIssuer},
		"of the opaque validator's issuer": {good, validator.ErrIssuer},
		"with a wrong signature":           {good[:len(good)-4] + "AAAA", validator.ErrIssuer},
		"without an issuer":                {a.token(t, edits{"iss": nil}), validator.ErrMalformed},
		"with a payload that is no JSON":   {unsigned("hello"), validator.ErrMalformed},
		"with a payload in bad base64":     {jose.Encode([]byte(`{"alg":"EdDSA"}`)) + ".e30=.AAAA", validator.ErrMalformed},
		"with an empty payload":            {jose.Encode([]byte(`{"alg":"EdDSA"}`)) + "..AAAA", validator.ErrMalformed},
		"with alg none":                    {jose.Encode([]byte(`{"alg":"none"}`)) + "." + jose.Encode([]byte(marshal(a.claims(nil)))) + ".", validator.ErrIssuer},
		"with a header that is no JSON":    {jose.Encode([]byte(`{"alg":`)) + "." + jose.Encode([]byte(marshal(a.claims(nil)))) + ".AAAA", validator.ErrIssuer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newIssuers(t, validator.IssuersConfig{
				Validators: []*validator.Validator{known.validator(t, nil)},
				Opaque:     a.validator(t, nil),
				OpaqueRule: func(string) *validator.Validator {
					t.Error("the rule was asked")
					return nil
				},
			})
			wantValidateRefused(t, s, row.token, row.want)
			a.wantAsked(t, 0, 0)
			known.wantAsked(t, 0, 0)
		})
	}
}

func TestIssuers_CredentialsWithoutATokenReachNobody(t *testing.T) {
	t.Parallel()
	a := newParty(t, "a")
	var r registry
	s := newIssuers(t, validator.IssuersConfig{Validators: []*validator.Validator{a.validator(t, nil)}, Resolve: r.resolve})
	requirement := validator.Requirement{Scopes: []string{"orders:read"}}
	for _, c := range []validator.Credentials{{}, {Scheme: "Bearer"}, {Scheme: "Basic", Token: stranger(0)}, {Scheme: "Basic", Token: "abc"}} {
		tok, err := s.Authorize(t.Context(), c, requirement)
		wantRefused(t, tok, err, validator.ErrNoToken)
		if e, ok := errors.AsType[*validator.Error](err); !ok || len(e.Scopes) != 1 || e.Scopes[0] != "orders:read" {
			t.Errorf("the refusal asks for other scopes: %v", err)
		}
	}
	s = newIssuers(t, validator.IssuersConfig{Resolve: r.resolve, Opaque: a.validator(t, nil)})
	long := strings.Repeat("x", 16<<10+1)
	wantValidateRefused(t, s, long, validator.ErrMalformed)
	wantValidateRefused(t, s, unsigned(`{"iss":"`+long+`"}`), validator.ErrMalformed)
	a.wantAsked(t, 0, 0)
	r.wantLookups(t)
}

func TestNewIssuers_ErrorsNameTheField(t *testing.T) {
	t.Parallel()
	v := newParty(t, "a").validator(t, nil)
	for name, row := range map[string]struct {
		cfg  validator.IssuersConfig
		want string
	}{
		"nothing":                {validator.IssuersConfig{}, "at least one of Validators, Resolve, Opaque and OpaqueRule is required"},
		"an empty list":          {validator.IssuersConfig{Validators: []*validator.Validator{}}, "at least one of"},
		"nil in the list":        {validator.IssuersConfig{Validators: []*validator.Validator{v, nil}}, "IssuersConfig.Validators[1]: not made by New"},
		"a zero Validator":       {validator.IssuersConfig{Validators: []*validator.Validator{new(validator.Validator)}}, "IssuersConfig.Validators[0]: not made by New"},
		"one issuer twice":       {validator.IssuersConfig{Validators: []*validator.Validator{v, newParty(t, "a").validator(t, nil)}}, `IssuersConfig.Validators[1]: a second one for issuer "https://a.example"`},
		"one Validator twice":    {validator.IssuersConfig{Validators: []*validator.Validator{v, v}}, "IssuersConfig.Validators[1]: a second one"},
		"a zero Opaque":          {validator.IssuersConfig{Opaque: new(validator.Validator)}, "IssuersConfig.Opaque: not made by New"},
		"a zero Opaque and more": {validator.IssuersConfig{Validators: []*validator.Validator{v}, Opaque: new(validator.Validator)}, "IssuersConfig.Opaque: not made by New"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := validator.NewIssuers(row.cfg)
			if s != nil || err == nil || !strings.HasPrefix(err.Error(), "validator: IssuersConfig") || !strings.Contains(err.Error(), row.want) {
				t.Errorf("%v, want %q", err, row.want)
			}
		})
	}
}

func TestNewIssuers_KeepsNoneOfTheCallersSlice(t *testing.T) {
	t.Parallel()
	a, b := newParty(t, "a"), newParty(t, "b")
	list := []*validator.Validator{a.validator(t, nil)}
	s := newIssuers(t, validator.IssuersConfig{Validators: list})
	list[0] = b.validator(t, nil)
	a.wantToken(t, s, a.token(t, nil))
	wantValidateRefused(t, s, b.token(t, nil), validator.ErrIssuer)
}

func TestIssuers_WhoeverWasNotMadeIsUnavailable(t *testing.T) {
	t.Parallel()
	var none *validator.Issuers
	unmade := newIssuers(t, validator.IssuersConfig{OpaqueRule: func(string) *validator.Validator { return new(validator.Validator) }})
	for name, s := range map[string]*validator.Issuers{"nil": none, "zero": new(validator.Issuers), "the rule's": unmade} {
		tok, err := s.Validate(t.Context(), "abc")
		wantRefused(t, tok, err, validator.ErrUnavailable)
		if err := s.Close(); err != nil {
			t.Errorf("%s: Close: %v", name, err)
		}
	}
}
