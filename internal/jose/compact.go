package jose

import (
	"encoding/base64"
	"errors"
	"strings"
)

// Split cuts a compact JWS into its three parts without decoding them. It
// reports false for anything that is not two dots apart, a JWE's five parts
// included, and allocates nothing however many dots there are.
func Split(token string) (header, payload, signature string, ok bool) {
	header, rest, ok := strings.Cut(token, ".")
	if !ok {
		return "", "", "", false
	}
	payload, signature, ok = strings.Cut(rest, ".")
	if !ok || strings.IndexByte(signature, '.') >= 0 {
		return "", "", "", false
	}
	return header, payload, signature, true
}

var base64url = base64.RawURLEncoding.Strict()

var errBase64 = errors.New("not canonical base64url")

// Decode appends to dst what the canonical base64url text s stands for
// (RFC 7515 section 2): no padding, no stray bits, no white space, so that no
// two texts stand for the same bytes.
func Decode(dst []byte, s string) ([]byte, error) {
	before := len(dst)
	dst, err := base64url.AppendDecode(dst, []byte(s))
	// It skips line breaks: then there is less than such a text stands for, or
	// the text was of a length that none has.
	if err != nil || len(dst)-before != len(s)*6/8 || len(s)%4 == 1 {
		return nil, errBase64
	}
	return dst, nil
}

// DecodeText is Decode into a string.
func DecodeText(s string) (string, error) {
	b, err := Decode(nil, s)
	return textOf(b), err
}

// Encode returns the base64url text of b, without padding.
func Encode(b []byte) string { return base64url.EncodeToString(b) }
