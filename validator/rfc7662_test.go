package validator_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/validator"
)

func TestRFC7662_RoutingByWhatTheValidatorHas(t *testing.T) {
	t.Parallel()
	jwt := minted(nil, nil)
	for _, row := range []struct {
		name, token         string
		keys, introspection bool
		want                error
		forKeys, forAnswers int32
	}{
		{"keys alone verify a JWT", jwt, true, false, nil, 1, 0},
		{"keys alone refuse an opaque token", opaque, true, false, validator.ErrMalformed, 0, 0},
		{"introspection alone judges a JWT", jwt, false, true, nil, 0, 1},
		{"introspection alone judges an opaque token", opaque, false, true, nil, 0, 1},
		{"with both, a JWT is verified", jwt, true, true, nil, 1, 0},
		{"with both, an opaque token is introspected", opaque, true, true, nil, 0, 1},
		{"with both, a token of two parts is introspected", "canary.token", true, true, nil, 0, 1},
		{"with both, a token of three parts that is no JWT is introspected", "canary.opaque.token", true, true, nil, 0, 1},
		{"with both, a token of many parts is introspected", "v4.public.canary.token", true, true, nil, 0, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			source := &asked{keys: issuerKeys(), answer: goodAnswer(nil)}
			v := newValidator(t, func(c *validator.Config) {
				c.Keys = nil
				if row.keys {
					c.Keys = source
				}
				if row.introspection {
					c.Introspector = source
				}
			})
			tok, err := v.Validate(t.Context(), row.token)
			if row.want != nil {
				wantRefused(t, tok, err, row.want)
			} else if err != nil {
				t.Errorf("refused: %v", err)
			}
			if source.forKeys.Load() != row.forKeys || source.forAnswers.Load() != row.forAnswers || source.forFresh.Load() != 0 {
				t.Errorf("asked for %d keys and %d answers, %d of them fresh; want %d, %d and none",
					source.forKeys.Load(), source.forAnswers.Load(), source.forFresh.Load(), row.forKeys, row.forAnswers)
			}
		})
	}
}

// What looks like a JWT is never judged by its issuer alone, even if the issuer
// would vouch for it: it has to pass the policy for JWTs.
func TestRFC7662_WhatLooksLikeAJWTIsNotIntrospected(t *testing.T) {
	t.Parallel()
	p := parts(minted(nil, nil))
	idToken := minted(edits{"typ": "JWT"}, nil)
	encoded := func(header string) string { return jose.Encode([]byte(header)) }
	for name, token := range map[string]string{
		"an ID token":                     idToken,
		"an ID token with a dot after":    idToken + ".",
		"an ID token with two dots after": idToken + "..",
		"an ID token with a part more":    idToken + ".canary",
		"an ID token after a space":       " " + idToken,
		"an ID token after a line feed":   "\r\n" + idToken,
		"five parts, as a JWE":            join(p[0], "", p[1], p[1], p[2]),
		"an unsecured one":                minted(edits{"alg": "none"}, nil),
		"an expired one":                  minted(nil, edits{"exp": 0}),
		"an unknown crit":                 minted(edits{"crit": []string{"canary"}}, nil),
		"a forged one":                    join(p[0], p[1], p[2][1:]+"A"),
		"a padded header":                 join(p[0]+"=", p[1], p[2]),
		"a header with a space":           join(p[0]+" ", p[1], p[2]),
		"a header with a line feed":       join(p[0][:9]+"\n"+p[0][9:], p[1], p[2]),
		"a header cut short":              join(p[0][:9], p[1], p[2]),
		"a header with bytes after":       join(encoded(goodHeader()+"x"), p[1], p[2]),
		"a header that is empty":          join(encoded("{}"), p[1], p[2]),
		"a header that begins on a line":  join(encoded("{\n"+goodHeader()[1:]), p[1], p[2]),
		"a header that begins with a tab": join(encoded("{\t"+goodHeader()[1:]), p[1], p[2]),
		"a header that begins with space": join(encoded("{ "+goodHeader()[1:]), p[1], p[2]),
		"a payload that is empty":         join(p[0], "", p[2]),
		"a payload that is no base64url":  join(p[0], p[1]+"!", p[2]),
		"a signature that is empty":       join(p[0], p[1], ""),
		"a signature that is padded":      join(p[0], p[1], p[2]+"=="),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := &asked{answer: goodAnswer(nil)}
			v := newValidator(t, func(c *validator.Config) { c.Introspector = source })
			if tok, err := v.Validate(t.Context(), token); err == nil || tok != nil {
				// "begins with" rows are the issuer's own choice of layout, but unsigned.
				t.Errorf("accepted")
			}
			if n := source.forAnswers.Load(); n != 0 {
				t.Errorf("introspected %d times", n)
			}
		})
	}
}

