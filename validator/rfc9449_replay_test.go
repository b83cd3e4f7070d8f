package validator_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/validator"
)

// judgeProof has a proof judged, at a request that it is good for.
func judgeProof(t *testing.T, v *validator.Validator, c *client, proof string) (*validator.Token, error) {
	t.Helper()
	return v.Authorize(t.Context(), c.shows(proof), validator.Requirement{})
}

func TestRFC9449_11_1_AProofPassesOnce(t *testing.T) {
	t.Parallel()
	c := newClient()
	v := newValidator(t, nil)
	proof := c.proof(nil, nil)
	if _, err := judgeProof(t, v, c, proof); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		tok, err := judgeProof(t, v, c, proof)
		wantRefused(t, tok, err, validator.ErrProof)
		if want := "validator: invalid DPoP proof: jti: used before"; err.Error() != want {
			t.Fatalf("refused with %q, want %q", err, want)
		}
	}
}

// All at once, on every core: exactly one passes.
func TestRFC9449_11_1_OneOf64AtOncePasses(t *testing.T) {
	t.Parallel()
	c := newClient()
	v := newValidator(t, nil)
	proof := c.proof(nil, nil)
	var passed, replayed atomic.Int32
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range 64 {
		wg.Go(func() {
			<-start
			switch _, err := judgeProof(t, v, c, proof); {
			case err == nil:
				passed.Add(1)
			case errors.Is(err, validator.ErrProof):
				replayed.Add(1)
			}
		})
	}
	close(start)
	wg.Wait()
	if passed.Load() != 1 || replayed.Load() != 63 {
		t.Errorf("%d passed and %d were replays, want 1 and 63", passed.Load(), replayed.Load())
	}
}

