package authserver_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/tokentest"
)

// remote hides the type of a private key, as a KMS does, and may be down.
type remote struct {
	crypto.Signer
	err error
}

func (r remote) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if r.err != nil {
		return nil, r.err
	}
	return r.Signer.Sign(random, digest, opts)
}

func TestSigningKey_ElsewhereSigns(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"ES256", "RS256", "PS256", "EdDSA"} {
		k := key(t, alg, "")
		k.Signer = remote{Signer: k.Signer}
		i := start(t, "", withKeys(k))
		if err := i.verify(i.token(shop)); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

func TestSigningKey_ThatFailsIsAServerError(t *testing.T) {
	t.Parallel()
	k := key(t, "ES256", "k1")
	k.Signer = remote{k.Signer, errors.New("the HSM is gone")}
	i := start(t, "", withKeys(k))
	a := i.post("/token", shop, form("grant_type", "client_credentials"))
	if a.status != 500 || a.member("error") != "server_error" || strings.Contains(string(a.body), "HSM") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if log := i.log.String(); !strings.Contains(log, "the HSM is gone") || !strings.Contains(log, `"level":"ERROR"`) {
		t.Errorf("the log does not say why: %s", log)
	}
}

func TestSigningKey_Defaults(t *testing.T) {
	t.Parallel()
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for alg, signer := range map[string]crypto.Signer{"ES512": p521, "RS256": rsaKey, "EdDSA": ed} {
		i := start(t, "", withKeys(authserver.SigningKey{Signer: signer}))
		k, _ := i.keySet().Key(0)
		kid, _ := k.KeyID()
		thumbprint, err := k.Thumbprint(crypto.SHA256)
		if err != nil || kid != base64.RawURLEncoding.EncodeToString(thumbprint) {
			t.Errorf("%s: kid %q is not the RFC 7638 thumbprint, %v", alg, kid, err)
		}
		if header, _ := parts(t, i.token(shop)); header["alg"] != alg || header["kid"] != kid {
			t.Error(header)
		}
		public, err := jwk.PublicRawKeyOf(k)
		if err != nil || !public.(interface{ Equal(crypto.PublicKey) bool }).Equal(signer.Public()) {
			t.Errorf("%s: jwx reads another key: %v", alg, err)
		}
	}
	i := start(t, "")
	if header, _ := parts(t, i.token(shop)); header["alg"] != "ES256" {
		t.Errorf("without keys: %v", header)
	}
}

func TestGenerateKey(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"", "none", "HS256", "es256", "ES256K"} {
		if _, err := authserver.GenerateKey(alg); err == nil || !strings.Contains(err.Error(), "ES256, ") {
			t.Errorf("%q: %v", alg, err)
		}
	}
	one, two := key(t, "ES256", ""), key(t, "ES256", "")
	if one.Signer.(*ecdsa.PrivateKey).Equal(two.Signer) {
		t.Error("the same key twice")
	}
}

func TestSigningKey_PrintsWithoutTheKey(t *testing.T) {
	t.Parallel()
	k := key(t, "EdDSA", "k1")
	private := []byte(k.Signer.(ed25519.PrivateKey))[:9]
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", k, "keys", []authserver.SigningKey{k}, "config", authserver.Config{Keys: []authserver.SigningKey{k}, Now: nil})
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", k, "keys", []authserver.SigningKey{k})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		fmt.Fprintf(&log, verb, k)
		fmt.Fprintf(&log, verb, authserver.Config{Keys: []authserver.SigningKey{k}})
	}
	for _, form := range []string{string(private), fmt.Sprintf("%x", private), base64.StdEncoding.EncodeToString(private), strings.Trim(fmt.Sprintf("%d", private), "[]")} {
		if strings.Contains(log.String(), form) {
			t.Errorf("%q is in the clear", form)
		}
	}
	if k.String() != "authserver.SigningKey(EdDSA k1)" {
		t.Error(k.String())
	}
}

func TestRotateKeys_Now(t *testing.T) {
	t.Parallel()
	i := start(t, "", withKeys(key(t, "ES256", "one"), key(t, "RS256", "idle")))
	before := i.token(shop)
	if err := i.RotateKeys(t.Context(), key(t, "PS256", "two"), authserver.RotateNow); err != nil {
		t.Fatal(err)
	}
	after := i.token(shop)
	if header, _ := parts(t, after); header["kid"] != "two" || i.kids() != "one idle two" {
		t.Errorf("%v signs, %s are published", header["kid"], i.kids())
	}
	for _, token := range []string{before, after} {
		if err := i.verify(token); err != nil || !i.active(orders, token) {
			t.Errorf("a token is lost: %v", err)
		}
	}
	i.clock.Advance(15 * time.Minute)
	if got := i.kids(); got != "idle two" {
		t.Errorf("%s are published after the last token of the first key", got)
	}
}