func TestRFC7662_2_2_AnswersThatRefuse(t *testing.T) {
	t.Parallel()
	runRefusals(t, answerRefusals())
}

func mayLackAll(c *validator.Config) { c.AnswerMayLack = []string{"iss", "aud", "exp"} }

func answerRefusals() []refusal {
	var rows []refusal
	says := func(name, answer string, want error) {
		rows = append(rows, refusal{name: name, opaque: true, answer: answer, want: want})
	}
	edit := func(name string, e edits, want error) {
		says(name, goodAnswer(e), want)
		for member := range e {
			if _, wrong := e[member]; wrong && e[member] != nil { // what is there is enforced even if it may be missing
				rows = append(rows, refusal{name: name + ", all may lack", opaque: true, answer: goodAnswer(e), policy: mayLackAll, want: want})
			}
		}
	}
	edit("inactive", edits{"active": false}, validator.ErrInactive)
	says("inactive and nothing else", `{"active":false}`, validator.ErrInactive)
	edit("active is absent", edits{"active": nil}, validator.ErrUnavailable)
	edit("active of another case", edits{"active": nil, "Active": true}, validator.ErrUnavailable)
	for _, active := range []string{`"true"`, `"false"`, `1`, `0`, `null`, `[true]`, `{}`, `""`} {
		edit("active "+active, edits{"active": json.RawMessage(active)}, validator.ErrUnavailable)
	}
	for _, name := range []string{"iss", "aud", "exp"} {
		edit(name+" is absent", edits{name: nil}, validator.ErrMalformed)
		edit(name+" is null", edits{name: null}, validator.ErrUnavailable)
		edit(name+" is an object", edits{name: edits{"canary": 1}}, validator.ErrUnavailable)
	}
	for what, other := range tokentest.LookAlikes(issuer) {
		edit("iss: "+what, edits{"iss": other}, validator.ErrIssuer)
	}
	edit("iss is empty", edits{"iss": ""}, validator.ErrIssuer)
	edit("aud is another", edits{"aud": "https://canary.example"}, validator.ErrAudience)
	edit("aud is empty", edits{"aud": ""}, validator.ErrAudience)
	edit("aud is an empty array", edits{"aud": []string{}}, validator.ErrAudience)
	edit("aud is an array of nothing", edits{"aud": []string{""}}, validator.ErrAudience)
	edit("aud is mixed", edits{"aud": []any{audience, 1}}, validator.ErrUnavailable)
	edit("exp is over", edits{"exp": noon.Unix() - 30}, validator.ErrExpired)
	edit("exp is zero", edits{"exp": 0}, validator.ErrExpired)
	edit("exp is a string", edits{"exp": "4102444800"}, validator.ErrUnavailable)
	edit("nbf is to come", edits{"nbf": noon.Unix() + 31}, validator.ErrNotYetValid)
	edit("bound by cnf", edits{"cnf": edits{"jkt": "canary"}}, validator.ErrBinding)
	edit("cnf is null", edits{"cnf": null}, validator.ErrBinding)
	for _, use := range []any{"refresh_token", "N_A", "", "access_token", 7, []string{"Bearer"}} {
		edit(fmt.Sprintf("token_type %v", use), edits{"token_type": use}, validator.ErrType)
	}
	edit("token_type DPoP, and no key", edits{"token_type": "dpop"}, validator.ErrBinding)
	for _, use := range []any{"refresh_token", "ID_token", "", true} {
		edit(fmt.Sprintf("token_use %v", use), edits{"token_use": use}, validator.ErrType)
	}
	for _, typ := range []string{"ID", "Refresh", "Offline", "logout"} {
		edit("typ "+typ, edits{"typ": typ}, validator.ErrType)
	}
	edit("nbf is null", edits{"nbf": null}, validator.ErrUnavailable)
	edit("scope is a number", edits{"scope": 31415926}, validator.ErrUnavailable)

	good := goodAnswer(nil)
	for name, answer := range map[string]string{
		"nothing":                 "",
		"space":                   " ",
		"text":                    "canary",
		"HTML":                    "<html><title>canary</title></html>",
		"null":                    "null",
		"true":                    "true",
		"array":                   "[" + good + "]",
		"string":                  marshal(good),
		"cut short":               good[:len(good)-1],
		"twice":                   good + good,
		"bytes after":             good + "x",
		"NUL after":               good + "\x00",
		"byte order mark":         "\ufeff" + good,
		"invalid UTF-8":           with(good, "\"x\":\"canary\xff\""),
		"active twice":            with(good, `"active":false`),
		"active twice, by case":   with(good, `"ACTIVE":false`),
		"active twice, escaped":   with(good, `"\u0061ctive":true`),
		"iss twice, by long s":    with(good, "\"i\u017fs\":\"canary\""),
		"nested duplicates":       with(good, `"x":{"canary":1,"canary":1}`),
		"too deep":                with(good, `"x":`+strings.Repeat("[", 40)+strings.Repeat("]", 40)),
		"a signed JWT, not asked": "eyJhbGciOiJFUzI1NiJ9.e30.canary",
	} {
		says("not an object: "+name, answer, validator.ErrUnavailable)
		rows[len(rows)-1].change = func(c *validator.Config) { c.Introspector = answers(answer) } // "" included
	}
	for i := range rows {
		if rows[i].answer == "" {
			rows[i].answer = "{}" // so that the control has an Introspector
		}
	}
	return rows
}

