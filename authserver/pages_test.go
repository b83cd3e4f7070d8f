package authserver_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/png"
	"io/fs"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/countermark/countermark/authserver"
)

func withPages(p authserver.Pages) func(*authserver.Config) {
	return func(c *authserver.Config) { c.Pages = p }
}

// picture is the smallest logo.
func picture(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 1, 1))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func titleOf(s *screen) string {
	_, rest, _ := strings.Cut(string(s.body), "<title>")
	title, _, _ := strings.Cut(rest, "</title>")
	return title
}

func TestPages_TheNameIsOnEveryPage(t *testing.T) {
	t.Parallel()
	i := startRefresh(t, withPages(authserver.Pages{Name: "Acme"}))
	for name, s := range everyPage(t, i) {
		want := s.title + " · Acme"
		if strings.Contains(string(s.body), `id="problem"`) || strings.HasPrefix(s.title, "This request") {
			want = "Error: " + want
		}
		if !strings.Contains(s.text, "Acme") || titleOf(s) != want {
			t.Errorf("%s: title %q, want %q", name, titleOf(s), want)
		}
	}
}

func TestPages_WithoutANameItIsTheHost(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "/tenant")
	if s := i.browser().authorize(authParams(web)); titleOf(s) != "Sign in · "+strings.TrimPrefix(i.host, "http://") {
		t.Error(titleOf(s))
	}
}

