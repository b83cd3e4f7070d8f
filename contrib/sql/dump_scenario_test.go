package sqlstore_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/countermark/countermark/authserver"
	sqlstore "github.com/countermark/countermark/contrib/sql"
	"github.com/countermark/countermark/internal/issuertest"
)

// A watcher is the way to a server, and keeps the cookies that come back.
type watcher struct {
	issuertest.Direct
	mu      sync.Mutex
	cookies []string
}

func (w *watcher) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.Direct.RoundTrip(r)
	if err == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, c := range resp.Cookies() {
			w.cookies = append(w.cookies, c.Value)
		}
	}
	return resp, err
}

// Of all secrets that an issuer hands out or takes in, a dump holds at most the
// digest.
func TestDump_AfterAWholeScenario(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, create func(testing.TB) database) {
		t.Helper()
		db, ctx, i := create(t), t.Context(), issuertest.New(t)
		encryption := make([]byte, 32)
		_, _ = rand.Read(encryption)
		store := db.open(t, &sqlstore.Options{KeyEncryptionKey: encryption})
		server := i.Server(t, store, nil)
		way := &watcher{Direct: issuertest.Direct{Handler: server}}
		web, kiosk, shop := i.Web.At(way), i.Kiosk.At(way), (&issuertest.App{ID: "shop", Secret: clientSecret}).At(way)
		if err := putShop(ctx, store, "opaque"); err != nil {
			t.Fatal(err)
		}

		kept := map[string]string{} // those whose digest is there, by what they are
		hidden := map[string][]byte{
			"the password": []byte(issuertest.Password), "the secret of web": []byte(web.Secret), "the secret of kiosk": []byte(kiosk.Secret),
			"the encryption key": encryption,
		}
		token := func(what string, a *issuertest.Answer, members ...string) {
			t.Helper()
			for _, member := range members {
				if kept[what+": "+member] = a.Text(member); a.Text(member) == "" {
					t.Fatalf("%s: %s has no %s", what, a.Outcome(), member)
				}
			}
		}
		code := must(web.Code(ctx))(t)
		redeemed := must(web.Redeem(ctx, code))(t)
		rotated := must(web.Refresh(ctx, redeemed.Text("refresh_token")))(t)
		token("web", redeemed, "refresh_token")
		token("web, rotated", rotated, "refresh_token")
		hidden["a JWT"] = []byte(rotated.Text("access_token"))
		_, signature, _ := strings.Cut(rotated.Text("access_token"), ".")
		hidden["what a JWT ends in"] = []byte(signature)
		token("web, again", must(web.Refresh(ctx, rotated.Text("refresh_token")))(t), "refresh_token")
		wantOutcome(t, "reuse", must(web.Refresh(ctx, redeemed.Text("refresh_token")))(t), "400 invalid_grant") // which leaves a notice

		pushed := must(kiosk.Push(ctx))(t)
		pushedCode := must(kiosk.PushedCode(ctx, pushed))(t)
		opaque := must(kiosk.Redeem(ctx, pushedCode))(t)
		token("kiosk", opaque, "access_token", "refresh_token")
		token("kiosk, rotated", must(kiosk.Refresh(ctx, opaque.Text("refresh_token")))(t), "access_token", "refresh_token")
		token("shop", must(shop.Post(ctx, "/token", url.Values{"grant_type": {"client_credentials"}}, nil))(t), "access_token")
		hidden["the secret of shop"] = []byte(clientSecret)
		kept["a code"], kept["the code of a pushed request"], kept["a code that is left"] = code, pushedCode, must(web.Code(ctx))(t)
		kept["a request_uri"] = pushed
		_, reference, _ := strings.Cut(pushed, "request_uri:")
		hidden["what a request_uri ends in"] = []byte(reference)

		deviceCode, userCode, err := kiosk.Device(ctx)
		if err != nil {
			t.Fatal(err)
		}
		token("device", must(kiosk.RedeemDevice(ctx, deviceCode))(t), "access_token", "refresh_token")
		kept["a device code"], kept["a user code"] = deviceCode, userCode
		hidden["a user code without its dash"] = []byte(strings.ReplaceAll(userCode, "-", ""))

		asserted, assertion, proof := i.ClientAssertion(t), i.Assertion(t), i.Proof(t)
		asserted.Set("grant_type", "client_credentials")
		for what, a := range map[string]*issuertest.Answer{
			"a client assertion": must(web.Post(ctx, "/token", asserted, nil))(t),
			"an assertion":       must(web.Post(ctx, "/token", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion}}, nil))(t),
			"a proof":            must(web.Post(ctx, "/token", url.Values{"grant_type": {"client_credentials"}}, http.Header{"Dpop": {proof}}))(t),
		} {
			wantOutcome(t, what, a, "200")
		}
		hidden["a client assertion"], hidden["an assertion"], hidden["a proof"] = []byte(asserted.Get("client_assertion")), []byte(assertion), []byte(proof)

		if err := server.RotateKeys(ctx, generate(t, "next", "ES256"), authserver.RotateNow); err != nil {
			t.Fatal(err)
		}
		keys, _, err := store.SigningKeys(ctx, 0)
		if err != nil || len(keys) != 2 {
			t.Fatalf("%d keys, %v", len(keys), err)
		}
		for _, k := range keys {
			scalar, err := k.Signer.(*ecdsa.PrivateKey).Bytes()
			if err != nil {
				t.Fatal(err)
			}
			hidden["the signing key "+k.ID] = scalar
		}
		if len(way.cookies) == 0 {
			t.Fatal("no cookie")
		}
		for n, c := range way.cookies {
			hidden[fmt.Sprint("cookie ", n)] = []byte(c)
		}
		kept["the cookie of a session"] = way.cookies[len(way.cookies)-1]
		for what, secret := range kept {
			hidden[what] = []byte(secret)
		}

		for name, dump := range dumps(t, db) {
			for what, secret := range hidden {
				if holds(dump, secret) {
					t.Errorf("%s hold %s", name, what)
				}
			}
			for what, secret := range kept {
				if digest := authserver.HashOf(issuertest.URL + "\x00" + secret); !bytes.Contains(dump, digest[:]) {
					t.Errorf("%s do not hold the digest of %s: it was not kept where this looks", name, what)
				}
			}
			for _, text := range []string{"sub-of-alice", "orders:read"} {
				if !bytes.Contains(dump, []byte(text)) {
					t.Errorf("%s do not hold %s: they are of nothing", name, text)
				}
			}
		}
	})
}
