package attack_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"maps"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/validator"
)

const (
	subject     = "canary-subject" // of every token
	otherIssuer = "https://other.example"
)

// A mint makes tokens, opaque ones too, and whatever is shown with them.
type mint struct {
	tb  testing.TB
	now time.Time // here it stands still

	issuer, stranger *tokentest.Key // of one name
	neighbour        *tokentest.Key // of otherIssuer
	rsa, pss, ed     *tokentest.Key // the issuer's as well; the first two are one
	p384, p521, weak *tokentest.Key // the last is RSA of 1024 bits
	keys             tokentest.Keys // all of the issuer
	good             string         // a token
	client, thief    *tokentest.Key // for DPoP
	own, others      *tls.Certificate

	server tls.Certificate
	roots  *x509.CertPool

	answers map[string]string // of introspection, by token
}

func newMint(tb testing.TB) *mint {
	tb.Helper()
	m := &mint{
		tb: tb, now: time.Now().Truncate(time.Second), roots: x509.NewCertPool(), answers: map[string]string{},
		issuer: tokentest.NewKey(tb, "canary-kid", "ES256"), stranger: tokentest.NewKey(tb, "canary-kid", "ES256"),
		neighbour: tokentest.NewKey(tb, "canary-kid", "ES256"), rsa: tokentest.NewKey(tb, "canary-rsa", "RS256"),
		ed: tokentest.NewKey(tb, "canary-ed", "EdDSA"), p384: tokentest.NewKey(tb, "canary-384", "ES384"), p521: tokentest.NewKey(tb, "canary-521", "ES512"),
		client: tokentest.NewKey(tb, "", "ES256"), thief: tokentest.NewKey(tb, "", "EdDSA"),
	}
	m.pss = &tokentest.Key{ID: m.rsa.ID, Alg: "PS256", Private: m.rsa.Private}
	m.weak = &tokentest.Key{ID: "canary-weak", Alg: "RS256", Private: tokentest.WeakRSA(tb)}
	m.keys = tokentest.Keys{m.issuer, m.rsa, m.pss, m.ed, m.p384, m.p521, m.weak}
	m.good = m.token(nil)
	server, own, others := m.newCertificate(), m.newCertificate(), m.newCertificate()
	m.server, m.own, m.others = server, &own, &others
	m.roots.AddCert(server.Leaf)
	return m
}

// policy is that of a house unless a row changes it.
func (m *mint) policy() validator.Config {
	return validator.Config{
		Issuer: tokentest.Issuer, Audiences: []string{tokentest.Audience},
		Keys: m.keys, Introspector: answering(m.answers),
		Now: func() time.Time { return m.now },
	}
}

// newCertificate makes one that signed itself, for a server on loopback or for a
// client (RFC 8705 section 2.2).
func (m *mint) newCertificate() tls.Certificate {
	m.tb.Helper()
	key := tokentest.NewKey(m.tb, "", "ES256").Private
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: m.now.Add(-time.Hour), NotAfter: m.now.Add(time.Hour),
		BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		m.tb.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		m.tb.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// edits change the claims of a good token, or the header; nil removes a member.
type edits = map[string]any

// token mints a JWT.
func (m *mint) token(claims edits) string { return m.tokenWith(nil, claims) }

func (m *mint) tokenWith(header, claims edits) string {
	return m.tokenBy(m.issuer, header, claims)
}

func (m *mint) tokenBy(key *tokentest.Key, header, claims edits) string {
	return key.Token(m.tb, header, m.claims(claims))
}

// claims are those of a good token, but for the edits.
func (m *mint) claims(e edits) edits {
	own := edits{"sub": subject, "client_id": "canary-client", "jti": "canary-jti", "canary_name": "canary-private"}
	maps.Copy(own, e)
	return tokentest.Claims(m.now, own)
}

// opaque mints an opaque token, which the issuer answers for.
func (m *mint) opaque(claims edits) string {
	token := rand.Text()
	m.answer(token, claims)
	return token
}

// answer has the issuer say of a token what it says of a good one, but for the
// edits.
func (m *mint) answer(token string, claims edits) {
	all := m.claims(edits{"active": true})
	maps.Copy(all, claims)
	text, err := json.Marshal(all)
	if err != nil {
		m.tb.Fatal(err)
	}
	m.answers[token] = string(text)
}

// toCertificate is the cnf that binds a token to the client's own certificate
// (RFC 8705 section 3.1), toKey the one for its DPoP key (RFC 9449 section 6.1).
func (m *mint) toCertificate() edits {
	sum := sha256.Sum256(m.own.Certificate[0])
	return edits{"cnf": edits{"x5t#S256": jose.Encode(sum[:])}}
}

func (m *mint) toKey() edits { return edits{"cnf": edits{"jkt": m.client.Thumbprint(m.tb)}} }

// proof is a good one for token by the client, but for what edit does.
func (m *mint) proof(token string, edit func(header, claims edits)) proof {
	return m.proofBy(m.client, token, edit)
}

func (m *mint) proofBy(key *tokentest.Key, token string, edit func(header, claims edits)) proof {
	return func(tb testing.TB, at operation) string {
		tb.Helper()
		header, claims := edits{}, tokentest.ProofClaims(m.now, at.method, at.url, token, nil)
		if at.nonce != "" {
			claims["nonce"] = at.nonce
		}
		if edit != nil {
			edit(header, claims)
		}
		return key.Proof(tb, header, claims)
	}
}

// noProof is a proof that is none.
func noProof(s string) proof { return func(testing.TB, operation) string { return s } }

func (m *mint) request(tb testing.TB, v *visit, at operation) *request {
	tb.Helper()
	r := &request{visit: v, authorization: v.authorization, roots: m.roots}
	if v.token != "" {
		r.authorization = []string{v.scheme + " " + v.token}
	}
	for _, p := range v.proofs {
		r.proofs = append(r.proofs, p(tb, at))
	}
	return r
}

// shows is a visit with the given values of Authorization.
func shows(values ...string) visit { return visit{authorization: values} }

func bearer(token string) visit { return visit{scheme: "Bearer", token: token} }

func dpop(token string, proofs ...proof) visit {
	return visit{scheme: "DPoP", token: token, proofs: proofs}
}

// with is the visit with a client certificate.
func (v visit) with(c *tls.Certificate) visit {
	v.certificate = c
	return v
}

// answering is an Introspector with answers that do not change. Of a token that
// it does not know it says what an issuer has to: that it is not active.
type answering map[string]string

func (a answering) Introspect(_ context.Context, token string, _ bool) ([]byte, error) {
	if text, ok := a[token]; ok {
		return []byte(text), nil
	}
	return []byte(`{"active":false}`), nil
}

// An outageError is all that there would be to ask, but cannot be for that long.
type outageError time.Duration

func (e outageError) Error() string             { return "out of reach" }
func (e outageError) RetryAfter() time.Duration { return time.Duration(e) }

func (e outageError) Keys(context.Context, string, string) ([]crypto.PublicKey, error) { return nil, e }
func (e outageError) Introspect(context.Context, string, bool) ([]byte, error)         { return nil, e }
func (e outageError) Add(context.Context, [32]byte, time.Time) (bool, error)           { return false, e }
