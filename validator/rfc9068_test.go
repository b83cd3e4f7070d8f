package validator_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/validator"
)

func TestRFC9068_2_1_TypeIsATJWTInAnyCase(t *testing.T) {
	t.Parallel()
	v := newValidator(t, nil)
	for _, typ := range []string{"at+jwt", "AT+JWT", "At+Jwt", "application/at+jwt", "Application/AT+JWT"} {
		t.Run(typ, func(t *testing.T) {
			t.Parallel()
			accept(t, v, minted(edits{"typ": typ}, nil))
		})
	}
}

func TestRFC9068_2_1_OtherTypesAreRefused(t *testing.T) {
	t.Parallel()
	runRefusals(t, typeRefusals())
}

func typeRefusals() []refusal {
	rows := []refusal{
		header("absent", edits{"typ": nil}, validator.ErrType),
		header("number", edits{"typ": 1}, validator.ErrMalformed),
		header("array", edits{"typ": []string{"at+jwt"}}, validator.ErrMalformed),
		header("null", edits{"typ": null}, validator.ErrMalformed),
		header("of another case as a name", edits{"typ": nil, "TYP": "at+jwt"}, validator.ErrType),
	}
	for _, typ := range []string{
		"JWT", "jwt", "logout+jwt", "dpop+jwt", "secevent+jwt", "token-introspection+jwt", "oauth-authz-req+jwt", "canary+jwt",
		"", " at+jwt", "at+jwt ", "at+jwt;v=1", "at jwt", "at", "+jwt", "at+jwt,JWT", "application/", "application/jwt",
		"text/at+jwt", "application/x/at+jwt", "application/application/at+jwt", "applicatıon/at+jwt", "at+jwt\x00",
	} {
		rows = append(rows, header("typ "+typ, edits{"typ": typ}, validator.ErrType))
	}
	return rows
}

func TestRFC9068_4_EveryRequiredClaim(t *testing.T) {
	t.Parallel()
	runRefusals(t, requiredClaimRefusals())
}

func requiredClaimRefusals() []refusal {
	rows := []refusal{
		// There, but worth nothing to this API.
		claim("iss empty", edits{"iss": ""}, validator.ErrIssuer),
		claim("aud empty", edits{"aud": ""}, validator.ErrAudience),
		claim("aud empty array", edits{"aud": []string{}}, validator.ErrAudience),
	}
	for _, name := range []string{"iss", "aud", "exp", "sub", "client_id", "iat", "jti"} {
		rows = append(rows,
			claim(name+" removed", edits{name: nil}, validator.ErrMalformed),
			claim(name+" null", edits{name: null}, validator.ErrMalformed),
			claim(name+" boolean", edits{name: true}, validator.ErrMalformed),
			claim(name+" object", edits{name: edits{"canary": "canary"}}, validator.ErrMalformed),
			claim(name+" array of arrays", edits{name: [][]string{{issuer, audience}}}, validator.ErrMalformed),
			claim(name+" of another case as a name", edits{name: nil, strings.ToUpper(name): goodClaims(nil)[name]}, validator.ErrMalformed),
		)
		switch name {
		case "exp", "iat":
			rows = append(rows, claim(name+" string", edits{name: "1774008300"}, validator.ErrMalformed),
				claim(name+" array", edits{name: []int64{noon.Unix()}}, validator.ErrMalformed))
		case "sub", "client_id", "jti":
			rows = append(rows, claim(name+" empty", edits{name: ""}, validator.ErrMalformed))
			fallthrough
		case "iss":
			rows = append(rows, claim(name+" array", edits{name: []string{issuer}}, validator.ErrMalformed))
			fallthrough
		default:
			rows = append(rows, claim(name+" number", edits{name: 31415926}, validator.ErrMalformed))
		}
	}
	return rows
}

