package interop_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/countermark/countermark/authserver"
)

// focused says which element has the focus.
const focused = `(e => e === document.body ? "" : e.name + (e.value && e.type === "submit" ? "=" + e.value : "") || e.innerText)(document.activeElement)`

// focusRing is how wide the line around the element with the focus is.
const focusRing = `(s => s.outlineStyle === "none" ? 0 : parseFloat(s.outlineWidth))(getComputedStyle(document.activeElement))`

// wantFocus presses Tab, and demands that the focus goes where it should be seen.
func (b *tab) wantFocus(order ...string) {
	b.t.Helper()
	for _, want := range order {
		b.press(kb.Tab)
		if got := eval[string](b, focused); got != want {
			b.t.Errorf("Tab leads to %q, want %q", got, want)
		}
		if ring := eval[float64](b, focusRing); want != "" && ring < 2 {
			b.t.Errorf("the focus on %q is hard to see: %v px", want, ring)
		}
	}
}

func (s *site) keyboard() {
	b := s.window()
	b.open(s.request())
	b.waitForFocus()
	if got := eval[string](b, focused); got != "username" {
		s.t.Errorf("the focus is first on %q", got)
	}
	b.shiftTab()
	b.shiftTab()
	b.shiftTab()
	if got := eval[string](b, focused); got != "as=alice" {
		s.t.Errorf("before it is %q", got)
	}
	b.wantFocus("as=bob", "as=carol", "username", "password", "Sign in", "")
	b = s.window()
	b.open(s.request())
	b.waitForFocus()
	b.press("alice", kb.Tab, "wonderland")
	b.leads(chromedp.KeyEvent(kb.Enter))
	b.wantPage(headConsent)
	b.wantFocus("decision=switch", "decision=allow", "decision=deny", "")
	b.wantFocus("decision=switch", "decision=allow")
	b.leads(chromedp.KeyEvent(kb.Enter))
	b.wantAnswer(s.app+"/cb", "state", pagesState)
	b.open(s.issuer + "/device?user_code=" + s.device())
	b.wantFocus("user_code", "Continue", "")
}

// A gallery keeps pictures of pages.
type gallery struct {
	*tab
	dir string
}

// screenshots returns the folder for pictures, which somebody looks at afterwards.
func (s *site) screenshots() string {
	dir := os.Getenv("COUNTERMARK_SCREENSHOTS")
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "countermark-pages"); err != nil {
			s.t.Fatal(err)
		}
	}
	s.t.Logf("screenshots: %s", dir)
	return dir
}

// look shows every page in every form that it has, for somebody to see, and holds
// what a machine can see against the rules.
func (s *site) look() {
	dir := s.screenshots()
	b := &gallery{tab: s.window(), dir: dir}
	b.open(s.request())
	b.show("signin")
	b.signIn("alice", "x")
	b.show("signin-wrong")
	other := b.another()
	other.open(s.request())
	b.signIn("alice", "wonderland")
	b.show("consent")
	(&gallery{tab: other, dir: dir}).after(func() { other.click(asBob) }).show("error-continue")
	b.open(s.request("scope", "openid profile email offline_access orders:read orders:write"))
	b.show("consent-openid")
	b.open(s.request("client_id", "long", "scope", strings.Repeat("orders:read:all:", 9)))
	b.show("consent-long")
	stranger := s.stranger()
	b.open(s.request("client_id", stranger, "scope", "orders:read"))
	b.show("consent-stranger")
	b.open(s.issuer + "/device?user_code=" + s.deviceOf(stranger))
	b.click(sendButton)
	b.show("device-consent-stranger")
	b.open(s.request("client_id", "nobody"))
	b.show("error")
	b.open(s.issuer + "/device")
	b.show("device")
	b.open(s.issuer + "/device?user_code=" + s.device())
	b.show("device-filled")
	b.click(sendButton)
	b.show("device-consent")
	b.click(allowButton)
	b.show("device-done")
	b.open(s.issuer + "/device?user_code=BBBB-BBBB")
	b.click(sendButton)
	b.show("device-wrong")
	b.open(s.issuer + "/device?user_code=" + s.device())
	b.click(sendButton)
	b.click(denyButton)
	b.show("device-denied")

	call(b.tab, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.open(s.request("response_mode", "form_post"))
	b.click(allowButton)
	b.show("form-post")
	call(b.tab, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: false})

	b.open(s.request("prompt", "login"))
	b.click(asCarol)
	b.click(allowButton)
	code := b.wantAnswer(s.app + "/cb").Get("code")
	first := s.post("/token", "grant_type", "authorization_code", "code", code, "redirect_uri", s.app+"/cb", "code_verifier", pagesVerifier)["refresh_token"]
	refresh := func(token any) any {
		text, _ := token.(string)
		return s.post("/token", "grant_type", "refresh_token", "refresh_token", text)["refresh_token"]
	}
	refresh(refresh(first))
	refresh(first)
	b.open(s.request("prompt", "login"))
	b.click(asCarol)
	b.show("notice")
	call(b.tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "forced-colors", Value: "active"}}})
	b.keep("notice-forced-colours")

	branded := &site{t: s.t, app: s.app, browser: s.browser}
	branded.issuer = startWith(s.t, &authserver.Config{
		Users: []authserver.User{{Subject: "1", Username: "alice", PasswordHash: authserver.HashPassword("wonderland")}},
		Clients: []authserver.Client{{
			ClientID: "web", ClientName: "Orders on the web", SecretHash: authserver.HashOf("secret"), GrantTypes: []string{"authorization_code"},
			RedirectURIs: []string{s.app + "/cb"}, Scope: "orders:read orders:write", Audience: []string{audience},
		}},
		Pages: authserver.Pages{Name: "Acme", Logo: []byte(logo)},
	})
	acme := &gallery{tab: branded.window(), dir: dir}
	acme.open(branded.request())
	acme.show("acme-signin")
	if shown := eval[bool](acme.tab, `(i => i.complete && i.naturalWidth > 0 && i.clientHeight === 36)(document.querySelector("img"))`); !shown {
		s.t.Error("the logo is not to be seen")
	}
	acme.signIn("alice", "wonderland")
	acme.show("acme-consent")
	acme.open(branded.issuer + "/end_session?client_id=web")
	acme.show("acme-signout")
	acme.click(sendButton)
	acme.show("acme-signedout")
}