// With AnswerMayLack, what is absent counts as right, and nothing else does.
func TestRFC7662_2_2_AnswerMayLack(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"iss", "aud", "exp"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, other := range []string{"iss", "aud", "exp"} {
				v := newValidator(t, func(c *validator.Config) {
					c.Introspector, c.AnswerMayLack = answers(goodAnswer(edits{other: nil})), []string{name}
				})
				tok, err := v.Validate(t.Context(), opaque)
				if other != name {
					wantRefused(t, tok, err, validator.ErrMalformed)
				} else if err != nil {
					t.Errorf("refused: %v", err)
				}
			}
			v := newValidator(t, func(c *validator.Config) { c.AnswerMayLack = []string{name} }) // a JWT may not
			tok, err := v.Validate(t.Context(), minted(nil, edits{name: nil}))
			wantRefused(t, tok, err, validator.ErrMalformed)
		})
	}
	v := newValidator(t, func(c *validator.Config) {
		mayLackAll(c)
		c.Keys, c.Introspector = nil, answers(`{"active":true}`)
	})
	tok := accept(t, v, opaque)
	if tok.Issuer() != issuer || tok.Audiences() != nil || !tok.Expiry().IsZero() || tok.Subject() != "" || tok.Scopes() != nil {
		t.Errorf("issuer %q, audiences %q, expiry %v, subject %q, scopes %q",
			tok.Issuer(), tok.Audiences(), tok.Expiry(), tok.Subject(), tok.Scopes())
	}
}

func TestRFC7662_2_2_TokenHasWhatTheAnswerSays(t *testing.T) {
	t.Parallel()
	v := newValidator(t, func(c *validator.Config) { c.Introspector = answers(goodAnswer(edits{"username": "canary-name"})) })
	tok := accept(t, v, opaque)
	if tok.Issuer() != issuer || tok.Subject() != "canary-subject" || tok.ClientID() != "canary-client" || !tok.HasScope("canary:write") {
		t.Errorf("issuer %q, subject %q, client %q, scopes %q", tok.Issuer(), tok.Subject(), tok.ClientID(), tok.Scopes())
	}
	claims, err := validator.Claims[map[string]any](tok)
	if err != nil || claims["username"] != "canary-name" || claims["active"] != true {
		t.Errorf("Claims: %v, %v", claims, err)
	}
}