func TestRFC9068_2_2_IsRequiredOfItsOwnTypeOnly(t *testing.T) {
	t.Parallel()
	v := newValidator(t, func(c *validator.Config) { c.Types = []string{"JWT", "at+jwt"} })
	bare := edits{"sub": nil, "client_id": nil, "iat": nil, "jti": nil}
	accept(t, v, minted(edits{"typ": "JWT"}, bare))
	for _, name := range []string{"iss", "aud", "exp"} { // of any type
		tok, err := v.Validate(t.Context(), minted(edits{"typ": "JWT"}, edits{name: nil}))
		wantRefused(t, tok, err, validator.ErrMalformed)
	}
	tok, err := v.Validate(t.Context(), minted(nil, bare))
	wantRefused(t, tok, err, validator.ErrMalformed)
}

func TestRFC9068_4_Audience(t *testing.T) {
	t.Parallel()
	v := newValidator(t, func(c *validator.Config) { c.Audiences = []string{"canary-first", audience} })
	for name, aud := range map[string]any{
		"string":           audience,
		"the first name":   "canary-first",
		"array of one":     []string{audience},
		"first of several": []string{audience, "canary"},
		"last of several":  []string{"canary", "", audience},
		"twice":            []string{audience, audience},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tok := accept(t, v, minted(nil, edits{"aud": aud}))
			want, ok := aud.([]string)
			if !ok {
				want = []string{aud.(string)}
			}
			if got := tok.Audiences(); !slices.Equal(got, want) {
				t.Errorf("Audiences() = %q, want %q", got, want)
			}
		})
	}
	runRefusals(t, audienceRefusals())
}

func audienceRefusals() []refusal {
	rows := []refusal{
		claim("others", edits{"aud": []string{"canary-a", "canary-b"}}, validator.ErrAudience),
		claim("array of nothing", edits{"aud": []string{""}}, validator.ErrAudience),
		claim("both in one string", edits{"aud": audience + " canary"}, validator.ErrAudience),
		claim("an array in a string", edits{"aud": `["` + audience + `"]`}, validator.ErrAudience),
		claim("mixed with a number", edits{"aud": []any{audience, 1}}, validator.ErrMalformed),
		claim("mixed with null", edits{"aud": []any{audience, nil}}, validator.ErrMalformed),
		claim("mixed with an array", edits{"aud": []any{audience, []string{audience}}}, validator.ErrMalformed),
		claim("mixed, the wrong one first", edits{"aud": []any{false, audience}}, validator.ErrMalformed),
		claim("object of that name", edits{"aud": edits{audience: true}}, validator.ErrMalformed),
	}
	for what, other := range tokentest.LookAlikes(audience) {
		rows = append(rows, claim(what, edits{"aud": other}, validator.ErrAudience))
	}
	return rows
}

func TestRFC9068_4_IssuerIsComparedByteForByte(t *testing.T) {
	t.Parallel()
	accept(t, newValidator(t, nil), minted(nil, edits{"iss": issuer}))
	runRefusals(t, issuerRefusals())
	source := &asked{keys: issuerKeys()}
	v := newValidator(t, func(c *validator.Config) { c.Keys = source })
	for what, other := range tokentest.LookAlikes(issuer) {
		tok, err := v.Validate(t.Context(), minted(nil, edits{"iss": other}))
		wantRefused(t, tok, err, validator.ErrIssuer)
		if source.forKeys.Swap(0) != 0 {
			t.Errorf("%s: keys were asked for", what)
		}
	}
}

func issuerRefusals() []refusal {
	var rows []refusal
	for what, other := range tokentest.LookAlikes(issuer) {
		rows = append(rows, claim(what, edits{"iss": other}, validator.ErrIssuer))
	}
	return rows
}

