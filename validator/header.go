package validator

import (
	"errors"
	"fmt"
	"strings"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/strictjson"
)

// jws is a JWT taken apart (RFC 7515 section 7.1), nothing of it verified.
type jws struct {
	input                      string // what is signed
	header, payload, signature string
}

// parseJWS tells a JWT from an opaque token: three parts or more, the first of
// which looks like a JSON object. What looks so is never taken for opaque,
// however malformed it is: an issuer that reads it leniently might vouch for a
// token that the policy for JWTs has not seen. A fourth part stays with the
// signature, which then is no base64url.
func parseJWS(token string) (j jws, ok bool) {
	header, rest, _ := strings.Cut(token, ".")
	payload, signature, ok := strings.Cut(rest, ".")
	if !ok || !looksLikeObject(header) {
		return jws{}, false
	}
	return jws{
		input:     token[:len(header)+1+len(payload)],
		header:    header,
		payload:   payload,
		signature: signature,
	}, true
}

// looksLikeObject reports whether text begins as the base64url of a JSON object
// does: with a brace, and then a quotation mark, white space or the other brace.
func looksLikeObject(text string) bool {
	text = strings.TrimSpace(text)
	return len(text) > 1 && text[0] == 'e' && strings.IndexByte("yw3", text[1]) >= 0
}

// header is what counts of a JOSE header (RFC 7515 section 4.1). What it points
// to (jku, x5u) or brings along as x5c is not looked at.
type header struct {
	alg, kid string
	typ      string // as shortType has it
	jwk      []byte // of a DPoP proof; from a token's header no key is taken
}

var errWrongType = errors.New("a registered member is of the wrong type")

// wrongType is the error for a registered member, so that its name may be told.
func wrongType(name []byte) error { return fmt.Errorf("%s is of the wrong type", name) }

func parseHeader(text string) (header, error) {
	data, err := jose.Decode(nil, text)
	if err != nil {
		return header{}, err
	}
	var h header
	var hasAlg bool
	err = strictjson.Object(data, func(name []byte, v strictjson.Value) error {
		ok := true
		switch string(name) {
		case "alg":
			h.alg, ok = v.Text()
			hasAlg = true
		case "kid":
			h.kid, ok = v.Text()
		case "typ":
			h.typ, ok = v.Text()
		case "jwk":
			h.jwk = v
		case "crit": // section 4.1.11: none is understood here, and an empty list is malformed
			return errors.New("crit: not supported")
		case "b64": // RFC 7797 section 3: true changes nothing
			ok = string(v) == "true"
		}
		if !ok {
			return wrongType(name)
		}
		return nil
	})
	if err == nil && !hasAlg {
		err = errors.New("lacks alg")
	}
	h.typ = shortType(h.typ)
	return h, err
}
