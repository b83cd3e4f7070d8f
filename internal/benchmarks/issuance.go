package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/countermark/countermark/authserver"
)

// The client that gets tokens, and its secret, which is for this program alone.
const (
	clientID     = "s6BhdRkqt3-web"
	clientSecret = "5d41402abc4b2a76b9719d911017c592" //nolint:gosec // of nobody else
)

// issuance measures client_credentials (RFC 6749 section 4.4) at the handler of the
// token endpoint, without a network.
func (b *bench) issuance(ctx context.Context) error {
	p := part{
		title: "Issuance",
		text: "A token request by client_credentials, with Basic authentication, at the handler of the token endpoint, without a network. " +
			"Compared with the signature of a token of the same size. Fosite has its JWT strategy. " +
			"Its default for client secrets, bcrypt, would take much longer than all else, so it is given SHA-256, " +
			"which this library uses for its long random secrets; and its store does not keep the sessions of access tokens, " +
			"which would fill the heap.",
		head: []string{"", "ratio", "µs", "allocations"},
	}
	for _, alg := range []string{"ES256", "RS256"} {
		b.log.stepf("%s", alg)
		k := b.issuer.keys[alg]
		ours, err := ourEndpoint(k)
		if err != nil {
			return err
		}
		theirs := fositeEndpoint(k)
		sample, err := b.issuer.tokens(alg, 1)
		if err != nil {
			return err
		}
		bare := func(int) error {
			_, err := k.signature(sample[0].input)
			return err
		}
		r := race{contenders: []contender{
			oneByOne(alg+": the signature alone", bare), oneByOne(alg+": the signature alone, again", bare),
			oneByOne(alg+": Countermark", requests(ctx, ours)),
			oneByOne(alg+": ory/fosite "+version("github.com/ory/fosite"), requests(ctx, theirs)),
		}}
		results, err := b.race(ctx, &r, b.effort)
		if err != nil {
			return err
		}
		_, rows := resultTable(results)
		p.rows = append(p.rows, rows...)
	}
	b.report.add(p)
	return nil
}

func ourEndpoint(k *key) (http.Handler, error) {
	return authserver.New(authserver.Config{
		Issuer: issuerName,
		Keys:   []authserver.SigningKey{{ID: k.id, Algorithm: k.alg, Signer: k.signer}},
		Clients: []authserver.Client{{
			ClientID: clientID, SecretHash: authserver.HashOf(clientSecret), GrantTypes: []string{"client_credentials"},
			Scope: scope, Audience: []string{audience},
		}},
		Logger: slog.New(slog.DiscardHandler),
	})
}

// requests returns what gets a token from the endpoint.
func requests(ctx context.Context, endpoint http.Handler) func(int) error {
	const form = "grant_type=client_credentials&scope=orders%3Aread+orders%3Awrite"
	return func(int) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, issuerName+"/token", strings.NewReader(form))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth(clientID, clientSecret)
		w := recorder{header: http.Header{}, status: http.StatusOK}
		endpoint.ServeHTTP(&w, req)
		if w.status != http.StatusOK || !bytes.Contains(w.body.Bytes(), []byte(`"access_token":"eyJ`)) {
			return fmt.Errorf("no token: %d %s", w.status, w.body.Bytes())
		}
		return nil
	}
}

// recorder is a ResponseWriter that keeps the answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header         { return w.header }
func (w *recorder) WriteHeader(status int)      { w.status = status }
func (w *recorder) Write(p []byte) (int, error) { return w.body.Write(p) }
