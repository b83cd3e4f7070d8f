package validator_test

import (
	"slices"
	"testing"

	"github.com/countermark/countermark/validator"
)

// RFC 6749 section 3.3: scopes are words between spaces; RFC 8693 section 4.2:
// in the claim scope. Others write scp, and arrays.
func TestRFC6749_3_3_ScopesOfAToken(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		claims edits
		from   []string // Config.ScopeClaims
		want   []string
	}{
		"words":                      {edits{"scope": "a b"}, nil, []string{"a", "b"}},
		"one word":                   {edits{"scope": "a"}, nil, []string{"a"}},
		"none":                       {edits{"scope": nil}, nil, nil},
		"an empty string":            {edits{"scope": ""}, nil, nil},
		"only spaces":                {edits{"scope": "   "}, nil, nil},
		"spaces around and between":  {edits{"scope": "  a   b "}, nil, []string{"a", "b"}},
		"a tab is no separator":      {edits{"scope": "a\tb"}, nil, []string{"a\tb"}},
		"a comma is no separator":    {edits{"scope": "a,b"}, nil, []string{"a,b"}},
		"no-break space":             {edits{"scope": "a\u00a0b"}, nil, []string{"a\u00a0b"}},
		"an array":                   {edits{"scope": []string{"a", "b"}}, nil, []string{"a", "b"}},
		"an empty array":             {edits{"scope": []string{}}, nil, nil},
		"an array's words are whole": {edits{"scope": []string{"a b"}}, nil, []string{"a b"}},
		"scp":                        {edits{"scope": nil, "scp": "a b"}, nil, []string{"a", "b"}},
		"scp as array":               {edits{"scope": nil, "scp": []string{"a", "b"}}, nil, []string{"a", "b"}},
		"scope before scp":           {edits{"scope": "a", "scp": "b"}, nil, []string{"a"}},
		"empty scope before scp":     {edits{"scope": "", "scp": "b"}, nil, nil},
		"scp first, if so written":   {edits{"scope": "a", "scp": "b"}, []string{"scp", "scope"}, []string{"b"}},
		"custom":                     {edits{"scope": "a", "roles": []string{"r"}}, []string{"roles"}, []string{"r"}},
		"custom, not there":          {edits{"scope": "a"}, []string{"roles"}, nil},
		"custom, the second":         {edits{"scope": "a", "permissions": "p"}, []string{"roles", "permissions"}, []string{"p"}},
		"a claim of another case":    {edits{"scope": nil, "Scope": "a"}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newValidator(t, func(c *validator.Config) { c.ScopeClaims = row.from })
			tok := accept(t, v, minted(nil, row.claims))
			if got := tok.Scopes(); !slices.Equal(got, row.want) {
				t.Errorf("Scopes() = %q, want %q", got, row.want)
			}
			for _, s := range row.want {
				if !tok.HasScope(s) {
					t.Errorf("HasScope(%q) is false", s)
				}
			}
			if tok.HasScope("") {
				t.Error(`HasScope("")`)
			}
		})
	}
}

// The first of ScopeClaims counts wherever it stands among the members.
func TestRFC6749_3_3_OrderOfMembersMeansNothing(t *testing.T) {
	t.Parallel()
	v := newValidator(t, nil)
	base := marshal(goodClaims(edits{"scope": nil}))
	for _, members := range []string{`"scope":"a","scp":"b"`, `"scp":"b","scope":"a"`} {
		tok := accept(t, v, sign(key("ES256"), goodHeader(), with(base, members)))
		if got := tok.Scopes(); !slices.Equal(got, []string{"a"}) {
			t.Errorf("%s: Scopes() = %q", members, got)
		}
	}
	for _, members := range []string{`"scope":"a","scp":7`, `"scp":7,"scope":"a"`} {
		tok, err := v.Validate(t.Context(), sign(key("ES256"), goodHeader(), with(base, members)))
		wantRefused(t, tok, err, validator.ErrMalformed)
	}
}

func TestRFC6749_3_3_InsufficientScope(t *testing.T) {
	t.Parallel()
	runRefusals(t, scopeRefusals())
}

