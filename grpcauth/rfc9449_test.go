package grpcauth_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/countermark/countermark/internal/jose"
	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/validator"
)

// dpopChallenge is what a client is told that showed something with the scheme DPoP.
func dpopChallenge(code, description string) string {
	return `DPoP realm="api", error="` + code + `", error_description="` + description + `", algs="` + strings.Join(jose.Algorithms(), " ") + `"`
}

// methodOf is what each door calls.
var methodOf = map[string]string{"unary": unaryCall, "stream": duplexCall}

func TestRFC9449_Section4_3_TheProofNamesTheMethodAsAURL(t *testing.T) {
	t.Parallel()
	key := tokentest.NewKey(t, "", "ES256")
	bound := token(t, map[string]any{"cnf": map[string]any{"jkt": key.Thumbprint(t)}})
	own := newCertificate(t)
	byTLS := rig{server: own.server(), client: own.client(nil)}
	public := everything
	public.URL = func(_ context.Context, fullMethod string) string {
		return "https://api.example.com:443/v1" + fullMethod
	}
	for name, row := range map[string]struct {
		rig      rig
		behind   bool // a proxy, whose URL the options tell
		htm, htu string
		ok       bool
	}{
		"without TLS":             {rig: rig{}, htm: "POST", htu: "http://HOST/METHOD", ok: true},
		"with TLS":                {rig: byTLS, htm: "POST", htu: "https://HOST/METHOD", ok: true},
		"as the client calls it":  {rig: rig{client: named("api.example.com")}, htm: "POST", htu: "http://api.example.com/METHOD", ok: true},
		"as a proxy calls it":     {rig: rig{}, behind: true, htm: "POST", htu: "https://api.example.com/v1/METHOD", ok: true},
		"as the proxy calls us":   {rig: rig{}, behind: true, htm: "POST", htu: "http://HOST/METHOD"},
		"another HTTP method":     {rig: rig{}, htm: "GET", htu: "http://HOST/METHOD"},
		"another method":          {rig: rig{}, htm: "POST", htu: "http://HOST/grpc.testing.TestService/Other"},
		"the service alone":       {rig: rig{}, htm: "POST", htu: "http://HOST/grpc.testing.TestService"},
		"another host":            {rig: rig{}, htm: "POST", htu: "http://api.example.com/METHOD"},
		"https without TLS":       {rig: rig{}, htm: "POST", htu: "https://HOST/METHOD"},
		"http with TLS":           {rig: byTLS, htm: "POST", htu: "http://HOST/METHOD"},
		"an authority with paths": {rig: rig{client: named("api.example.com/x?")}, htm: "POST", htu: "http://api.example.com/x"},
	} {
		for way, call := range doors {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				o := everything
				if row.behind {
					o = public
				}
				s := serve(t, newValidator(t, nil), o, row.rig)
				htu := strings.ReplaceAll(strings.ReplaceAll(row.htu, "/METHOD", methodOf[way]), "HOST", s.conn.Target())
				proof := key.Proof(t, nil, tokentest.ProofClaims(time.Now(), row.htm, htu, bound, nil))
				a := call(t, s, "authorization", "DPoP "+bound, "dpop", proof)
				if row.ok {
					s.wantAccepted(t, a, "hello user-1")
					return
				}
				s.wantRefused(t, a, codes.Unauthenticated, "INVALID_DPOP_PROOF", "invalid DPoP proof", dpopChallenge("invalid_dpop_proof", "invalid DPoP proof"))
			})
		}
	}
}

// named has a client call the server by another name.
func named(authority string) []grpc.DialOption {
	return []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority(authority)}
}

