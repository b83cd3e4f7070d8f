package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"time"

	"github.com/countermark/countermark/internal/jose"
)

// What the good tokens say, and everybody demands.
const (
	issuerName = "https://issuer.example/tenants/9f2c"
	audience   = "https://api.example.com/orders"
	scope      = "orders:read orders:write invoices:read profile"
)

// algorithms are those that are compared, the most common first.
var algorithms = []string{"RS256", "ES256", "EdDSA"}

// A key signs tokens and has a place in the key set.
type key struct {
	id, alg, use string
	signer       crypto.Signer
}

func newKey(alg, id string) (*key, error) {
	var signer crypto.Signer
	var err error
	switch alg {
	case "RS256":
		signer, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ES256":
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, signer, err = ed25519.GenerateKey(rand.Reader)
	default:
		return nil, fmt.Errorf("no key for %q", alg)
	}
	return &key{id: id, alg: alg, use: "sig", signer: signer}, err
}

// jwk returns the public key for a key set (RFC 7517, RFC 8037).
func (k *key) jwk() (map[string]string, error) {
	j := map[string]string{"kid": k.id, "alg": k.alg, "use": k.use}
	switch public := k.signer.Public().(type) {
	case *rsa.PublicKey:
		j["kty"], j["n"], j["e"] = "RSA", jose.Encode(public.N.Bytes()), jose.Encode(big.NewInt(int64(public.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := public.Bytes() // 4, x, y: SEC 1 section 2.3.3
		if err != nil {
			return nil, err
		}
		half := (len(point) + 1) / 2
		j["kty"], j["crv"], j["x"], j["y"] = "EC", "P-256", jose.Encode(point[1:half]), jose.Encode(point[half:])
	case ed25519.PublicKey:
		j["kty"], j["crv"], j["x"] = "OKP", "Ed25519", jose.Encode(public)
	}
	return j, nil
}

// keySet returns the key set of the keys (RFC 7517 section 5).
func keySet(keys ...*key) ([]byte, error) {
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	for _, k := range keys {
		j, err := k.jwk()
		if err != nil {
			return nil, err
		}
		set.Keys = append(set.Keys, j)
	}
	return json.Marshal(set)
}

// An issuer has a key for each algorithm, and serves its key set on loopback.
type issuer struct {
	keys     map[string]*key // by algorithm
	cipher   *key            // whose use is encryption
	jwksURL  string
	stop     func()
	sequence uint64 // of the tokens
}

func startIssuer(ctx context.Context) (*issuer, error) {
	iss := &issuer{keys: map[string]*key{}}
	var all []*key
	for _, alg := range algorithms {
		k, err := newKey(alg, alg+"-2026-11")
		if err != nil {
			return nil, err
		}
		iss.keys[alg] = k
		all = append(all, k)
	}
	cipher, err := newKey("RS256", "encryption-2026-11")
	if err != nil {
		return nil, err
	}
	cipher.use, iss.cipher = "enc", cipher
	set, err := keySet(append(all, cipher)...)
	if err != nil {
		return nil, err
	}
	iss.jwksURL, iss.stop, err = serve(ctx, jsonHandler(func() []byte { return set }))
	return iss, err
}

func jsonHandler(body func() []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body())
	})
}

// serve serves a handler on a free loopback port.
func serve(ctx context.Context, handler http.Handler) (url string, stop func(), err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	return "http://" + listener.Addr().String(), func() { _ = server.Close() }, nil
}