func TestPages_TheLogoIsInThePage(t *testing.T) {
	t.Parallel()
	logo := picture(t)
	s := startWeb(t, "", withPages(authserver.Pages{Logo: logo})).browser().authorize(authParams(web))
	if want := `<img src="data:image/png;base64,` + base64.StdEncoding.EncodeToString(logo) + `" alt="">`; !strings.Contains(strings.ReplaceAll(string(s.body), "&#43;", "+"), want) {
		t.Errorf("no %s in %s", want, s.body)
	}
	if policy := s.header.Get("Content-Security-Policy"); !strings.Contains(policy, "; img-src data:;") {
		t.Error(policy)
	}
	svg := startWeb(t, "", withPages(authserver.Pages{Logo: []byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`)})).browser().authorize(authParams(web))
	if !strings.Contains(string(svg.body), `src="data:image/svg`) {
		t.Errorf("%s", svg.body)
	}
	if policy := startWeb(t, "").browser().authorize(authParams(web)).header.Get("Content-Security-Policy"); !strings.Contains(policy, "; img-src 'none';") {
		t.Errorf("without one: %s", policy)
	}
}

// A caller replaces one file or several, and the policy stays that of the server.
func TestPages_TemplatesOfOnesOwn(t *testing.T) {
	t.Parallel()
	own := fstest.MapFS{
		"style.css":   {Data: []byte("body { color: rebeccapurple }")},
		"signin.html": {Data: []byte(`<title>Hello</title><h1>Hello</h1><style>{{.Style}}</style><form action="{{.Form.Action}}">{{template "carried" .Form}}{{.Problem}}<input name="username"><input name="password"></form><script src="https://evil.example/x.js"></script>`)},
		"README":      {Data: []byte("is nobody's business")},
	}
	i := startRefresh(t, withPages(authserver.Pages{Templates: own}))
	b := i.browser()
	s := b.authorize(authParams(web))
	if s.title != "Hello" || !strings.Contains(string(s.body), "rebeccapurple") {
		t.Fatalf("%s", s.body)
	}
	ours := startWeb(t, "").browser().authorize(authParams(web)).header.Get("Content-Security-Policy")
	policy := s.header.Get("Content-Security-Policy")
	cut := regexp.MustCompile(`style-src \S+;|img-src \S+;`)
	if cut.ReplaceAllString(policy, "") != cut.ReplaceAllString(ours, "") || strings.Contains(policy, "evil") {
		t.Errorf("policy %s, without templates %s", policy, ours)
	}
	wantStyle(t, s)
	if s = b.signIn(s, "alice"); s.title != "Allow access?" || !strings.Contains(string(s.body), "rebeccapurple") {
		t.Errorf("%s", s.body)
	}
}

// A template tells the two kinds of consent page apart by what there is.
func TestPages_ConsentHasAHostOrAUserCode(t *testing.T) {
	t.Parallel()
	own := fstest.MapFS{"consent.html": {Data: []byte(`<h1>Go on?</h1>{{.Client}} {{.SelfRegistered}} "{{.Host}}" "{{.UserCode}}"
<form action="{{.Form.Action}}">{{template "carried" .Form}}<input name="seen" value="{{.Seen}}"><button name="decision" value="allow">y</button>deny</form>`)}}
	i := startWeb(t, "", withPages(authserver.Pages{Templates: own}))
	b := i.browser()
	if s := b.signIn(b.authorize(authParams(web)), "alice"); !strings.Contains(s.text, `"web.example" ""`) {
		t.Error(s.text)
	}
	d := i.device(tv)
	if s := b.enter(d.userCode); !strings.Contains(s.text, `"" "`+d.userCode+`"`) {
		t.Error(s.text)
	}
}

func TestPages_WhatCannotWorkIsAnErrorOfNew(t *testing.T) {
	t.Parallel()
	file := func(name, text string) authserver.Pages {
		return authserver.Pages{Templates: fstest.MapFS{name: {Data: []byte(text)}}}
	}
	for name, c := range map[string]struct {
		pages authserver.Pages
		want  string
	}{
		"no template":      {file("consent.html", "{{if}}"), "Templates: template: consent.html:1: "},
		"no such field":    {file("error.html", "\n{{.Nonsense}}"), "Templates: template: error.html:2:"},
		"no such part":     {file("notice.html", `{{template "header"}}`), `"header"`},
		"broken HTML":      {file("device.html", `<a href='{{if .User}}"{{end}}>{{.Next}}`), "device.html"},
		"a layout without": {file("layout.html", "{{define \"head\"}}{{end}}"), `"foot"`},
		"no token":         {file("signin.html", "{{.Form.Action}} {{.Form.Request}} username password"), `Templates: signin.html: lacks "sample-token"`},
		"nothing seen":     {file("consent.html", "{{.Form.Action}} {{.Form.Token}} {{.Form.Request}} decision allow deny"), `Templates: consent.html: lacks "sample-seen"`},
		"nobody named":     {file("consent.html", "{{.Form.Action}} {{.Form.Token}} {{.Form.Request}} {{.Seen}} decision allow deny {{.Client}}"), `Templates: consent.html: lacks "sample-id"`},
		"no way out":       {file("formpost.html", "{{.Title}}"), "Templates: formpost.html: lacks"},
		"no reason":        {file("error.html", "{{.Title}}"), "Templates: error.html: lacks"},
		"a lone form":      {file("signin.html", "{{.Problem}} {{if .Users}}{{.Form}} username password{{end}}"), `Templates: signin.html: lacks "/sample-action"`},
		"no first scope":   {file("consent.html", "{{(index .Scopes 0).Name}} {{.Form}} {{.Seen}} {{.Client}} decision allow deny"), "Templates: template: consent.html:1:"},
		"no first user":    {file("device.html", "{{index .Users 0}} {{.Form}} {{.Problem}} user_code"), "Templates: template: device.html:1:"},
		"a silent failure": {file("signin.html", "{{.Form}} username password"), `Templates: signin.html: lacks "sample-problem"`},
		"a silent code":    {file("device.html", "{{.Form}} user_code"), `Templates: device.html: lacks "sample-problem"`},
		"whoever asks":     {file("consent.html", "{{.Form}} {{.Seen}} decision allow deny"), `Templates: consent.html: lacks "sample-client"`},
		"a slip of a pen":  {file("sign-in.html", "x"), "Templates: sign-in.html: takes the place of no file"},
		"the style's end":  {file("style.css", "a{}</STYLE ><script>"), "Templates: style.css: "},
		"a broken disk":    {authserver.Pages{Templates: brokenFS{}}, "Templates: "},
		"a long logo":      {authserver.Pages{Logo: make([]byte, 64<<10+1)}, "Logo: must have at most 65536 bytes"},
		"no picture":       {authserver.Pages{Logo: []byte("<html>")}, "Logo: must be the content of a PNG"},
		"a control":        {authserver.Pages{Name: "Ac\nme"}, "Name: must be"},
		"space":            {authserver.Pages{Name: " "}, "Name: must be"},
	} {
		_, err := authserver.New(authserver.Config{Issuer: "https://issuer.example", Users: users(), Pages: c.pages})
		if err == nil || !strings.HasPrefix(err.Error(), "authserver: Config.Pages.") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

type brokenFS struct{}

func (brokenFS) Open(string) (fs.File, error) { return nil, fs.ErrPermission }

func TestPages_ConsentSaysInWordsWhatScopesAllow(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "", func(c *authserver.Config) {
		for n := range c.Clients {
			if c.Clients[n].ClientID == web.id {
				c.Clients[n].Scope = "openid profile email address phone offline_access orders:read"
			}
		}
	})
	b := i.browser()
	s := b.signIn(b.authorize(authParams(web)), "alice")
	for _, want := range []string{"that it is you", "your profile", "your email", "your postal address", "your phone", "while you are away", "<code>orders:read</code>"} {
		if !strings.Contains(string(s.body), want) {
			t.Errorf("no %q in %s", want, s.text)
		}
	}
	for _, name := range []string{"openid", "offline_access"} {
		if strings.Contains(s.text, name) {
			t.Errorf("%s is no word: %s", name, s.text)
		}
	}
}

// style is the stylesheet, in its light and its dark colours.
func style(t *testing.T) (text string, light, dark map[string]string) {
	t.Helper()
	data, err := os.ReadFile("ui/style.css")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile(`(?s):root \{(.*?)\}`).FindAllStringSubmatch(string(data), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d sets of colours", len(blocks))
	}
	colours := func(block string) map[string]string {
		found := map[string]string{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6});`).FindAllStringSubmatch(block, -1) {
			found[m[1]] = m[2]
		}
		return found
	}
	return string(data), colours(blocks[0][1]), colours(blocks[1][1])
}

func TestPages_TheStylesheetIsSmall(t *testing.T) {
	t.Parallel()
	if text, _, _ := style(t); len(text) >= 6<<10 {
		t.Errorf("%d bytes", len(text))
	}
}

// Text has a contrast of 4.5 to 1 and more, what is drawn 3 to 1, in the light and in
// the dark (WCAG 2.2 criteria 1.4.3 and 1.4.11).
func TestPages_ColoursHaveContrast(t *testing.T) {
	t.Parallel()
	text, light, dark := style(t)
	pairs := []struct {
		fore, back string
		least      float64
	}{
		{"text", "page", 4.5},
		{"text", "card", 4.5},
		{"quiet", "page", 4.5},
		{"quiet", "card", 4.5},
		{"accent", "card", 4.5},
		{"on-accent", "accent", 4.5},
		{"on-accent", "over", 4.5},
		{"alarm", "alarm-back", 4.5},
		{"caution", "caution-back", 4.5},
		{"line", "card", 3},
		{"alarm", "card", 3},
		{"accent", "page", 3},
	}
	measured := map[string]bool{"soft": true} // a line that only adorns
	for _, p := range pairs {
		measured[p.fore], measured[p.back] = true, true
		for scheme, colours := range map[string]map[string]string{"light": light, "dark": dark} {
			if got := contrast(t, colours[p.fore], colours[p.back]); got < p.least {
				t.Errorf("%s: %s on %s has %.2f, want %.1f", scheme, p.fore, p.back, got, p.least)
			}
		}
	}
	for name := range light {
		if !measured[name] || dark[name] == "" {
			t.Errorf("--%s: is not measured, or not there in the dark", name)
		}
	}
	if len(light) != len(dark) || len(regexp.MustCompile(`#[0-9a-fA-F]{3,8}\b|rgb|hsl`).FindAllString(text, -1)) != len(light)+len(dark) {
		t.Error("there are colours elsewhere than in :root")
	}
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + .05) / (min(x, y) + .05)
}

// luminance is that of a colour as #rrggbb, as WCAG defines it.
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	sum := 0.0
	for n, weight := range []float64{.2126, .7152, .0722} {
		if len(colour) != 7 {
			t.Fatalf("colour %q", colour)
		}
		v, err := strconv.ParseUint(colour[1+2*n:3+2*n], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(v) / 255
		if c <= .04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

// What a screen reader goes by, on every page.
func TestPages_AreForScreenReaders(t *testing.T) {
	t.Parallel()
	for name, s := range everyPage(t, startRefresh(t)) {
		body := string(s.body)
		for _, want := range []string{`<html lang="en">`, "<main>", "<header>", "<h1>"} {
			if strings.Count(body, want) != 1 {
				t.Errorf("%s: %d of %s", name, strings.Count(body, want), want)
			}
		}
		for _, m := range regexp.MustCompile(`<input id="(\w+)"`).FindAllStringSubmatch(body, -1) {
			if !strings.Contains(body, fmt.Sprintf(`<label for="%s">`, m[1])) {
				t.Errorf("%s: no label for %s", name, m[1])
			}
		}
		for _, m := range regexp.MustCompile(`aria-(?:describedby|labelledby)="([^"]+)"`).FindAllStringSubmatch(body, -1) {
			for id := range strings.FieldsSeq(m[1]) {
				if !strings.Contains(body, ` id="`+id+`"`) {
					t.Errorf("%s: nothing is called %s", name, id)
				}
			}
		}
		if failed := s.status >= 400 || name == "wrong password"; failed != strings.Contains(body, `role="alert"`) && name != "notice" {
			t.Errorf("%s: an alert: %v", name, !failed)
		}
		if strings.Contains(body, ` style=`) {
			t.Errorf("%s: the browser does not heed a style attribute", name)
		}
	}
}

// HTML has line feeds alone when a browser hashes the text of a style.
func TestPages_TheStyleIsHashedAsABrowserReadsIt(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "", withPages(authserver.Pages{Templates: fstest.MapFS{"style.css": {Data: []byte("body {\r\n color: red }\r\n")}}}))
	s := i.browser().authorize(authParams(web))
	wantStyle(t, s)
	if strings.Contains(string(s.body), "\r") {
		t.Errorf("the browser hashes another text: %q", s.body[:400])
	}
}