func TestRotateKeys_AndWithdraw(t *testing.T) {
	t.Parallel()
	i := start(t, "", withKeys(key(t, "ES256", "one"), key(t, "RS256", "idle")))
	before := i.token(shop)
	if err := i.RotateKeys(t.Context(), key(t, "ES256", "pending"), authserver.RotateScheduled); err != nil {
		t.Fatal(err)
	}
	if err := i.RotateKeys(t.Context(), key(t, "ES256", "two"), authserver.RotateAndWithdraw); err != nil {
		t.Fatal(err)
	}
	if got := i.kids(); got != "two" {
		t.Errorf("%s are published", got)
	}
	if i.verify(before) == nil || i.active(orders, before) {
		t.Error("a token of a withdrawn key is good")
	}
	if after := i.token(shop); i.verify(after) != nil || !i.active(orders, after) {
		t.Error("a token of the new key is not")
	}
}

// A key that got out does not come back, neither as itself nor in name.
func TestRotateKeys_WhatWasWithdrawnStaysSo(t *testing.T) {
	t.Parallel()
	one, idle, two := key(t, "ES256", "one"), key(t, "RS256", "idle"), key(t, "ES256", "two")
	i := start(t, "", withKeys(one, idle))
	if err := i.RotateKeys(t.Context(), two, authserver.RotateAndWithdraw); err != nil {
		t.Fatal(err)
	}
	renamed := one
	renamed.ID = "fresh"
	for name, k := range map[string]authserver.SigningKey{"itself": one, "idle": idle, "renamed": renamed, "its name": key(t, "ES256", "one")} {
		for _, how := range []authserver.Rotation{authserver.RotateScheduled, authserver.RotateNow, authserver.RotateAndWithdraw} {
			if err := i.RotateKeys(t.Context(), k, how); err == nil || !strings.HasSuffix(err.Error(), "was withdrawn") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if i.kids() != "two" {
		t.Errorf("%s are published", i.kids())
	}
}

// A key that was published ahead takes over, in every way, and only as itself.
func TestRotateKeys_ToAKeyOfTheConfiguration(t *testing.T) {
	t.Parallel()
	one, next := key(t, "ES256", "one"), key(t, "RS256", "next")
	for how, want := range map[authserver.Rotation][2]string{
		authserver.RotateScheduled: {"one", "one next"}, authserver.RotateNow: {"next", "one next"}, authserver.RotateAndWithdraw: {"next", "next"},
	} {
		i := start(t, "", withKeys(one, next))
		other := next
		other.Algorithm = "PS256"
		for _, k := range []authserver.SigningKey{one, key(t, "RS256", "next"), other} {
			if err := i.RotateKeys(t.Context(), k, how); err == nil || !strings.Contains(err.Error(), "SigningKey.ID: ") {
				t.Errorf("%v: %v", k, err)
			}
		}
		if err := i.RotateKeys(t.Context(), next, how); err != nil {
			t.Fatal(err)
		}
		if header, _ := parts(t, i.token(shop)); header["kid"] != want[0] || i.kids() != want[1] {
			t.Errorf("%v signs, %s are published; want %v", header["kid"], i.kids(), want)
		}
		i.clock.Advance(15 * time.Minute)
		if header, _ := parts(t, i.token(shop)); header["kid"] != "next" {
			t.Errorf("%v signs in the end", header["kid"])
		}
	}
}

func TestRotateKeys_NowOvertakesAScheduledKey(t *testing.T) {
	t.Parallel()
	i := start(t, "", withKeys(key(t, "ES256", "one")))
	for _, step := range []struct {
		kid string
		how authserver.Rotation
	}{{"two", authserver.RotateScheduled}, {"three", authserver.RotateNow}} {
		if err := i.RotateKeys(t.Context(), key(t, "ES256", step.kid), step.how); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if header, _ := parts(t, i.token(shop)); header["kid"] != "three" || strings.Contains(i.kids(), "two") {
			t.Errorf("%v signs, %s are published", header["kid"], i.kids())
		}
		i.clock.Advance(time.Hour)
	}
}

func TestRotateKeys_ScheduledKeysTakeTheirTurns(t *testing.T) {
	t.Parallel()
	i := start(t, "", withKeys(key(t, "ES256", "one")))
	for _, kid := range []string{"two", "three"} {
		if err := i.RotateKeys(t.Context(), key(t, "ES256", kid), authserver.RotateScheduled); err != nil {
			t.Fatal(err)
		}
		i.clock.Advance(10 * time.Minute)
	}
	var signers []string
	for range 4 { // at 20, 25, 30, 35 minutes: two since 15, three since 25
		header, _ := parts(t, i.token(shop))
		signers = append(signers, fmt.Sprint(header["kid"]))
		i.clock.Advance(5 * time.Minute)
	}
	if got := strings.Join(signers, " "); got != "two three three three" {
		t.Errorf("signed by %s", got)
	}
}

func TestRotateKeys_Errors(t *testing.T) {
	t.Parallel()
	k := key(t, "ES256", "one")
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := start(t, "", withKeys(k))
	for name, c := range map[string]struct {
		key  authserver.SigningKey
		how  authserver.Rotation
		want string
	}{
		"no key":          {authserver.SigningKey{}, authserver.RotateNow, "SigningKey.Signer: required"},
		"the same kid":    {key(t, "ES256", "one"), authserver.RotateNow, "SigningKey.ID: "},
		"withdrawn kid":   {key(t, "ES256", "one"), authserver.RotateAndWithdraw, "SigningKey.ID: "},
		"wrong algorithm": {authserver.SigningKey{Algorithm: "RS256", Signer: k.Signer}, authserver.RotateNow, "SigningKey.Algorithm: "},
		"none":            {authserver.SigningKey{Algorithm: "none", Signer: k.Signer}, authserver.RotateNow, "SigningKey.Algorithm: "},
		"short RSA key":   {authserver.SigningKey{Signer: tokentest.WeakRSA(t)}, authserver.RotateNow, "SigningKey.Signer: "},
		"P-224":           {authserver.SigningKey{Signer: p224}, authserver.RotateNow, "SigningKey.Signer: "},
		"another way":     {key(t, "ES256", "two"), authserver.Rotation(7), "unknown Rotation"},
	} {
		err := i.RotateKeys(t.Context(), c.key, c.how)
		if err == nil || !strings.HasPrefix(err.Error(), "authserver: RotateKeys: "+c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if header, _ := parts(t, i.token(shop)); header["kid"] != "one" || i.kids() != "one" {
		t.Error("a failed rotation changed something")
	}
}

// Whoever gets a token finds its key in the set, however often keys change.
func TestRotateKeys_UnderLoad(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 25 {
				if err := i.verify(i.token(shop)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for n := range 50 {
			if err := i.RotateKeys(t.Context(), key(t, "ES256", ""), authserver.Rotation(n%2)); err != nil {
				t.Error(err)
			}
			i.clock.Advance(time.Second)
		}
	})
	wg.Wait()
}

// A signer that is a nil pointer, as a key that failed to load may be, is told
// from a good one before it is used.
func TestSigningKey_NilOfItsType(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		signer crypto.Signer
		want   string
	}{
		"nil":                     {nil, "required"},
		"ECDSA":                   {(*ecdsa.PrivateKey)(nil), "required"},
		"RSA":                     {(*rsa.PrivateKey)(nil), "required"},
		"Ed25519":                 {ed25519.PrivateKey(nil), "required"},
		"one of a KMS":            {(*remote)(nil), "required"},
		"Ed25519, cut":            {make(ed25519.PrivateKey, 31), "an ed25519.PrivateKey of 31 bytes"},
		"ECDSA, empty":            {&ecdsa.PrivateKey{}, "a *ecdsa.PublicKey of this curve or size is not supported"},
		"ECDSA without a point":   {&ecdsa.PrivateKey{PublicKey: ecdsa.PublicKey{Curve: elliptic.P256()}}, "public key: "},
		"RSA, empty":              {&rsa.PrivateKey{}, "a *rsa.PublicKey of this curve or size is not supported"},
		"without a public key":    {public{nil}, "a <nil> of this curve or size is not supported"},
		"a nil public key":        {public{(*ecdsa.PublicKey)(nil)}, "a *ecdsa.PublicKey of this curve or size is not supported"},
		"a public key by value":   {public{ecdsa.PublicKey{Curve: elliptic.P256()}}, "a ecdsa.PublicKey of this curve or size is not supported"},
		"Ed25519, a public of 31": {public{make(ed25519.PublicKey, 31)}, "a ed25519.PublicKey of this curve or size is not supported"},
	} {
		k := authserver.SigningKey{Signer: c.signer}
		_, err := authserver.New(authserver.Config{Issuer: "https://issuer.example", Keys: []authserver.SigningKey{k}})
		if err == nil || !strings.HasPrefix(err.Error(), "authserver: Config.Keys[0].Signer: "+c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err := start(t, "").RotateKeys(t.Context(), k, authserver.RotateNow); err == nil || !strings.HasPrefix(err.Error(), "authserver: RotateKeys: SigningKey.Signer: "+c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// public is a signer with any public key.
type public struct{ key crypto.PublicKey }

func (p public) Public() crypto.PublicKey { return p.key }

func (public) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("cannot sign")
}
