package interop_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// signOutButton is the web application's. At the issuer nobody is asked once more.
const signOutButton = `form[action="/signout"] button`

// The example webapp, in Chromium, as a person meets it who has read the README.
func TestWebapp_Chromium(t *testing.T) {
	t.Parallel()
	startWebapp(t).each(map[string]func(*site){
		"SignInSeeOrdersSignOut": (*site).webappVisit, "CancelledConsent": (*site).webappCancelled, "TwoTabs": (*site).webappTabs,
	})
}

// startWebapp starts it on free ports, and reads where from what it prints.
func startWebapp(t *testing.T) *site {
	t.Helper()
	browser := startChromium(t)
	file := filepath.Join(t.TempDir(), "webapp")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-C", "../../examples/webapp", "-o", file, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), file, "-addr", "127.0.0.1:0")
	var said strings.Builder
	for lines := startProcess(t, cmd); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "Interrupt to stop.") {
			break
		}
	}
	m := regexp.MustCompile(`(?s)^open +(\S+)\n.*\nissuer +(\S+)\n.*Sign in as alice, with the password alice\.`).FindStringSubmatch(said.String())
	if m == nil {
		t.Fatalf("it prints %q", said.String())
	}
	return &site{t: t, app: m[1], issuer: m[2], browser: browser}
}

// wantText demands words on the page of the web application.
func (b *tab) wantText(words string) {
	b.t.Helper()
	if !strings.Contains(b.text(), words) {
		b.t.Fatalf("no %q at %s", words, b.where())
	}
}

func (s *site) webappVisit() {
	b := &gallery{tab: s.window(), dir: s.screenshots()}
	b.open(s.app)
	b.wantText("You are not signed in.")
	b.show("webapp")
	b.click(sendButton)
	b.wantPage(headSignIn)
	b.wantText("The orders application")
	b.signIn("alice", "x")
	b.wantText("The name or the password is wrong.")
	b.signIn("alice", "alice")
	b.wantPage(headConsent)
	b.click(allowButton)
	b.wantText("Two orders of user-1, for webapp.")
	if at := b.at(); at.RawQuery != "" {
		s.t.Errorf("the code stays in the address: %s", at)
	}
	b.show("webapp-orders")
	b.leads(chromedp.Reload())
	b.wantText("Two orders of user-1")
	b.click(signOutButton)
	b.wantText("You are not signed in.")
	b.leads(chromedp.NavigateBack())
	b.wantText("You are not signed in.")
	b.click(sendButton)
	b.wantPage(headSignIn) // at the issuer, too, nobody is signed in any more
}

func (s *site) webappCancelled() {
	b := &gallery{tab: s.window(), dir: s.screenshots()}
	b.open(s.app)
	b.click(sendButton)
	b.signIn("alice", "alice")
	b.click(denyButton)
	b.wantText("You were not signed in.")
	b.show("webapp-cancelled")
	b.click(sendButton)
	b.wantPage(headConsent)
}

// Two tabs sign in, the one that began last first; then one of them signs out.
func (s *site) webappTabs() {
	one := s.window()
	two := one.another()
	for _, b := range []*tab{one, two} {
		b.open(s.app)
	}
	one.click(sendButton)
	two.click(sendButton)
	one.signIn("alice", "alice")
	two.signIn("alice", "alice")
	two.click(goOnLink)
	two.click(allowButton)
	two.wantText("Two orders of user-1")
	one.click(allowButton)
	one.wantText("Two orders of user-1")
	one.click(signOutButton)
	two.click(signOutButton)
	two.wantText("You are not signed in.")
}
