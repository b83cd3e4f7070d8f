package validator

import (
	"bytes"
	"errors"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/strictjson"
)

// jws is a JWT taken apart (RFC 7515 section 7.1), nothing of it verified.
type jws struct {
	input              string // what is signed
	payload, signature string
	header             []byte // decoded
}

// parseJWS tells a JWT from an opaque token: three parts, the first of which
// decodes to what looks like a JSON object. What looks so is never taken for
// opaque, however malformed the rest is.
func parseJWS(token string) (j jws, ok bool) {
	header, payload, signature, ok := jose.Split(token)
	if !ok {
		return jws{}, false
	}
	decoded, err := jose.Decode(nil, header)
	if err != nil || !bytes.HasPrefix(bytes.TrimLeft(decoded, " \t\r\n"), []byte("{")) {
		return jws{}, false
	}
	return jws{
		input:     token[:len(header)+1+len(payload)],
		payload:   payload,
		signature: signature,
		header:    decoded,
	}, true
}

// header is what counts of a JOSE header (RFC 7515 section 4.1). Keys that it
// brings along or points to (jwk, jku, x5c, x5u) are not looked at.
type header struct {
	alg, kid string
	typ      string // as shortType has it
}

func parseHeader(data []byte) (header, error) {
	var h header
	var hasAlg bool
	err := strictjson.Object(data, func(name []byte, v strictjson.Value) error {
		ok := true
		switch string(name) {
		case "alg":
			h.alg, ok = v.Text()
			hasAlg = true
		case "kid":
			h.kid, ok = v.Text()
		case "typ":
			h.typ, ok = v.Text()
		case "crit": // section 4.1.11: none is understood here, and an empty list is malformed
			return errors.New("crit: not supported")
		case "b64": // RFC 7797 section 3: true changes nothing
			ok = string(v) == "true"
		}
		if !ok {
			return errors.New(string(name) + ": wrong type or value")
		}
		return nil
	})
	if err == nil && !hasAlg {
		err = errors.New("lacks alg")
	}
	h.typ = shortType(h.typ)
	return h, err
}