// What describes a token and is null is not there; an access token may be called
// so in several ways.
func TestRFC7662_2_2_AnswersOfManyIssuers(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]edits{
		"null":                   {"sub": null, "client_id": null, "scope": null, "username": null, "jti": null, "iat": null, "auth_time": null, "acr": null, "token_type": null},
		"token_type":             {"token_type": "Bearer"},
		"token_type, lower case": {"token_type": "bearer"},
		"token_use":              {"token_use": "access_token", "token_type": "Bearer"},
		"typ":                    {"typ": "Bearer"},
		"typ of its own":         {"typ": "shop"},
		"typ, no text":           {"typ": 7},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tok := accept(t, newValidator(t, func(c *validator.Config) { c.Introspector = answers(goodAnswer(e)) }), opaque)
			if name == "null" && (tok.Subject() != "" || len(tok.Scopes()) > 0 || !tok.IssuedAt().IsZero()) {
				t.Errorf("subject %q, scopes %q, issued %v", tok.Subject(), tok.Scopes(), tok.IssuedAt())
			}
		})
	}
}

// A JWT that the issuer is asked about may have no type, or JWT, but none that says
// that it is for something else (RFC 8725 section 3.11).
func TestRFC7662_AJWTOfAnotherTypeIsNotIntrospected(t *testing.T) {
	t.Parallel()
	for typ, ok := range map[any]bool{
		nil: true, "JWT": true, "at+jwt": true, "application/at+jwt": true,
		"logout+jwt": false, "dpop+jwt": false, "canary+jwt": false,
	} {
		t.Run(fmt.Sprint(typ), func(t *testing.T) {
			t.Parallel()
			source := &asked{answer: goodAnswer(nil)}
			v := newValidator(t, func(c *validator.Config) { c.Keys, c.Introspector = nil, source })
			tok, err := v.Validate(t.Context(), minted(edits{"typ": typ}, nil))
			if ok && err != nil {
				t.Error(err)
			}
			if !ok {
				wantRefused(t, tok, err, validator.ErrType)
				if n := source.forAnswers.Load(); n != 0 {
					t.Errorf("the issuer was asked %d times", n)
				}
			}
		})
	}
}

// The Introspector keeps its answer: a Token does not change with it.
func TestRFC7662_TokenDoesNotAliasTheAnswer(t *testing.T) {
	t.Parallel()
	answer := []byte(goodAnswer(nil))
	v := newValidator(t, func(c *validator.Config) { c.Introspector = reusing(answer) })
	tok := accept(t, v, opaque)
	clear(answer)
	if tok.Subject() != "canary-subject" || !tok.HasScope("canary:read") {
		t.Errorf("subject %q, scopes %q", tok.Subject(), tok.Scopes())
	}
	if _, err := validator.Claims[map[string]any](tok); err != nil {
		t.Errorf("Claims: %v", err)
	}
}

// reusing is an Introspector with one buffer for all answers.
type reusing []byte

func (b reusing) Introspect(context.Context, string, bool) ([]byte, error) { return b, nil }

// later is an error that tells when to come back.
type later time.Duration

func (l later) Error() string             { return "come back later" }
func (l later) RetryAfter() time.Duration { return time.Duration(l) }

func TestRFC7662_2_3_NoAnswerIsUnavailable(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		err  error
		want time.Duration
	}{
		"plain":                {errors.New("down"), 0},
		"with RetryAfter":      {later(7 * time.Second), 7 * time.Second},
		"wrapped":              {fmt.Errorf("wrapped: %w", later(time.Minute)), time.Minute},
		"joined":               {errors.Join(errors.New("down"), later(time.Minute)), time.Minute},
		"negative":             {later(-time.Second), 0},
		"its own time-out":     {context.DeadlineExceeded, 0},
		"its own cancellation": {context.Canceled, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newValidator(t, func(c *validator.Config) { c.Keys, c.Introspector = nil, failing{row.err} })
			tok, err := v.Validate(t.Context(), opaque)
			if e := wantRefused(t, tok, err, validator.ErrUnavailable); e.RetryAfter != row.want {
				t.Errorf("RetryAfter = %v, want %v", e.RetryAfter, row.want)
			}
			if !showsCause(err, row.err) {
				t.Errorf("the cause: %v", err)
			}
		})
	}
}

