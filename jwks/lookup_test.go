package jwks_test

import (
	"fmt"
	"testing"

	"github.com/countermark/countermark/jwks"
)

func warmCache(t testing.TB, keys int) *jwks.Cache {
	t.Helper()
	set := make([]jwk, keys)
	one := ecJWK(t, "")
	for n := range set {
		set[n] = one.with(jwk{"kid": fmt.Sprint("kid-", n)})
	}
	set[keys-1] = jwkOf(t, "rsa", &rsaKey().PublicKey)
	c, _ := newCache(t, newIssuer(t, set...), jwks.Config{})
	if err := c.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestKeys_KnownKidMakesNoAllocation(t *testing.T) {
	c := warmCache(t, 1000)
	ctx := t.Context()
	for _, q := range [][2]string{{"kid-7", "ES256"}, {"kid-7", "RS256"}, {"rsa", "PS512"}, {"", "ES256"}, {"", "none"}} {
		if n := testing.AllocsPerRun(1000, func() { _, _ = c.Keys(ctx, q[0], q[1]) }); n != 0 {
			t.Errorf("%v: %v allocations", q, n)
		}
	}
}

func BenchmarkKeys(b *testing.B) {
	for _, keys := range []int{2, 1000} {
		c := warmCache(b, keys)
		ctx := b.Context()
		for name, q := range map[string][2]string{"kid": {"kid-0", "ES256"}, "last algorithm": {"rsa", "PS512"}, "no kid": {"", "ES256"}} {
			b.Run(fmt.Sprintf("%s/of %d", name, keys), func(b *testing.B) {
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if found, err := c.Keys(ctx, q[0], q[1]); err != nil || len(found) == 0 {
							b.Error(found, err)
						}
					}
				})
			})
		}
	}
}
