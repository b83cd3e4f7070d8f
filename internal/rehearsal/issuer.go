// Package rehearsal is an issuer that breaks on demand, in each way in which issuers
// do, and mends again: a real server with TLS and names of its own, on loopback. It
// is for tests of the whole, and for package soak, which tries it for longer.
package rehearsal

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net"
	"net/http"
	"sync/atomic"
)

// An Endpoint is a part of an issuer that breaks by itself: it has a host, a port
// and a certificate of its own.
type Endpoint int

// These are all endpoints.
const (
	Discovery Endpoint = iota
	KeySet
	Introspection
	endpoints // how many there are
)

const (
	metadataPath   = "/.well-known/openid-configuration"
	keysPath       = "/keys"
	introspectPath = "/introspect"
)

var hosts = [endpoints]string{"issuer.rehearsal.test", "keys.rehearsal.test", "introspection.rehearsal.test"}

// An Issuer is safe for concurrent use.
type Issuer struct {
	mint

	URL              string // its identifier
	KeysURL          string
	IntrospectionURL string

	names   *names
	roots   *x509.CertPool
	servers [endpoints]*server
	dials   [endpoints]atomic.Int64
}

// New starts an issuer with one key. Close it.
func New(ctx context.Context) (*Issuer, error) {
	ca, err := newAuthority()
	if err != nil {
		return nil, err
	}
	n, err := newNames(ctx)
	if err != nil {
		return nil, err
	}
	i := &Issuer{names: n, roots: ca.roots()}
	for e, serve := range [endpoints]content{i.metadata, i.keySet, i.introspection} {
		if i.servers[e], err = newServer(ctx, hosts[e], ca, n, serve); err != nil {
			i.Close()
			return nil, err
		}
	}
	i.URL = i.servers[Discovery].url("")
	i.KeysURL = i.servers[KeySet].url(keysPath)
	i.IntrospectionURL = i.servers[Introspection].url(introspectPath)
	i.issuer, i.active = i.URL, map[string]bool{}
	i.Rotate(0)
	return i, nil
}

// Close ends everything, and returns when no goroutine is left.
func (i *Issuer) Close() {
	for _, s := range i.servers {
		if s != nil {
			s.close()
		}
	}
	i.names.close()
}

// Break gives an endpoint a fault in place of the one that it has, and None mends
// it. An error says that its port is taken meanwhile.
func (i *Issuer) Break(ctx context.Context, e Endpoint, f Fault) error {
	return i.servers[e].set(ctx, f)
}

// Transport returns a new transport, with connections of its own, that knows where
// the issuer's hosts are and trusts the issuer's authority.
func (i *Issuer) Transport() *http.Transport {
	dialer := &net.Dialer{Resolver: i.names.resolver()}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			host, _, _ := net.SplitHostPort(address)
			for e := range endpoints {
				if host == hosts[e] {
					i.dials[e].Add(1)
				}
			}
			return dialer.DialContext(ctx, network, address)
		},
		TLSClientConfig:     &tls.Config{RootCAs: i.roots, MinVersion: tls.VersionTLS13},
		MaxIdleConnsPerHost: 16,
		ForceAttemptHTTP2:   true,
	}
}

// Asked returns how often an endpoint was asked for something, or dialled, where
// that came to nothing: whichever is more.
func (i *Issuer) Asked(e Endpoint) int64 { return max(i.servers[e].asked.Load(), i.dials[e].Load()) }

// Connections returns how many connections are open, at all endpoints.
func (i *Issuer) Connections() int {
	n := 0
	for _, s := range i.servers {
		open, _ := s.figures()
		n += open
	}
	return n
}

// MostRead returns how many bytes of an Oversized body left the server at most:
// what a client read, and what was under way to it.
func (i *Issuer) MostRead() int64 {
	var most int64
	for _, s := range i.servers {
		_, read := s.figures()
		most = max(most, read)
	}
	return most
}

func (i *Issuer) metadata(r *http.Request) (truth, denial []byte) {
	if r.URL.Path != metadataPath {
		return nil, nil
	}
	return encode(map[string]string{"issuer": i.URL, "jwks_uri": i.KeysURL, "introspection_endpoint": i.IntrospectionURL}),
		encode(map[string]string{"issuer": i.URL})
}

func (i *Issuer) keySet(r *http.Request) (truth, denial []byte) {
	if r.URL.Path != keysPath {
		return nil, nil
	}
	return i.set(), encode(map[string]any{"keys": []any{}})
}

func (i *Issuer) introspection(r *http.Request) (truth, denial []byte) {
	if r.URL.Path != introspectPath || r.Method != http.MethodPost {
		return nil, nil
	}
	return i.answer(r.PostFormValue("token")), encode(map[string]bool{"active": false})
}

func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // what is encoded here always can be
	}
	return text
}
