package jose

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/countermark/countermark/internal/strictjson"
)

// A Header is what counts of a JOSE header (RFC 7515 section 4.1). What it points
// to (jku, x5u) or brings along as x5c is not looked at.
type Header struct {
	Alg, Kid string
	Typ      string // as ShortType has it
	JWK      string // for a DPoP proof alone: from no other header a key is taken
}

// ParseHeader reads the header part of a JWS. It must name an algorithm and demand
// nothing that is not understood here (section 4.1.11).
func ParseHeader(part string) (Header, error) {
	text, err := DecodeText(part)
	if err != nil {
		return Header{}, err
	}
	var h Header
	var hasAlg bool
	err = strictjson.Object(text, func(name string, v strictjson.Value) error {
		ok := true
		switch name {
		case "alg":
			h.Alg, ok = v.Text()
			hasAlg = true
		case "kid":
			h.Kid, ok = v.Text()
		case "typ":
			h.Typ, ok = v.Text()
		case "jwk":
			h.JWK = string(v)
		case "crit": // section 4.1.11: none is understood here, and an empty list is malformed
			return errors.New("crit: not supported")
		case "b64": // RFC 7797 section 3: true changes nothing
			ok = v == "true"
		}
		if !ok {
			return fmt.Errorf("%s is of the wrong type", name)
		}
		return nil
	})
	if err == nil && !hasAlg {
		err = errors.New("lacks alg")
	}
	h.Typ = ShortType(h.Typ)
	return h, err
}

// ShortType is a media type in lower case without "application/", which a typ
// may leave out (RFC 7515 section 4.1.9).
func ShortType(t string) string {
	for i := range len(t) {
		if t[i] >= utf8.RuneSelf {
			return t // no media type, and its lower case may be one
		}
	}
	t = strings.ToLower(t)
	if rest, ok := strings.CutPrefix(t, "application/"); ok && rest != "" && !strings.Contains(rest, "/") {
		return rest
	}
	return t
}
