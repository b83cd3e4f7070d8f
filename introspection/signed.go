package introspection

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/strictjson"
)

const (
	signedType   = "token-introspection+jwt"
	signedLeeway = 5 * time.Minute // how far the issuer's clock may be off
	maxKeysTried = 8
)

// verifier opens signed introspection responses (RFC 9701 section 5).
type verifier struct {
	keys     KeySource
	issuer   string
	audience string
}

// open verifies a JWS and returns its member token_introspection. The key is
// the issuer's, from v.keys; what the header says of keys is not looked at.
func (v *verifier) open(ctx context.Context, body []byte) ([]byte, error) {
	token := string(body)
	header, payload, signature, ok := jose.Split(token)
	if !ok {
		return nil, errors.New("not a JWS in compact serialization")
	}
	kid, method, err := parseHeader(header)
	if err != nil {
		return nil, err
	}
	sig, err := jose.Decode(nil, signature)
	if err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	keys, err := v.keys.Keys(ctx, kid, method.Alg())
	if err != nil {
		return nil, fmt.Errorf("keys of the issuer: %w", err)
	}
	if !verifies(method, keys, token[:len(header)+1+len(payload)], sig) {
		return nil, errors.New("no key of the issuer verifies it")
	}
	claims, err := jose.Decode(nil, payload)
	if err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	return v.parseClaims(claims, time.Now())
}

func verifies(method *jose.Method, keys []crypto.PublicKey, signingInput string, sig []byte) bool {
	for _, key := range keys[:min(len(keys), maxKeysTried)] {
		if method.Verify(signingInput, sig, key) == nil {
			return true
		}
	}
	return false
}

// parseHeader reads a JOSE header. The explicit type keeps other JWTs of the
// issuer from passing for an answer (RFC 9701 section 8.1), and an extension
// that must be understood is not (RFC 7515 section 4.1.11).
func parseHeader(text string) (kid string, _ *jose.Method, _ error) {
	data, err := jose.Decode(nil, text)
	if err != nil {
		return "", nil, fmt.Errorf("header: %w", err)
	}
	var header struct {
		Type      string          `json:"typ"`
		Algorithm string          `json:"alg"`
		KeyID     string          `json:"kid"`
		Critical  json.RawMessage `json:"crit"`
	}
	if err := strictjson.Unmarshal(data, &header); err != nil {
		return "", nil, fmt.Errorf("header: %w", err)
	}
	method, ok := jose.Lookup(header.Algorithm)
	switch {
	case header.Type != signedType:
		return "", nil, errors.New("header: typ is not " + signedType)
	case !ok:
		return "", nil, errors.New("header: alg is not an asymmetric signature algorithm")
	case header.Critical != nil:
		return "", nil, errors.New("header: has a critical extension")
	}
	return header.KeyID, method, nil
}

// parseClaims checks that the answer is by the issuer, for us and of now, and
// returns what it says (RFC 9701 section 5).
func (v *verifier) parseClaims(data []byte, now time.Time) ([]byte, error) {
	var claims struct {
		Issuer   string          `json:"iss"`
		Audience json.RawMessage `json:"aud"`
		IssuedAt json.RawMessage `json:"iat"`
		Expiry   json.RawMessage `json:"exp"` // section 5 would rather have none
		Answer   json.RawMessage `json:"token_introspection"`
	}
	if err := strictjson.Unmarshal(data, &claims); err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	audience := strictjson.Value(claims.Audience)
	audiences, _ := audience.Texts()
	issued, err := parseTime(strictjson.Value(claims.IssuedAt))
	switch {
	case claims.Issuer != v.issuer:
		return nil, errors.New("payload: iss is not the configured issuer, byte for byte")
	case !audience.Is(v.audience) && !slices.Contains(audiences, v.audience):
		return nil, errors.New("payload: aud does not name this resource server")
	case err != nil || now.Sub(time.Unix(issued, 0)).Abs() > signedLeeway:
		return nil, errors.New("payload: iat is not about now")
	}
	if claims.Expiry != nil {
		if expiry, err := parseTime(strictjson.Value(claims.Expiry)); err != nil || now.Unix() >= expiry {
			return nil, errors.New("payload: exp is past, or not a time")
		}
	}
	return claims.Answer, nil
}
