package grpcauth

import (
	"context"
	"net/http"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/countermark/countermark/internal/authheader"
	"github.com/countermark/countermark/internal/wire"
	"github.com/countermark/countermark/validator"
)

// credentials takes the token from the metadata "authorization", as net/http
// would from the header of that name, and the proof from "dpop".
func (g *Guard) credentials(ctx context.Context, fullMethod string) (validator.Credentials, error) {
	c, err := wire.Credentials(metadata.ValueFromIncomingContext(ctx, "authorization"))
	if err != nil || c.Token == "" {
		return c, err
	}
	if info, ok := tlsInfo(ctx); ok && len(info.State.PeerCertificates) > 0 {
		c.Certificate = info.State.PeerCertificates[0]
	}
	if c.Scheme == authheader.DPoP {
		c.Proof, err = wire.Proof(metadata.ValueFromIncomingContext(ctx, "dpop"))
		c.Method, c.URL = http.MethodPost, g.url(ctx, fullMethod)
	}
	return c, err
}

// callURL is the URL of a call that came straight from the client: gRPC sends it
// as a POST to the method's name (the :path of its HTTP/2 request).
func callURL(ctx context.Context, fullMethod string) string {
	scheme := "http"
	if _, ok := tlsInfo(ctx); ok {
		scheme = "https"
	}
	authority := ""
	if values := metadata.ValueFromIncomingContext(ctx, ":authority"); len(values) == 1 {
		authority = values[0]
	}
	return wire.URL(scheme, authority, fullMethod)
}

func tlsInfo(ctx context.Context) (credentials.TLSInfo, bool) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return credentials.TLSInfo{}, false
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	return info, ok
}
