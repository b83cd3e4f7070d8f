package validator_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/validator"
)

var nonceKey = bytes.Repeat([]byte("canary!!"), 4)

func withNonces(c *validator.Config) { c.NonceKey = nonceKey }

// asksForNonce has a proof judged and returns the nonce that the refusal asks for.
func asksForNonce(t *testing.T, v *validator.Validator, c *client, proof string) string {
	t.Helper()
	tok, err := judgeProof(t, v, c, proof)
	e := wantRefused(t, tok, err, validator.ErrNonce)
	if e.Nonce == "" || len(e.Schemes) != 1 || e.Schemes[0] != "DPoP" {
		t.Fatalf("asks for nonce %q by schemes %q", e.Nonce, e.Schemes)
	}
	return e.Nonce
}

// The whole exchange of section 9: a proof without a nonce, the nonce, a proof
// with it. The first proof was not used up by it, and nonces may be used again.
func TestRFC9449_9_TheNonceOfTheServer(t *testing.T) {
	t.Parallel()
	c := newClient()
	var used proofs
	v := newValidator(t, func(cfg *validator.Config) { withNonces(cfg); cfg.Replay = &used })
	nonce := asksForNonce(t, v, c, c.proof(nil, nil))
	if used.asked.Load() != 0 {
		t.Error("the proof without a nonce was remembered")
	}
	for _, jti := range []string{"canary-proof", "another"} {
		if _, err := judgeProof(t, v, c, c.proof(nil, edits{"nonce": nonce, "jti": jti})); err != nil {
			t.Error(err)
		}
	}
}

// NQCHAR of RFC 6749 appendix A, as section 8.1 asks; and hard to guess.
func TestRFC9449_8_1_TheFormOfANonce(t *testing.T) {
	t.Parallel()
	c := newClient()
	seen := map[string]bool{}
	for minute := range 100 {
		v := newValidator(t, func(cfg *validator.Config) {
			withNonces(cfg)
			cfg.Now = func() time.Time { return noon.Add(time.Duration(minute) * time.Minute) }
		})
		c.token = minted(nil, edits{"exp": noon.Add(2 * time.Hour).Unix(), "cnf": edits{"jkt": thumbprint(c.jwk)}})
		nonce := asksForNonce(t, v, c, c.proof(nil, nil))
		if seen[nonce] || len(nonce) < 22 || strings.ContainsFunc(nonce, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
			t.Errorf("nonce %q", nonce)
		}
		seen[nonce] = true
	}
}

// A nonce is good for the minute that it was given in, and the next.
func TestRFC9449_9_TheLifeOfANonce(t *testing.T) {
	t.Parallel()
	c := newClient()
	now := noon
	v := newValidator(t, func(cfg *validator.Config) {
		withNonces(cfg)
		cfg.Now, cfg.Replay = func() time.Time { return now }, &proofs{}
	})
	for _, row := range []struct {
		given, shown time.Duration // after noon
		ok           bool
	}{
		{0, 0, true},
		{0, 59 * time.Second, true},
		{0, 60 * time.Second, true},
		{0, 119 * time.Second, true},
		{0, 120 * time.Second, false},
		{59 * time.Second, 60 * time.Second, true},
		{59 * time.Second, 119 * time.Second, true},
		{59 * time.Second, 120 * time.Second, false},
		{60 * time.Second, 59 * time.Second, false}, // of a replica whose clock is ahead: it gets another
		{60 * time.Second, 179 * time.Second, true},
		{60 * time.Second, 180 * time.Second, false},
	} {
		now = noon.Add(row.given)
		nonce := asksForNonce(t, v, c, c.proof(nil, nil))
		now = noon.Add(row.shown)
		tok, err := judgeProof(t, v, c, c.proof(nil, edits{"nonce": nonce}))
		if row.ok {
			if err != nil {
				t.Errorf("given %v after noon, shown %v: %v", row.given, row.shown, err)
			}
			continue
		}
		wantRefused(t, tok, err, validator.ErrNonce)
		if e, _ := errors.AsType[*validator.Error](err); e.Nonce == nonce {
			t.Errorf("given %v after noon, refused %v, and given again", row.given, row.shown)
		}
	}
}

func TestRFC9449_9_WrongNonces(t *testing.T) {
	t.Parallel()
	c := newClient()
	good := asksForNonce(t, newValidator(t, withNonces), c, c.proof(nil, nil))
	theirs := asksForNonce(t, newValidator(t, func(cfg *validator.Config) { cfg.NonceKey = bytes.Repeat([]byte("x"), 32) }), c, c.proof(nil, nil))
	for name, nonce := range map[string]string{
		"empty": "", "another": "abc", "of another key": theirs, "cut": good[1:], "longer": good + "A", "in another case": swapCase(good),
		"padded": good + "=", "twice": good + good, "very long": strings.Repeat("x", 4<<10),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if again := asksForNonce(t, newValidator(t, withNonces), c, c.proof(nil, edits{"nonce": nonce})); again != good {
				t.Errorf("given %q, want %q", again, good)
			}
		})
	}
	if _, err := judgeProof(t, newValidator(t, withNonces), c, c.proof(nil, edits{"nonce": good})); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