func TestFresh_Refusals(t *testing.T) {
	t.Parallel()
	runRefusals(t, freshRefusals())
}

// freshRefusals are of JWTs that are good by themselves.
func freshRefusals() []refusal {
	var rows []refusal
	says := func(name, answer string, want error) {
		rows = append(rows, refusal{name: "fresh: " + name, answer: answer, require: validator.Requirement{Fresh: true}, want: want})
	}
	says("revoked", `{"active":false}`, validator.ErrRevoked)
	says("revoked, and all said of it", goodAnswer(edits{"active": false}), validator.ErrRevoked)
	says("another issuer's", goodAnswer(edits{"iss": "https://canary.example"}), validator.ErrIssuer)
	says("nobody's", goodAnswer(edits{"iss": ""}), validator.ErrIssuer)
	says("for another audience", goodAnswer(edits{"aud": "https://canary.example"}), validator.ErrAudience)
	says("for no audience", goodAnswer(edits{"aud": []string{}}), validator.ErrAudience)
	says("expired", goodAnswer(edits{"exp": noon.Unix() - 30}), validator.ErrExpired)
	says("not yet valid", goodAnswer(edits{"nbf": noon.Unix() + 31}), validator.ErrNotYetValid)
	says("bound", goodAnswer(edits{"cnf": edits{"jkt": "canary"}}), validator.ErrBinding)
	says("active as text", goodAnswer(edits{"active": "true"}), validator.ErrUnavailable)
	says("without active", goodAnswer(edits{"active": nil}), validator.ErrUnavailable)
	says("no object", "canary", validator.ErrUnavailable)

	all := refusal{name: "fresh: narrowed below all", answer: goodAnswer(edits{"scope": "canary:write"}), want: validator.ErrScope}
	all.require = validator.Requirement{Fresh: true, Scopes: []string{"canary:read"}}
	anyOf := refusal{name: "fresh: narrowed below any", answer: goodAnswer(edits{"scope": ""}), want: validator.ErrScope}
	anyOf.require = validator.Requirement{Fresh: true, AnyScope: []string{"canary:read", "canary:write"}}
	widened := claim("fresh: widened", edits{"scope": "canary:write"}, validator.ErrScope)
	widened.answer, widened.require = goodAnswer(nil), all.require
	return append(rows, all, anyOf, widened)
}

// What the issuer takes away is gone from the Token, too: handlers ask it.
func TestFresh_TheTokenKeepsTheScopesThatBothGrant(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		scope any // of the answer
		want  []string
	}{
		"the same":    {"canary:read canary:write", []string{"canary:read", "canary:write"}},
		"fewer":       {"canary:read", []string{"canary:read"}},
		"others":      {"canary:admin", nil},
		"more":        {"canary:admin canary:write canary:read", []string{"canary:read", "canary:write"}},
		"none":        {"", nil},
		"not said":    {nil, []string{"canary:read", "canary:write"}},
		"as an array": {[]string{"canary:write"}, []string{"canary:write"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var checked []string
			v := newValidator(t, func(c *validator.Config) {
				c.Introspector = answers(goodAnswer(edits{"scope": row.scope}))
				c.Check = func(_ context.Context, tok *validator.Token) error { checked = tok.Scopes(); return nil }
			})
			tok, err := v.Authorize(t.Context(), validator.Credentials{Token: minted(nil, nil)}, validator.Requirement{Fresh: true})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(tok.Scopes(), row.want) || !slices.Equal(checked, row.want) {
				t.Errorf("the Token has %q, Check saw %q, want %q", tok.Scopes(), checked, row.want)
			}
		})
	}
}