func scopeRefusals() []refusal {
	lacks := func(name string, e edits) []refusal {
		all := claim("of all: "+name, e, validator.ErrScope)
		all.require.Scopes = []string{"canary:read", "canary:write"}
		anyOf := claim("of any: "+name, e, validator.ErrScope)
		anyOf.require.AnyScope = []string{"canary:write", "canary:admin"}
		return []refusal{all, anyOf}
	}
	return slices.Concat(
		lacks("without claim", edits{"scope": nil}),
		lacks("empty", edits{"scope": ""}),
		lacks("others", edits{"scope": "canary:read canary:other"}),
		lacks("of another case", edits{"scope": "canary:read Canary:write CANARY:WRITE"}),
		lacks("longer", edits{"scope": "canary:read canary:writer"}),
		lacks("shorter", edits{"scope": "canary:read canary:writ"}),
		lacks("wildcard", edits{"scope": "canary:read canary:* *"}),
		lacks("behind a comma", edits{"scope": "canary:read,canary:write"}),
		lacks("behind a tab", edits{"scope": "canary:read\tcanary:write"}),
		lacks("in one array element", edits{"scope": []string{"canary:read canary:write"}}),
		lacks("look-alike", edits{"scope": "canary:read canary:writ\u0435"}),
		lacks("in a claim that does not count", edits{"scope": "canary:read", "scp": "canary:write"}),
		[]refusal{
			claim("number", edits{"scope": 1}, validator.ErrMalformed),
			claim("null", edits{"scope": null}, validator.ErrMalformed),
			claim("object", edits{"scope": edits{"canary:read": true}}, validator.ErrMalformed),
			claim("array with a number", edits{"scope": []any{"canary:read", 1}}, validator.ErrMalformed),
			claim("array of arrays", edits{"scope": [][]string{{"canary:read"}}}, validator.ErrMalformed),
			claim("scp number", edits{"scope": nil, "scp": 1}, validator.ErrMalformed),
		},
	)
}

func TestRequirement_AllAndAny(t *testing.T) {
	t.Parallel()
	v := newValidator(t, nil)
	token := minted(nil, edits{"scope": "a b"})
	for name, row := range map[string]struct {
		require validator.Requirement
		want    []string // to ask for; nil if the token does
	}{
		"nothing":          {validator.Requirement{}, nil},
		"one":              {validator.Requirement{Scopes: []string{"a"}}, nil},
		"both":             {validator.Requirement{Scopes: []string{"b", "a"}}, nil},
		"any, the first":   {validator.Requirement{AnyScope: []string{"a", "x"}}, nil},
		"any, the last":    {validator.Requirement{AnyScope: []string{"x", "b"}}, nil},
		"all and any":      {validator.Requirement{Scopes: []string{"a"}, AnyScope: []string{"x", "b"}}, nil},
		"one too many":     {validator.Requirement{Scopes: []string{"a", "x"}}, []string{"a", "x"}},
		"none of any":      {validator.Requirement{AnyScope: []string{"x", "y"}}, []string{"x"}},
		"all but none of":  {validator.Requirement{Scopes: []string{"a"}, AnyScope: []string{"x", "y"}}, []string{"a", "x"}},
		"any but not all":  {validator.Requirement{Scopes: []string{"x"}, AnyScope: []string{"a"}}, []string{"x", "a"}},
		"any is among all": {validator.Requirement{Scopes: []string{"x", "y"}, AnyScope: []string{"z", "y"}}, []string{"x", "y"}},
		"the empty scope":  {validator.Requirement{Scopes: []string{""}}, []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tok, err := v.Authorize(t.Context(), validator.Credentials{Token: token}, row.require)
			if row.want == nil {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			e := wantRefused(t, tok, err, validator.ErrScope)
			if !slices.Equal(e.Scopes, row.want) {
				t.Errorf("Scopes = %q, want %q", e.Scopes, row.want)
			}
			e.Scopes[0] = "changed"
			if slices.Contains(row.require.Scopes, "changed") || slices.Contains(row.require.AnyScope, "changed") {
				t.Error("the Error shares the Requirement's slice")
			}
		})
	}
}

// Without a token, the refusal says what the right one would have.
func TestAuthorize_WithoutTokenSaysTheScopes(t *testing.T) {
	t.Parallel()
	v := newValidator(t, nil)
	for name, c := range map[string]validator.Credentials{
		"nothing":        {},
		"scheme alone":   {Scheme: "Bearer"},
		"another scheme": {Scheme: "Basic", Token: minted(nil, nil)},
		"a longer one":   {Scheme: "Bearers", Token: minted(nil, nil)},
	} {
		tok, err := v.Authorize(t.Context(), c, validator.Requirement{Scopes: []string{"a"}, AnyScope: []string{"b", "c"}})
		if e := wantRefused(t, tok, err, validator.ErrNoToken); !slices.Equal(e.Scopes, []string{"a", "b"}) {
			t.Errorf("%s: Scopes = %q", name, e.Scopes)
		}
	}
	for _, scheme := range []string{"", "Bearer", "bearer", "BEARER"} {
		if _, err := v.Authorize(t.Context(), validator.Credentials{Scheme: scheme, Token: minted(nil, nil)}, validator.Requirement{}); err != nil {
			t.Errorf("scheme %q: %v", scheme, err)
		}
	}
}