const logo = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 36 36"><rect width="36" height="36" rx="9" fill="#0f766e"/>` +
	`<path d="M9 26 18 9l9 17h-5l-4-8-4 8z" fill="#fff"/></svg>`

func (b *gallery) after(do func()) *gallery { do(); return b }

// show takes the pictures of the page, and demands of each what people need.
func (b *gallery) show(name string) {
	b.t.Helper()
	for _, screen := range []struct {
		name          string
		width, height int64
	}{{"phone", 390, 844}, {"desktop", 1280, 800}} {
		for _, scheme := range []string{"light", "dark"} {
			b.emulate(screen.width, screen.height, scheme)
			for _, fault := range eval[[]string](b.tab, faults) {
				b.t.Errorf("%s, %s, %s: %s", name, screen.name, scheme, fault)
			}
			b.keep(fmt.Sprintf("%s-%s-%s", name, screen.name, scheme))
		}
	}
	b.emulate(320, 640, "light")
	if width := eval[int](b.tab, "document.documentElement.scrollWidth"); width > 320 {
		b.t.Errorf("%s: is %d pixels wide on a screen of 320", name, width)
	}
}

func (b *gallery) keep(name string) {
	b.t.Helper()
	picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(b.dir, name+".png"), picture, 0o600)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *gallery) emulate(width, height int64, scheme string) {
	b.t.Helper()
	call(b.tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	call(b.tab, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 600})
}

// faults finds text with less contrast than 4.5 to 1 and fields whose border has
// less than 3 (WCAG 2.2 criteria 1.4.3 and 1.4.11), what is too small for a finger,
// fields whose text makes iOS zoom, and what a screen reader would miss.
const faults = `(() => {
	const found = [], name = e => e.tagName + " " + (e.name || e.innerText || "").slice(0, 30);
	const channels = c => { const n = c.match(/[\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
	const light = c => c.slice(0, 3).map(v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
		.reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
	const behind = e => { for (; e; e = e.parentElement) { const c = channels(getComputedStyle(e).backgroundColor); if (c[3] === 1) return c; } return [255, 255, 255, 1]; };
	const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };
	const need = (e, what, a, b, least) => { const r = ratio(a, b); if (r < least) found.push(name(e) + ": " + what + " has contrast " + r.toFixed(2)); };
	const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (words.nextNode()) {
		const e = words.currentNode.parentElement;
		if (words.currentNode.data.trim() && e.tagName !== "SCRIPT") need(e, "text", channels(getComputedStyle(e).color), behind(e), 4.5);
	}
	for (const e of document.querySelectorAll("button, a, input:not([type=hidden])")) {
		const style = getComputedStyle(e), box = e.getBoundingClientRect();
		if (box.height < 44) found.push(name(e) + ": is " + box.height + " px high");
		if (e.tagName === "INPUT") {
			need(e, "text", channels(style.color), behind(e), 4.5);
			need(e, "border", channels(style.borderTopColor), behind(e.parentElement), 3);
			if (parseFloat(style.fontSize) < 16) found.push(name(e) + ": text of " + style.fontSize);
			if (e.labels.length !== 1) found.push(name(e) + ": " + e.labels.length + " labels");
		}
	}
	for (const e of document.querySelectorAll("[aria-describedby], [aria-labelledby]"))
		for (const id of ((e.getAttribute("aria-describedby") || "") + " " + (e.getAttribute("aria-labelledby") || "")).trim().split(/\s+/))
			if (!document.getElementById(id)) found.push(name(e) + ": speaks of #" + id);
	for (const [what, count] of [["h1", 1], ["main", 1], ["header", 1], ["main h1", 1]])
		if (document.querySelectorAll(what).length !== count) found.push("not " + count + " " + what);
	if (document.documentElement.lang !== "en") found.push("no language");
	if (document.documentElement.scrollWidth > innerWidth) found.push("scrolls sideways");
	return found;
})()`
