package validator_test

import (
	"encoding/json"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/countermark/countermark/validator"
)

// A token that differs from the issuer's in one byte or more is not the
// issuer's. The property holds for RSA and Ed25519; an ECDSA signature (r, s)
// has a twin (r, n-s) that anybody can compute and that verifies as well, so
// nothing here may take an ES256 token's text for its identity.
func FuzzValidate_MutatedTokenIsNeverAccepted(f *testing.F) {
	for _, isRSA := range []bool{true, false} {
		for _, at := range []uint16{0, 1, 40, 65, 200, 400, 500, 0xffff} {
			f.Add(isRSA, at, uint16(1), "")
			f.Add(isRSA, at, uint16(0), ".")
			f.Add(isRSA, at, uint16(1), "A")
			f.Add(isRSA, at, uint16(0), "=")
			f.Add(isRSA, at, uint16(0), "\r\n")
			f.Add(isRSA, at, uint16(2), "--")
		}
		f.Add(isRSA, uint16(0), uint16(0xffff), "eyJhbGciOiJub25lIn0.e30.")
	}
	v := newValidator(f, nil)
	good := map[bool]string{true: minted(edits{"alg": "RS256"}, nil), false: minted(edits{"alg": "EdDSA"}, nil)}
	for _, token := range good {
		accept(f, v, token)
	}
	f.Fuzz(func(t *testing.T, isRSA bool, at, remove uint16, insert string) {
		token := good[isRSA]
		from := min(int(at), len(token))
		to := min(from+int(remove), len(token))
		mutated := token[:from] + insert + token[to:]
		if tok, err := v.Validate(t.Context(), mutated); (err == nil) != (mutated == token) || (tok == nil) != (err != nil) {
			t.Errorf("%v for\n%s, made of\n%s", err, mutated, token)
		}
	})
}

// What the policy accepted is what a handler reads: encoding/json, with all its
// leniency, finds the same iss, aud, exp and sub in the claims.
func FuzzClaims_PolicyAndEncodingJSONAgree(f *testing.F) {
	good := goodPayload()
	for _, member := range []string{
		`"x":1`, `"iss":"https://canary.example"`, `"ISS":"https://canary.example"`, "\"i\u017fs\":\"canary\"", `"\u0069ss":"canary"`,
		`"Aud":["canary"]`, `"EXP":9999999999`, `"\u0065xp":1e9`, `"x":{"sub":"canary"}`, `"sub ":"canary"`, `"":{"":[]}`,
	} {
		f.Add(with(good, member))
		f.Add(good[:len(good)-1] + "," + member + "}")
	}
	for _, e := range []edits{{"aud": []string{audience, "x"}}, {"exp": 4e9}, {"exp": 4e9 + .5}, {"sub": "é\u0000\"\\"}, {"sub": "\u2028<&>"}, {"aud": []string{}}} {
		f.Add(marshal(goodClaims(e)))
	}
	v := newValidator(f, nil)
	issuerKey := key("EdDSA")
	f.Fuzz(func(t *testing.T, payload string) {
		tok, err := v.Validate(t.Context(), sign(issuerKey, `{"alg":"EdDSA","kid":"`+kid+`","typ":"at+jwt"}`, payload))
		if err != nil {
			return
		}
		var read struct {
			Iss, Sub string
			Aud      any
			Exp      float64
		}
		if err := json.Unmarshal([]byte(payload), &read); err != nil {
			t.Fatalf("encoding/json cannot read %q: %v", payload, err)
		}
		if read.Iss != issuer || read.Iss != tok.Issuer() || read.Sub != tok.Subject() {
			t.Errorf("iss %q and sub %q, encoding/json reads %q and %q", tok.Issuer(), tok.Subject(), read.Iss, read.Sub)
		}
		var audiences []string
		switch aud := read.Aud.(type) {
		case string:
			audiences = []string{aud}
		case []any:
			for _, a := range aud {
				audiences = append(audiences, a.(string))
			}
		}
		if !slices.Equal(audiences, tok.Audiences()) || !slices.Contains(audiences, audience) {
			t.Errorf("aud %q, encoding/json reads %q", tok.Audiences(), audiences)
		}
		if exp := float64(tok.Expiry().UnixNano()) / 1e9; math.Abs(exp-read.Exp) > 1e-3 && read.Exp < 9e9 || tok.Expiry().Before(noon.Add(-30*time.Second)) {
			t.Errorf("exp %v, encoding/json reads %v", tok.Expiry(), read.Exp)
		}
		claims, err := validator.Claims[map[string]any](tok)
		if err != nil || claims["sub"] != read.Sub || claims["iss"] != read.Iss {
			t.Errorf("Claims: %v, %v", claims, err)
		}
	})
}
