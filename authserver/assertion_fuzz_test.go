package authserver_test

import (
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/countermark/countermark/authserver"
)

// FuzzClientAssertion signs any header and any claims with the client's own key,
// and holds who gets in against another reading of them: encoding/json's.
func FuzzClientAssertion(f *testing.F) {
	const iss = "https://issuer.example"
	f.Add(`{"alg":"ES256"}`, `{"iss":"robot","sub":"robot","aud":"https://issuer.example","exp":1893553505,"jti":"1"}`)
	f.Add(`{"alg":"ES256","typ":"client-authentication+jwt","kid":"k1"}`, `{"iss":"robot","sub":"robot","aud":["https://issuer.example/token"],"exp":1893553505.5,"jti":"2","nbf":1893553345,"iat":0.5}`)
	f.Add(`{"alg":"ES256","typ":"at+jwt"}`, `{"iss":"robot","sub":"robot","aud":["https://issuer.example","x"],"exp":"1","jti":null}`)
	f.Add(`{"alg":"none","crit":["exp"],"b64":false}`, `{"iss":"robot","iss":"x","Sub":"robot"}{}`)
	f.Add(`{"alg":"ES256","ALG":"none"}`, `{"iss":"sealer","sub":"sealer","aud":"https://issuer.example","exp":99999999999999999999,"jti":"\u0000"}`)
	s := newSigner(f, "ES256", "k1")
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, header, payload string) {
		srv, err := authserver.New(authserver.Config{ // new each time: no jti is known
			Issuer: iss, Now: func() time.Time { return now }, Logger: slog.New(slog.DiscardHandler),
			Clients: []authserver.Client{{
				ClientID: robot, TokenEndpointAuthMethod: "private_key_jwt", JWKS: jwks(t, s), GrantTypes: []string{grantCC}, Audience: []string{ordersAPI},
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		input := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
		sig, err := jwt.SigningMethodES256.Sign(input, s.key)
		if err != nil {
			t.Fatal(err)
		}
		text := input + "." + base64.RawURLEncoding.EncodeToString(sig)
		ask := func(text string) answer {
			body := form("grant_type", grantCC, "client_assertion_type", clientAssertionType, "client_assertion", text).Encode()
			req := httptest.NewRequest(http.MethodPost, iss+"/token", strings.NewReader(body))
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			w := httptest.NewRecorder()
			srv.ServeHTTP(w, req)
			return answer{w.Code, w.Header(), w.Body.Bytes()}
		}
		a := ask(text)
		checkAnswer(t, a)
		if a.status != 200 {
			return
		}
		var h struct{ Alg, Typ string }
		var c struct {
			Iss, Sub, Jti string
			Aud           any
			Exp, Nbf, Iat float64
		}
		if json.Unmarshal([]byte(header), &h) != nil || json.Unmarshal([]byte(payload), &c) != nil {
			t.Fatalf("%s %s got in, and is no JSON", header, payload)
		}
		if list, isList := c.Aud.([]any); isList && len(list) == 1 {
			c.Aud = list[0]
		}
		at := float64(now.Unix())
		if h.Alg != "ES256" || c.Iss != robot || c.Sub != robot || c.Jti == "" || c.Aud != iss && c.Aud != iss+"/token" ||
			c.Exp <= at-30 || c.Exp > at+631 || math.Max(c.Nbf, c.Iat) > at+31 {
			t.Fatalf("%s %s got in", header, payload)
		}
		if ask(text).status == 200 {
			t.Fatalf("%s %s got in twice", header, payload)
		}
	})
}