// What makes a proof another one, after one that was used.
func TestRFC9449_11_1_WhatIsAReplay(t *testing.T) {
	t.Parallel()
	c, other := newClient(), newClientWith("ES256", thiefsKey(), nil)
	for name, row := range map[string]struct {
		client *client
		claims edits
		show   func(*validator.Credentials)
		replay bool
	}{
		"the same claims, signed again": {client: c, replay: true},
		"another iat":                   {client: c, claims: edits{"iat": noon.Unix() - 1}, replay: true},
		"another query":                 {client: c, show: func(c *validator.Credentials) { c.URL += "?all" }, replay: true},
		"another nonce":                 {client: c, claims: edits{"nonce": "x"}, replay: true},
		"another jti":                   {client: c, claims: edits{"jti": "another"}},
		"jti in another case":           {client: c, claims: edits{"jti": "Canary-proof"}},
		"another key":                   {client: other},
		"another method": {client: c, claims: edits{"htm": "PUT"}, show: func(c *validator.Credentials) {
			c.Method = "PUT"
		}},
		"another target": {client: c, claims: edits{"htu": target + "8"}, show: func(c *validator.Credentials) {
			c.URL = target + "8"
		}},
		"one name in two places": {client: c, claims: edits{"htu": target + "c", "jti": "anary-proof"}, show: func(c *validator.Credentials) {
			c.URL = target + "c"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newValidator(t, nil)
			if _, err := judgeProof(t, v, c, c.proof(nil, nil)); err != nil {
				t.Fatal(err)
			}
			shown := row.client.shows(row.client.proof(nil, row.claims))
			if row.show != nil {
				row.show(&shown)
			}
			tok, err := v.Authorize(t.Context(), shown, validator.Requirement{})
			if row.replay {
				wantRefused(t, tok, err, validator.ErrProof)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// A proof that was refused for any reason may be shown again, once the reason is
// gone.
func TestRFC9449_11_1_ARefusedProofIsNotUsedUp(t *testing.T) {
	t.Parallel()
	c := newClient()
	v := newValidator(t, nil)
	proof := c.proof(nil, nil)
	for _, spoil := range []func(*validator.Credentials){
		func(c *validator.Credentials) { c.Method = "PUT" },
		func(c *validator.Credentials) { c.URL += "8" },
		func(c *validator.Credentials) { c.Scheme = "Bearer" },
		func(c *validator.Credentials) { c.Token = minted(nil, nil) },
		func(c *validator.Credentials) { c.Proof = turned(proof) },
	} {
		shown := c.shows(proof)
		spoil(&shown)
		if _, err := v.Authorize(t.Context(), shown, validator.Requirement{}); err == nil {
			t.Fatal("a spoilt request passed")
		}
	}
	if _, err := judgeProof(t, v, c, proof); err != nil {
		t.Error(err)
	}
}

// As long as a proof may pass it is remembered, whenever in its life it was used;
// clocks that differ included.
func TestRFC9449_11_1_RememberedAsLongAsItMayPass(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		ahead time.Duration // of its iat, when it is used
		last  time.Duration // when it passes for the last time, from then on
	}{
		"an old one":      {-80 * time.Second, 9 * time.Second},
		"a new one":       {0, 89 * time.Second},
		"one that is not": {30 * time.Second, 119 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClient()
				c.token = minted(nil, edits{
					"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(), "auth_time": nil, "cnf": edits{"jkt": thumbprint(c.jwk)},
				})
				v := newValidator(t, func(cfg *validator.Config) { cfg.Now = nil })
				claims := edits{"iat": time.Now().Add(row.ahead).Unix()}
				if _, err := judgeProof(t, v, c, c.proof(nil, claims)); err != nil {
					t.Fatal(err)
				}
				for waited := time.Duration(0); waited <= row.last; waited += time.Second {
					_, err := judgeProof(t, v, c, c.proof(nil, claims))
					if err == nil || err.Error() != "validator: invalid DPoP proof: jti: used before" {
						t.Fatalf("%v later: %v", waited, err)
					}
					time.Sleep(time.Second)
				}
				_, err := judgeProof(t, v, c, c.proof(nil, claims))
				if err == nil || err.Error() != "validator: invalid DPoP proof: iat: too long ago" {
					t.Errorf("afterwards: %v", err)
				}
			})
		})
	}
}

// A ReplayCache of the caller's is told until when the proof could pass, and a
// while longer: it may be slow, and its clock another.
func TestReplay_OfTheCallers(t *testing.T) {
	t.Parallel()
	c := newClient()
	var used proofs
	v := newValidator(t, func(cfg *validator.Config) {
		cfg.Replay, cfg.ProofAge, cfg.Leeway = &used, 10*time.Second, 5*time.Second
	})
	if _, err := judgeProof(t, v, c, c.proof(nil, edits{"iat": noon.Unix() + 5})); err != nil {
		t.Fatal(err)
	}
	if n := used.asked.Load(); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
	if want := noon.Add(20*time.Second + time.Minute); !used.expiry.Equal(want) {
		t.Errorf("told to remember the proof until %v, want %v", used.expiry, want)
	}
	first := used.hash
	if _, err := judgeProof(t, v, c, c.proof(nil, edits{"jti": "another"})); err != nil {
		t.Fatal(err)
	}
	if used.hash == first {
		t.Error("two proofs have one hash")
	}

	used.stale = true
	tok, err := judgeProof(t, v, c, c.proof(nil, nil))
	wantRefused(t, tok, err, validator.ErrProof)

	down := errors.New("no route to host")
	used.stale, used.err = false, down
	tok, err = judgeProof(t, v, c, c.proof(nil, nil))
	wantRefused(t, tok, err, validator.ErrUnavailable)
	if !errors.Is(err, down) {
		t.Errorf("%v does not wrap the cache's error", err)
	}
}

// A cache that is both sure and in error is not sure.
func TestReplay_AnErrorIsNoAnswer(t *testing.T) {
	t.Parallel()
	c := newClient()
	v := newValidator(t, func(cfg *validator.Config) { cfg.Replay = &proofs{stale: true, err: errors.New("down")} })
	tok, err := judgeProof(t, v, c, c.proof(nil, nil))
	wantRefused(t, tok, err, validator.ErrUnavailable)
}

// Replicas that share a ReplayCache let a proof pass once between them; those that
// do not, once each.
func TestReplay_AcrossReplicas(t *testing.T) {
	t.Parallel()
	c := newClient()
	for shared, want := range map[bool]int{true: 1, false: 3} {
		var cache memory
		passed := 0
		for range 3 {
			v := newValidator(t, func(cfg *validator.Config) {
				if shared {
					cfg.Replay = &cache
				}
			})
			if _, err := judgeProof(t, v, c, c.proof(nil, nil)); err == nil {
				passed++
			}
		}
		if passed != want {
			t.Errorf("shared %v: passed %d times, want %d", shared, passed, want)
		}
	}
}

// The token was judged before its proof: what a stranger shows is not remembered.
func TestReplay_IsNotAskedAboutStrangers(t *testing.T) {
	t.Parallel()
	var used proofs
	v := newValidator(t, func(cfg *validator.Config) { cfg.Replay = &used })
	c := newClient()
	c.token = mintedBy(&tokentest.Key{ID: kid, Alg: "ES256", Private: strangersKey()}, nil, edits{"cnf": edits{"jkt": thumbprint(c.jwk)}})
	tok, err := judgeProof(t, v, c, c.proof(nil, nil))
	wantRefused(t, tok, err, validator.ErrSignature)
	if used.asked.Load() != 0 {
		t.Error("asked")
	}
}

// What was refused for another reason may come again with the same proof: only a
// request that meets all else spends it.
func TestRFC9449_11_1_ARefusedRequestDoesNotSpendItsProof(t *testing.T) {
	t.Parallel()
	c := newClient()
	v := newValidator(t, func(cfg *validator.Config) {
		cfg.Introspector = &once{answer: goodAnswer(edits{"cnf": edits{"jkt": thumbprint(c.jwk)}})}
	})
	shown := c.shows(c.proof(nil, nil))
	for _, row := range []struct {
		require validator.Requirement
		want    error
	}{
		{validator.Requirement{Fresh: true}, validator.ErrUnavailable},
		{validator.Requirement{Scopes: []string{"canary:admin"}}, validator.ErrScope},
		{validator.Requirement{ACR: []string{"gold"}}, validator.ErrStepUp},
	} {
		tok, err := v.Authorize(t.Context(), shown, row.require)
		wantRefused(t, tok, err, row.want)
	}
	if _, err := v.Authorize(t.Context(), shown, validator.Requirement{Fresh: true}); err != nil {
		t.Error(err)
	}
	tok, err := v.Authorize(t.Context(), shown, validator.Requirement{})
	wantRefused(t, tok, err, validator.ErrProof)
}

// once is an Introspector that is out of reach the first time.
type once struct {
	answer string
	asked  atomic.Bool
}

func (o *once) Introspect(context.Context, string, bool) ([]byte, error) {
	if !o.asked.Swap(true) {
		return nil, errors.New("no route to host")
	}
	return []byte(o.answer), nil
}
