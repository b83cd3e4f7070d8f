package authserver_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/countermark/countermark/authserver"
)

// wantEvents demands these events, in this order, of now.
func (i *issuer) wantEvents(name string, got []authserver.Event, want ...authserver.Event) {
	i.t.Helper()
	for n := range want {
		want[n].Time = i.clock.Now()
	}
	if got, want := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); got != want {
		i.t.Errorf("%s:\ngot  %s\nwant %s", name, got, want)
	}
}

func TestAudit_SignIn(t *testing.T) {
	t.Parallel()
	var tr trail
	i := startWeb(t, "", tr.attach)
	b := i.browser()
	signIn := b.authorize(authParams(web))
	i.wantEvents("a page", tr.take())
	failed := authserver.Event{Type: authserver.EventSignIn, ClientID: web.id, Error: "access_denied", Reason: "wrong name or password"}
	for _, name := range []string{"alice", "nobody"} {
		b.submit(signIn, "username", name, "password", "wrong")
		i.wantEvents(name, tr.take(), failed)
	}
	b.submit(signIn, "username", "alice", "password", "alice-password")
	i.wantEvents("success", tr.take(), authserver.Event{Type: authserver.EventSignIn, ClientID: web.id, Subject: "sub-of-alice"})
	for range 10 {
		b = i.browser()
		b.submit(b.authorize(authParams(web)), "username", "eve", "password", "wrong")
	}
	tr.take()
	b.submit(b.authorize(authParams(web)), "username", "eve", "password", "wrong")
	failed.Reason = "too many attempts"
	i.wantEvents("throttled", tr.take(), failed)
}

func TestAudit_Consent(t *testing.T) {
	t.Parallel()
	var tr trail
	i := startWeb(t, "", tr.attach)
	b := i.browser()
	consent := b.signIn(b.authorize(authParams(web, "scope", "bills:read", "resource", billingAPI)), "alice")
	tr.take()
	want := authserver.Event{
		Type: authserver.EventConsent, ClientID: web.id, Subject: "sub-of-alice", Scope: "bills:read", Audience: []string{billingAPI}, Error: "access_denied",
	}
	b.submit(consent, "decision", "deny")
	i.wantEvents("no", tr.take(), want)
	want.Error = ""
	b.submit(consent, "decision", "allow")
	i.wantEvents("yes", tr.take(), want)
	b.authorize(authParams(web, "scope", "bills:read", "resource", billingAPI))
	i.wantEvents("remembered", tr.take())
	b.authorize(authParams(web, "prompt", "none"))
	i.wantEvents("nobody was asked", tr.take(), authserver.Event{
		Type: authserver.EventRefused, Path: "/authorize", Status: 400, ClientID: web.id, Error: "consent_required", Reason: "the person has to be asked, and prompt is none",
	})
}

func TestAudit_ACodeThatCameTwice(t *testing.T) {
	t.Parallel()
	var tr trail
	i := startWeb(t, "", tr.attach)
	code := i.code(web)
	tr.take()
	i.redeem(web, code)
	issued := tr.one(t)
	i.redeem(web, code)
	const refused = "the code is unknown, expired, used, or bound to another client, redirect_uri or code_verifier"
	i.wantEvents("replay", tr.take(),
		authserver.Event{
			Type: authserver.EventRevocation, ClientID: web.id, Subject: "sub-of-alice", Grant: issued.Grant, Error: "invalid_grant", Reason: "authorization code replayed",
		},
		authserver.Event{Type: authserver.EventRefused, Path: "/token", Status: 400, ClientID: web.id, Error: "invalid_grant", Reason: refused})
	for line := range strings.Lines(i.log.String()) {
		if strings.Contains(line, "replayed") != strings.Contains(line, `"level":"WARN"`) {
			t.Errorf("the level of %s", line)
		}
	}
}

func TestPoint38_EventsHoldNoSecretOfPeople(t *testing.T) {
	t.Parallel()
	var tr trail
	i := startWeb(t, "", tr.attach)
	secrets := append(signInEverywhere(i), "hint-canary", "state-canary", "Alice Canary", "canary@example.com")
	var out bytes.Buffer
	types := map[authserver.EventType]int{}
	for _, e := range tr.take() {
		types[e.Type]++
		if err := json.NewEncoder(&out).Encode(e); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%+v %#v %v\n", e, e, e.Cause)
	}
	for _, e := range []authserver.EventType{authserver.EventSignIn, authserver.EventConsent, authserver.EventTokenIssued, authserver.EventRefused, authserver.EventRevocation} {
		if types[e] == 0 {
			t.Errorf("no event %q among %v", e, types)
		}
	}
	for _, secret := range secrets {
		if secret == "" || strings.Contains(out.String(), secret) || strings.Contains(out.String(), url.QueryEscape(secret)) {
			t.Errorf("an event holds %q", secret)
		}
	}
}

func TestAudit_Device(t *testing.T) {
	t.Parallel()
	var tr trail
	i := startWeb(t, "", tr.attach)
	d := i.device(tv, "scope", "orders:read", "resource", ordersAPI)
	b := i.browser()
	b.enter("BBBB-BBBB")
	refused := authserver.Event{Type: authserver.EventRefused, Path: "/device", Status: 400, Error: "invalid_request", Reason: "the user code is unknown, expired or used"}
	i.wantEvents("a wrong code", tr.take(), refused)
	consent := b.consent(d.userCode)
	i.wantEvents("the sign-in", tr.take(), authserver.Event{Type: authserver.EventSignIn, ClientID: tv.id, Subject: "sub-of-alice"})
	d.poll()
	i.wantEvents("a poll", tr.take(), authserver.Event{
		Type: authserver.EventRefused, Path: "/token", Status: 400, ClientID: tv.id, Error: "authorization_pending", Reason: "the person has not answered yet",
	})
	b.submit(consent, "decision", "allow")
	want := authserver.Event{
		Type: authserver.EventConsent, ClientID: tv.id, Subject: "sub-of-alice", Scope: "orders:read", Audience: []string{ordersAPI},
	}
	i.wantEvents("yes", tr.take(), want)
	d.poll()
	issued := tr.one(t)
	if issued.Type != authserver.EventTokenIssued || issued.GrantType != deviceGrant || issued.Subject != "sub-of-alice" {
		t.Errorf("%+v", issued)
	}
	d.poll()
	i.wantEvents("replay", tr.take(),
		authserver.Event{
			Type: authserver.EventRevocation, ClientID: tv.id, Subject: "sub-of-alice", Grant: issued.Grant, Error: "invalid_grant", Reason: "device code replayed",
		},
		authserver.Event{Type: authserver.EventRefused, Path: "/token", Status: 400, ClientID: tv.id, Error: "invalid_grant", Reason: "the device_code is unknown, used, or another client's"})
	b.submit(b.enter(i.device(tv, "scope", "orders:read", "resource", ordersAPI).userCode), "decision", "deny")
	want.Error = "access_denied"
	i.wantEvents("no", tr.take(), want)
	for line := range strings.Lines(i.log.String()) {
		if strings.Contains(line, "authorization_pending") && !strings.Contains(line, `"level":"DEBUG"`) {
			t.Errorf("the level of %s", line)
		}
	}
}
