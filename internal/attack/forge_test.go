package attack_test

import (
	"context"
	"crypto"
	"encoding/json"
	"strings"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/validator"
)

// attack is the row of a bearer token that must be refused.
func attack(name, token string, why error) row {
	return row{name: name, brings: bearer(token), want: invalid(why)}
}

// claim is an attack by a signed token with other claims, header by one with
// another header.
func (m *mint) claim(name string, e edits, why error) row { return attack(name, m.token(e), why) }

func (m *mint) header(name string, e edits, why error) row {
	return attack(name, m.tokenWith(e, nil), why)
}

// inPayload is an attack by a signed token whose payload begins with one more
// member, inHeader by one whose header does.
func (m *mint) inPayload(name, member string, why error) row {
	return attack(name, m.sign(headerText, member+m.payloadText(nil)[1:]), why)
}

func (m *mint) inHeader(name, member string, why error) row {
	return attack(name, m.sign(member+headerText[1:], m.payloadText(nil)), why)
}

// headerText is the header of a good token, and payloadText the payload.
const headerText = `{"alg":"ES256","kid":"canary-kid","typ":"at+jwt"}`

func (m *mint) payloadText(e edits) string { return text(m.claims(e)) }

func (m *mint) sign(header, payload string) string { return m.issuer.Sign(m.tb, header, payload) }

// signEncoded signs parts that are encoded already, well or not.
func (m *mint) signEncoded(header, payload string) string {
	method, _ := jose.Lookup(m.issuer.Alg)
	signature, err := method.Sign(join(header, payload), m.issuer.Private)
	if err != nil {
		m.tb.Fatal(err)
	}
	return join(header, payload, jose.Encode(signature))
}

// resigned is a good token of key with another signature.
func (m *mint) resigned(key *tokentest.Key, change func(signature []byte) []byte) string {
	p := parts(m.tokenBy(key, nil, nil))
	signature, err := jose.Decode(nil, p[2])
	if err != nil {
		m.tb.Fatal(err)
	}
	return join(p[0], p[1], jose.Encode(change(signature)))
}

// unsigned are the first two parts of a token that nobody signed.
func unsigned(header, payload string) string {
	return join(jose.Encode([]byte(header)), jose.Encode([]byte(payload)))
}

func parts(token string) []string { return strings.Split(token, ".") }

func join(parts ...string) string { return strings.Join(parts, ".") }

// null is a member that is there and null.
var null = json.RawMessage("null")

func raw(text string) json.RawMessage { return json.RawMessage(text) }

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// careless is a source that returns its keys whatever it is asked for: the
// validator has to be right without its help.
type careless tokentest.Keys

func (c careless) Keys(context.Context, string, string) ([]crypto.PublicKey, error) {
	var keys []crypto.PublicKey
	for _, k := range c {
		keys = append(keys, k.Private.Public())
	}
	return keys, nil
}

// carelessly has rows judged with such a source.
func (m *mint) carelessly(rows []row) []row {
	for i := range rows {
		rows[i].policy = func(c *validator.Config) { c.Keys = careless(m.keys) }
	}
	return rows
}
