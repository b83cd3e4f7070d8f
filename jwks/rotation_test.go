package jwks_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermark/countermark/jwks"
)

func TestRefresh_ADayOfThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, ecJWK(t, "a"))
		c, _ := newCache(t, i, jwks.Config{Issuer: issuerURL})
		mustFind(t, c, "a", "ES256")
		time.Sleep(24 * time.Hour)

		asked := i.fetches()
		const interval, tick = 15 * time.Minute, 2 * time.Second
		for n := 1; n < len(asked); n++ {
			if d := asked[n].Sub(asked[n-1]); d < interval*72/100 || d > interval*88/100+tick {
				t.Errorf("refresh %d came after %v", n, d)
			}
		}
		if len(asked) < 109 || len(asked) > 134 {
			t.Errorf("%d fetches in a day", len(asked))
		}
		seen := map[time.Duration]bool{}
		for n := 1; n < len(asked); n++ {
			seen[asked[n].Sub(asked[n-1]).Round(10*time.Second)] = true
		}
		if len(seen) < 5 {
			t.Errorf("no jitter: only %d different intervals", len(seen))
		}
		if n := int(i.metadata.Load()); n != len(asked) {
			t.Errorf("metadata was read %d times for %d refreshes", n, len(asked))
		}
	})
}

func TestRefresh_HonoursCacheControl(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		header   http.Header
		interval time.Duration
		want     time.Duration
	}{
		"max-age":          {http.Header{"Cache-Control": {"public, max-age=3600"}}, 0, time.Hour},
		"max-age too long": {http.Header{"Cache-Control": {"max-age=31536000"}}, 0, 24 * time.Hour},
		"max-age of 0":     {http.Header{"Cache-Control": {"max-age=0"}}, 0, time.Minute},
		"no-store":         {http.Header{"Cache-Control": {"no-store"}}, time.Hour, time.Minute},
		"none":             {nil, 0, 15 * time.Minute},
		"none, Interval":   {nil, 4 * time.Hour, 4 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				i := newIssuer(t, ecJWK(t, "a"))
				i.header = row.header
				c, _ := newCache(t, i, jwks.Config{Interval: row.interval})
				mustFind(t, c, "a", "ES256")
				time.Sleep(row.want*72/100 - time.Millisecond)
				if n := len(i.fetches()); n != 1 {
					t.Errorf("%d fetches before the refresh is due", n)
				}
				time.Sleep(row.want*16/100 + 2*time.Second)
				if n := len(i.fetches()); n != 2 {
					t.Errorf("%d fetches after the refresh was due", n)
				}
			})
		})
	}
}

func TestRotation_NewKeyIsTakenWithItsFirstToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, ecJWK(t, "a"))
		c, _ := newCache(t, i, jwks.Config{})
		mustFind(t, c, "a", "ES256")
		time.Sleep(time.Minute)
		i.publish(t, ecJWK(t, "a"), ecJWK(t, "b"))
		start := time.Now()
		mustFind(t, c, "b", "ES256")
		if d := time.Since(start); d >= time.Second {
			t.Errorf("seen after %v", d)
		}
	})
}

func TestRotation_WithdrawnKeyStopsWithTheNextFetch(t *testing.T) {
	t.Parallel()
	for name, next := range map[string][]jwk{"one stays": {ecJWK(t, "b")}, "none stays": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t, ecJWK(t, "a"), ecJWK(t, "b"))
			c, _ := newCache(t, i, jwks.Config{})
			mustFind(t, c, "a", "ES256")
			i.publish(t, next...)
			if err := c.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			mustLack(t, c, "a", "ES256")
		})
	}
}

func TestRotation_KidThatChangesItsKey(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, ecJWK(t, "a"))
	c, _ := newCache(t, i, jwks.Config{})
	before := mustFind(t, c, "a", "ES256").(*ecdsa.PublicKey)
	i.publish(t, ecJWK(t, "a"))
	if err := c.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := mustFind(t, c, "a", "ES256").(*ecdsa.PublicKey); after == before || after.Equal(before) {
		t.Error("the old key is still there")
	}
}

func TestRotation_UnchangedKeyStaysTheSameOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, e, d := jwkOf(t, "r", &rsaKey().PublicKey), ecJWK(t, "e"), jwkOf(t, "d", newEd(t))
		i := newIssuer(t, r, e, d)
		c, _ := newCache(t, i, jwks.Config{})
		lookup := func() (keys [3]any, slices [3]any) {
			for n, q := range [][2]string{{"r", "RS256"}, {"e", "ES256"}, {"d", "EdDSA"}} {
				found, err := c.Keys(t.Context(), q[0], q[1])
				if err != nil || len(found) != 1 {
					t.Fatalf("%v: %d keys, %v", q, len(found), err)
				}
				slices[n] = &found[0]
				switch k := found[0].(type) {
				case *rsa.PublicKey, *ecdsa.PublicKey:
					keys[n] = k
				case ed25519.PublicKey:
					keys[n] = &k[0]
				}
			}
			return keys, slices
		}
		keys, slices := lookup()
		for what, next := range map[string][]jwk{
			"nothing changed":     {r, e, d},
			"another order":       {d, r, e},
			"one more":            {ecJWK(t, "new"), d, r, e},
			"a member to ignore":  {r.with(jwk{"x5t": "AAAA"}), e, d},
			"alg, where it is it": {r, e.with(jwk{"alg": "ES256"}), d},
		} {
			i.publish(t, next...)
			if err := c.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			k, s := lookup()
			if k != keys || s != slices {
				t.Errorf("%s: a key is another one", what)
			}
		}
		i.publish(t, r.with(jwk{"alg": "PS256"}), e, d)
		if err := c.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		mustLack(t, c, "r", "RS256")
	})
}

// A fetch that is on its way may have been answered before the issuer rotated:
// it cannot tell that there is no such key.
func TestRotation_DuringAFetch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, ecJWK(t, "a"))
		c, _ := newCache(t, i, jwks.Config{})
		mustFind(t, c, "a", "ES256")
		time.Sleep(time.Minute)
		i.change(func() { i.delay = time.Second })
		go func() { _, _ = c.Keys(t.Context(), "unknown", "ES256") }()
		time.Sleep(time.Second / 2)
		i.publish(t, ecJWK(t, "b"))
		mustFind(t, c, "b", "ES256")
		if n := len(i.fetches()); n != 3 {
			t.Errorf("%d fetches, want 3", n)
		}
	})
}
