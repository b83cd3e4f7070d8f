package canary_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/x509"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// hidePrivate hides what is private of a key, as numbers and as a file has it.
func hidePrivate(t *testing.T, w *witness, key crypto.Signer) {
	t.Helper()
	switch key := key.(type) {
	case ed25519.PrivateKey:
		w.hide("a private key", string(key.Seed()))
	case *ecdsa.PrivateKey:
		scalar, err := key.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		w.hide("a private key", string(scalar))
		w.hide("a private key", key.D.String()) //nolint:staticcheck // as fmt prints it
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := key.(ed25519.PrivateKey); ok {
		w.hide("a private key's DER", string(der[16:]))
	}
}

// incoming is the context of a call with a token.
func incoming(ctx context.Context, token string) context.Context {
	return metadata.NewIncomingContext(ctx, metadata.Pairs("authorization", "Bearer "+token))
}

// serverStream is one without a connection.
type serverStream struct {
	grpc.ServerStream

	ctx context.Context // what a ServerStream is asked for
}

func (s serverStream) Context() context.Context  { return s.ctx }
func (serverStream) SetTrailer(metadata.MD)      {}
func (serverStream) SetHeader(metadata.MD) error { return nil }
