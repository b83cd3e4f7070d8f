package dpop

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestNonces_PrintWithoutTheirKey(t *testing.T) {
	t.Parallel()
	p := &Policy{Nonces: NewNonces(bytes.Repeat([]byte{0xa5}, MinNonceKey))}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		text := fmt.Sprintf(verb, p) + fmt.Sprintf(verb, p.Nonces)
		for _, secret := range []string{"165 165 165", "0xa5, 0xa5", "a5a5a5", "\xa5\xa5\xa5"} {
			if strings.Contains(text, secret) {
				t.Errorf("%q shows %q", verb, secret)
			}
		}
	}
}

// A proof is remembered for as long as it passes, wherever in its life it came.
func TestPolicy_MemoryIsAsLongAsAnyProof(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	for _, p := range []Policy{
		{}, {Age: time.Minute}, {Age: time.Hour, Leeway: 5 * time.Minute}, {Age: time.Second, Nonces: NewNonces(make([]byte, MinNonceKey))},
	} {
		says := payload{iat: now.Add(p.Leeway)}
		if p.Nonces != nil {
			says.nonce = p.Nonces.At(now)
		}
		end, err := p.end(&says, now)
		if p.Age == 0 {
			if err == nil {
				t.Error("a proof of no age passes")
			}
			continue
		}
		if err != nil || end.Add(ReplayMargin).After(now.Add(p.Memory())) {
			t.Errorf("%+v: passes until %v, remembered for %v: %v", p, end.Sub(now), p.Memory(), err)
		}
	}
}