func TestRFC9449_Section4_3_OneProof(t *testing.T) {
	t.Parallel()
	key := tokentest.NewKey(t, "", "ES256")
	bound := token(t, map[string]any{"cnf": map[string]any{"jkt": key.Thumbprint(t)}})
	for way, call := range doors {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s := serve(t, newValidator(t, nil), everything, rig{})
			proof := func() string {
				return key.Proof(t, nil, tokentest.ProofClaims(time.Now(), "POST", "http://"+s.conn.Target()+methodOf[way], bound, nil))
			}
			refusal := dpopChallenge("invalid_dpop_proof", "invalid DPoP proof")
			for _, pairs := range [][]string{
				{"authorization", "DPoP " + bound},
				{"authorization", "DPoP " + bound, "dpop-bin", proof()},
				{"authorization", "DPoP " + bound, "dpop", proof(), "dpop", proof()},
				{"authorization", "DPoP " + bound, "dpop", proof() + ", " + proof()},
			} {
				s.wantRefused(t, call(t, s, pairs...), codes.Unauthenticated, "INVALID_DPOP_PROOF", "invalid DPoP proof", refusal)
			}
			const notShown = "bound to a key that was not shown"
			s.wantRefused(t, call(t, s, "authorization", "Bearer "+bound, "dpop", proof()), codes.Unauthenticated, "INVALID_TOKEN", notShown,
				dpopChallenge("invalid_token", notShown))
			s.wantAccepted(t, call(t, s, "authorization", "DPoP "+bound, "dpop", proof()), "hello user-1")
		})
	}
}

func TestRFC9449_Section7_1_AStreamThatExpiresIsChallengedInItsScheme(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const host = "api.example.com"
		s := serve(t, newValidator(t, nil), everything, rig{memory: true, client: named(host), service: &service{
			duplex: func(stream pb.TestService_FullDuplexCallServer) error {
				_, err := stream.Recv()
				return err
			},
		}})
		key := tokentest.NewKey(t, "", "ES256")
		claims := until(life)
		claims["cnf"] = map[string]any{"jkt": key.Thumbprint(t)}
		bound := token(t, claims)
		proof := key.Proof(t, nil, tokentest.ProofClaims(time.Now(), "POST", "http://"+host+duplexCall, bound, nil))
		client, err := s.client.FullDuplexCall(outgoing(t, "authorization", "DPoP "+bound, "dpop", proof))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := readAll(client.Recv); status.Code(err) != codes.Unauthenticated {
			t.Error(err)
		}
		if got, want := client.Trailer()["www-authenticate"], dpopChallenge("invalid_token", expiredMessage); len(got) != 1 || got[0] != want {
			t.Errorf("challenges %q, want %q", got, want)
		}
	})
}

func TestRFC9449_Section9_TheNonceIsInTheTrailer(t *testing.T) {
	t.Parallel()
	key := tokentest.NewKey(t, "", "ES256")
	bound := token(t, map[string]any{"cnf": map[string]any{"jkt": key.Thumbprint(t)}})
	for way, call := range doors {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s := serve(t, newValidator(t, func(c *validator.Config) { c.NonceKey = []byte(strings.Repeat("k", 32)) }), everything, rig{})
			with := func(nonce any) answer {
				claims := tokentest.ProofClaims(time.Now(), "POST", "http://"+s.conn.Target()+methodOf[way], bound, map[string]any{"nonce": nonce})
				return call(t, s, "authorization", "DPoP "+bound, "dpop", key.Proof(t, nil, claims))
			}
			const needed = "a DPoP proof with our nonce is needed"
			first := with(nil)
			s.wantRefused(t, first, codes.Unauthenticated, "USE_DPOP_NONCE", needed, dpopChallenge("use_dpop_nonce", needed))
			if len(first.trailer["dpop-nonce"]) != 1 {
				t.Fatalf("trailer %q", first.trailer)
			}
			s.wantAccepted(t, with(first.trailer["dpop-nonce"][0]), "hello user-1")
		})
	}
}

func TestRFC9449_Section11_1_OfManyUsesOfOneProofOnePasses(t *testing.T) {
	t.Parallel()
	key := tokentest.NewKey(t, "", "ES256")
	bound := token(t, map[string]any{"cnf": map[string]any{"jkt": key.Thumbprint(t)}})
	for way, call := range doors {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s := serve(t, newValidator(t, nil), everything, rig{})
			proof := key.Proof(t, nil, tokentest.ProofClaims(time.Now(), "POST", "http://"+s.conn.Target()+methodOf[way], bound, nil))
			var passed, refused atomic.Int32
			var all sync.WaitGroup
			for range 64 {
				all.Go(func() {
					switch a := call(t, s, "authorization", "DPoP "+bound, "dpop", proof); a.info.GetReason() {
					case "":
						passed.Add(1)
					case "INVALID_DPOP_PROOF":
						refused.Add(1)
					}
				})
			}
			all.Wait()
			if passed.Load() != 1 || refused.Load() != 63 {
				t.Errorf("%d passed, %d were refused", passed.Load(), refused.Load())
			}
		})
	}
}
