package validator

import "strings"

// jws is a JWT taken apart (RFC 7515 section 7.1), nothing of it verified.
type jws struct {
	token                      string
	header, payload, signature string
}

// input is what is signed.
func (j *jws) input() string { return j.token[:len(j.header)+1+len(j.payload)] }

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
	return jws{token: token, header: header, payload: payload, signature: signature}, true
}

// looksLikeObject reports whether text begins as the base64url of a JSON object
// does: with a brace, and then a quotation mark, white space or the other brace.
func looksLikeObject(text string) bool {
	if text != "" && text[0] != 'e' {
		text = strings.TrimSpace(text)
	}
	return len(text) > 1 && text[0] == 'e' && strings.IndexByte("yw3", text[1]) >= 0
}