func swapCase(s string) string {
	return strings.Map(func(r rune) rune {
		if lower := strings.ToLower(string(r)); lower != string(r) {
			return rune(lower[0])
		}
		return rune(strings.ToUpper(string(r))[0])
	}, s)
}

// A nonce is for everybody, so who gets one learns nothing: but only a proof that
// is good in all other respects is worth one.
func TestRFC9449_9_ABadProofGetsNoNonce(t *testing.T) {
	t.Parallel()
	c := newClient()
	for name, proof := range map[string]string{
		"no proof": "", "a wrong signature": turned(c.proof(nil, nil)), "another method": c.proof(nil, edits{"htm": "PUT"}),
		"another URL": c.proof(nil, edits{"htu": target + "8"}), "another token": c.proof(nil, edits{"ath": hashOf("x")}),
		"expired": c.proof(nil, edits{"exp": noon.Add(-time.Hour).Unix()}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tok, err := judgeProof(t, newValidator(t, withNonces), c, proof)
			if e := wantRefused(t, tok, err, validator.ErrProof); e.Nonce != "" {
				t.Errorf("given nonce %q", e.Nonce)
			}
		})
	}
}

// Section 4.3, check 11: the nonce tells the proof's age, whatever its iat is.
func TestRFC9449_4_3_11_ANonceInThePlaceOfTheClientsClock(t *testing.T) {
	t.Parallel()
	c := newClient()
	nonce := asksForNonce(t, newValidator(t, withNonces), c, c.proof(nil, nil))
	for _, iat := range []time.Time{noon.Add(-24 * time.Hour), noon, noon.Add(24 * time.Hour)} {
		var used proofs
		v := newValidator(t, func(cfg *validator.Config) { withNonces(cfg); cfg.Replay = &used })
		if _, err := judgeProof(t, v, c, c.proof(nil, edits{"nonce": nonce, "iat": iat.Unix()})); err != nil {
			t.Errorf("iat %v: %v", iat, err)
		}
		if until := noon.Add(2 * time.Minute); used.expiry.Before(until) {
			t.Errorf("iat %v: remembered until %v, but the nonce is good until %v", iat, used.expiry, until)
		}
		tok, err := judgeProof(t, newValidator(t, withNonces), c, c.proof(nil, edits{"iat": iat.Unix()}))
		wantRefused(t, tok, err, validator.ErrNonce)
	}
}

func TestRFC9449_11_1_AProofWithANoncePassesOnce(t *testing.T) {
	t.Parallel()
	c := newClient()
	v := newValidator(t, withNonces)
	proof := c.proof(nil, edits{"nonce": asksForNonce(t, v, c, c.proof(nil, nil))})
	if _, err := judgeProof(t, v, c, proof); err != nil {
		t.Fatal(err)
	}
	tok, err := judgeProof(t, v, c, proof)
	wantRefused(t, tok, err, validator.ErrProof)
}

// Every replica with the key knows the nonces of the others, and a change of the
// caller's slice changes nothing.
func TestRFC9449_9_ReplicasShareTheKey(t *testing.T) {
	t.Parallel()
	c := newClient()
	own := bytes.Clone(nonceKey)
	first := newValidator(t, func(cfg *validator.Config) { cfg.NonceKey = own })
	nonce := asksForNonce(t, first, c, c.proof(nil, nil))
	clear(own)
	if again := asksForNonce(t, first, c, c.proof(nil, nil)); again != nonce {
		t.Error("the Validator shares the Config's key")
	}
	if _, err := judgeProof(t, newValidator(t, withNonces), c, c.proof(nil, edits{"nonce": nonce})); err != nil {
		t.Errorf("another replica: %v", err)
	}
}

func TestNonceKey_IsNotPrinted(t *testing.T) {
	t.Parallel()
	cfg := validator.Config{Issuer: issuer, NonceKey: bytes.Repeat([]byte{0xa5}, 32)}
	v := newValidator(t, func(c *validator.Config) { c.NonceKey = cfg.NonceKey })
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("made", "config", cfg)
	texts := map[string]string{"slog": log.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		texts["a Validator by "+verb] = fmt.Sprintf(verb, v)
		texts["a Config by "+verb] = fmt.Sprintf(verb, cfg)
	}
	for how, text := range texts {
		for _, secret := range []string{"165 165 165", "0xa5, 0xa5", "a5a5a5", "\xa5\xa5\xa5"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows %q", how, secret)
			}
		}
	}
	if text := fmt.Sprintf("%+v", cfg); !strings.Contains(text, "Issuer:"+issuer) || len(cfg.NonceKey) != 32 {
		t.Errorf("printed as %s", text)
	}
}