func TestRFC9068_4_OrderOfJudgement(t *testing.T) {
	t.Parallel()
	expired := edits{"exp": noon.Unix() - 3600}
	stranger := edits{"iss": "https://canary.example"}
	with := func(a, b edits) edits { return edited(edited(edits{}, a), b) }
	forged := func(header, claims edits) string { // with a signature of the right form
		good := parts(minted(nil, nil))
		return join(append(parts(minted(header, claims))[:2], good[2])...)
	}
	for _, row := range []struct {
		name, token string
		want        error
		lookups     int32 // how often the keys are asked for
	}{
		{"a good token asks for keys once", minted(nil, nil), nil, 1},
		{"forged and expired is forged", forged(nil, expired), validator.ErrSignature, 1},
		{"forged and not yet valid is forged", forged(nil, edits{"nbf": noon.Unix() + 3600}), validator.ErrSignature, 1},
		{"forged and for another audience is forged", forged(nil, edits{"aud": "canary"}), validator.ErrSignature, 1},
		{"forged and bound is forged", forged(nil, edits{"cnf": edits{"jkt": "canary"}}), validator.ErrSignature, 1},
		{"of an unknown key and expired is of an unknown key", minted(edits{"kid": "canary-other"}, expired), validator.ErrKey, 1},
		{"a stranger's costs no lookup", minted(nil, stranger), validator.ErrIssuer, 0},
		{"a stranger's of an unknown key costs no lookup", minted(edits{"kid": "canary-other"}, stranger), validator.ErrIssuer, 0},
		{"a stranger's with alg none costs no lookup", minted(edits{"alg": "none"}, stranger), validator.ErrIssuer, 0},
		{"a stranger's that is forged costs no lookup", forged(nil, stranger), validator.ErrIssuer, 0},
		{"a stranger's ID token is an ID token", minted(edits{"typ": "JWT"}, stranger), validator.ErrType, 0},
		{"another type costs no lookup", minted(edits{"typ": "JWT"}, nil), validator.ErrType, 0},
		{"another algorithm costs no lookup", minted(edits{"alg": "HS256"}, nil), validator.ErrAlgorithm, 0},
		{"crit costs no lookup", minted(edits{"crit": []string{"canary"}}, nil), validator.ErrMalformed, 0},
		{"without exp costs no lookup", minted(nil, edits{"exp": nil}), validator.ErrMalformed, 0},
		{"a garbled signature costs no lookup", minted(nil, nil) + "=", validator.ErrMalformed, 0},
		{"for another audience and expired is for another", minted(nil, with(expired, edits{"aud": "canary"})), validator.ErrAudience, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			source := &asked{keys: issuerKeys()}
			v := newValidator(t, func(c *validator.Config) { c.Keys = source })
			tok, err := v.Validate(t.Context(), row.token)
			if row.want != nil {
				wantRefused(t, tok, err, row.want)
			} else if err != nil {
				t.Errorf("refused: %v", err)
			}
			if got := source.forKeys.Load(); got != row.lookups {
				t.Errorf("keys were asked for %d times, want %d", got, row.lookups)
			}
		})
	}
}

func TestRFC9068_2_2_TokenSaysWhatTheClaimsSay(t *testing.T) {
	t.Parallel()
	tok := accept(t, newValidator(t, nil), minted(nil, nil))
	for name, got := range map[string]string{
		issuer:                     tok.Issuer(),
		"canary-subject":           tok.Subject(),
		"canary-client":            tok.ClientID(),
		"canary-jti":               tok.ID(),
		"canary-acr":               tok.ACR(),
		audience:                   strings.Join(tok.Audiences(), " "),
		"canary:read canary:write": strings.Join(tok.Scopes(), " "),
	} {
		if got != name {
			t.Errorf("got %q, want %q", got, name)
		}
	}
	if !tok.IssuedAt().Equal(noon) || !tok.Expiry().Equal(noon.Add(5*60e9)) || !tok.AuthTime().Equal(noon.Add(-60e9)) {
		t.Errorf("issued at %v, expires %v, signed in %v", tok.IssuedAt(), tok.Expiry(), tok.AuthTime())
	}
}