func TestFresh_TheTokenExpiresAtTheEarlierTime(t *testing.T) {
	t.Parallel()
	own := accept(t, newValidator(t, nil), minted(nil, nil)).Expiry()
	for name, row := range map[string]struct {
		answer any
		want   time.Time
	}{
		"the answer's is earlier": {noon.Unix() + 5, noon.Add(5 * time.Second)},
		"the answer's is later":   {own.Unix() + 5, own},
		"not said":                {nil, own},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newValidator(t, func(c *validator.Config) { c.Introspector = answers(goodAnswer(edits{"exp": row.answer})) })
			tok, err := v.Authorize(t.Context(), validator.Credentials{Token: minted(nil, nil)}, validator.Requirement{Fresh: true})
			if err != nil || !tok.Expiry().Equal(row.want) {
				t.Errorf("%v, %v; want %v", tok.Expiry(), err, row.want)
			}
		})
	}
}

func TestFresh_OrderAndCalls(t *testing.T) {
	t.Parallel()
	p := parts(minted(nil, nil))
	for _, row := range []struct {
		name, token, answer                string
		fresh                              bool
		want                               error
		forKeys, forAnswers, forFreshCount int32
	}{
		{"a good JWT is verified and looked up", join(p...), goodAnswer(nil), true, nil, 1, 1, 1},
		{"an answer may be short, as the JWT said it", join(p...), `{"active":true}`, true, nil, 1, 1, 1},
		{"without Fresh it is only verified", join(p...), goodAnswer(nil), false, nil, 1, 0, 0},
		{"a forged JWT costs no introspection", join(p[0], p[1], parts(minted(nil, edits{"sub": "x"}))[2]), goodAnswer(nil), true, validator.ErrSignature, 1, 0, 0},
		{"an expired JWT costs no introspection", minted(nil, edits{"exp": 0}), goodAnswer(nil), true, validator.ErrExpired, 1, 0, 0},
		{"a JWT for others costs no introspection", minted(nil, edits{"aud": "canary"}), goodAnswer(nil), true, validator.ErrAudience, 1, 0, 0},
		{"a bound JWT without its key costs no introspection", minted(nil, edits{"cnf": edits{}}), goodAnswer(nil), true, validator.ErrBinding, 1, 0, 0},
		{"a stranger's JWT costs nothing", minted(nil, edits{"iss": "canary"}), goodAnswer(nil), true, validator.ErrIssuer, 0, 0, 0},
		{"an opaque token is asked for afresh", opaque, goodAnswer(nil), true, nil, 0, 1, 1},
		{"an opaque token may be remembered", opaque, goodAnswer(nil), false, nil, 0, 1, 0},
		{"a dead opaque token is inactive, not revoked", opaque, `{"active":false}`, true, validator.ErrInactive, 0, 1, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			source := &asked{keys: issuerKeys(), answer: row.answer}
			v := newValidator(t, func(c *validator.Config) { c.Keys, c.Introspector = source, source })
			tok, err := v.Authorize(t.Context(), validator.Credentials{Token: row.token}, validator.Requirement{Fresh: row.fresh})
			if row.want != nil {
				wantRefused(t, tok, err, row.want)
			} else if err != nil {
				t.Errorf("refused: %v", err)
			}
			got := [...]int32{source.forKeys.Load(), source.forAnswers.Load(), source.forFresh.Load()}
			if want := [...]int32{row.forKeys, row.forAnswers, row.forFreshCount}; got != want {
				t.Errorf("keys, answers, fresh answers asked for: %v, want %v", got, want)
			}
		})
	}
}

// Fresh that cannot be had is a fault of this API, not of the token.
func TestFresh_WithoutIntrospectorIsUnavailable(t *testing.T) {
	t.Parallel()
	v := newValidator(t, nil)
	fresh := validator.Requirement{Fresh: true}
	tok, err := v.Authorize(t.Context(), validator.Credentials{Token: minted(nil, nil)}, fresh)
	wantRefused(t, tok, err, validator.ErrUnavailable)
	tok, err = v.Authorize(t.Context(), validator.Credentials{Token: minted(nil, edits{"exp": 0})}, fresh)
	wantRefused(t, tok, err, validator.ErrExpired)
}
