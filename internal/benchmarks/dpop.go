package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/validator"
)

// proofTarget is the request that proofs are made for.
const proofTarget = "https://api.example.com/orders"

// dpop measures requests of one client: the token was seen before, each proof is
// new (RFC 9449).
func (b *bench) dpop(ctx context.Context) error {
	client, err := newKey("ES256", "")
	if err != nil {
		return err
	}
	bound, err := b.boundToken(client)
	if err != nil {
		return err
	}
	v, err := b.issuer.validator(ctx)
	if err != nil {
		return err
	}
	var proofs []token
	raw := client.verifyRaw()
	bare := func(i int) error { return raw(&proofs[i]) }
	r := race{
		contenders: []contender{
			oneByOne("ES256: the signature alone", bare), oneByOne("ES256: the signature alone, again", bare),
			oneByOne("Countermark: token seen before, proof new", func(i int) error {
				_, err := v.Authorize(ctx, validator.Credentials{
					Scheme: "DPoP", Token: bound, Proof: proofs[i].raw, Method: http.MethodGet, URL: proofTarget,
				}, validator.Requirement{Scopes: []string{"orders:read"}})
				return err
			}),
		},
		prepare: func(n int) error {
			var err error
			proofs, err = client.proofs(bound, n)
			return err
		},
	}
	results, err := b.race(ctx, &r, b.effort)
	if err != nil {
		return err
	}
	b.report.atMost("DPoP, token seen before, proof new, to one ES256 signature", results[2].toFirst.median, 1.10, multiples)
	p := part{
		title: "DPoP",
		text:  "An RS256 token that is bound to a key of the client's, and for each request a new proof, signed with ES256.",
	}
	p.head, p.rows = resultTable(results)
	b.report.add(p)
	return nil
}

// boundToken returns a token that is bound to the client's key (RFC 9449 section 6).
func (b *bench) boundToken(client *key) (string, error) {
	public, err := client.publicJWK()
	if err != nil {
		return "", err
	}
	canonical, err := json.Marshal(public) // required members alone, in order: RFC 7638
	if err != nil {
		return "", err
	}
	thumbprint := sha256.Sum256(canonical)
	k := b.issuer.keys["RS256"]
	t, err := k.sign(k.header(), with(b.issuer.claims(), object{"cnf": object{"jkt": jose.Encode(thumbprint[:])}}))
	return t.raw, err
}

// publicJWK is the key as a proof shows it.
func (k *key) publicJWK() (map[string]string, error) {
	j, err := k.jwk()
	for _, name := range []string{"kid", "alg", "use"} {
		delete(j, name)
	}
	return j, err
}

// proofs returns n new proofs for the token, signed on all cores.
func (k *key) proofs(bound string, n int) ([]token, error) {
	public, err := k.publicJWK()
	if err != nil {
		return nil, err
	}
	ath := sha256.Sum256([]byte(bound))
	header := object{"typ": "dpop+jwt", "alg": k.alg, "jwk": public}
	made := make([]token, n)
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range made {
		group.Go(func() error {
			var err error
			made[i], err = k.sign(header, object{
				"jti": rand.Text(), "htm": http.MethodGet, "htu": proofTarget, "iat": time.Now().Unix(), "ath": jose.Encode(ath[:]),
			})
			return err
		})
	}
	return made, group.Wait()
}
