package interop_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
	"io"
	"net/http"

_ "github.com/chromedp/chromedp"
)

func say(b *tab, what string) {
	fmt.Printf("== %s: %s\n%s\n", what, eval[string](b, "location.href"), b.text())
}

func TestZZ(t *testing.T) {
	T := os.Getenv("XT")
	cmd := exec.Command(T+"/webapp", "-addr", "127.0.0.1:18080")
	lf, _ := os.Create(T + "/webapp.log")
	cmd.Stdout, cmd.Stderr = lf, lf
	if err := cmd.Start(); err != nil { t.Fatal(err) }
	defer cmd.Process.Kill()
	time.Sleep(500*time.Millisecond)
	s := &site{t: t, issuer: "http://127.0.0.1:18082", app: "http://127.0.0.1:18080", browser: startChromium(t)}
	w := s.window()
	b := &gallery{tab: w, dir: T + "/shots"}
	r, err := http.Get("http://127.0.0.1:18080/")
	if err != nil { t.Fatal(err) }
	body, _ := io.ReadAll(r.Body)
	fmt.Println(r.Status, r.Header, string(body))
	b.open(s.app)
	b.click("main button")
	other := w.another()
	other.open(s.app)
	other.click("main button")
	b.signIn("alice", "alice")
	other.signIn("alice", "alice")
	other.click("main a")
	say(other, "tab 2")
	other.click(allowButton)
	say(other, "tab 2 allow")
	b.click(allowButton)
	say(w, "tab 1 allow")
	b.open(s.app)
	say(w, "tab 1 home")
	b.open(s.app+"/callback?code=x&state=y")
	say(w, "forged callback")
	b.show("callback-forged")
	b.open(s.app+"/callback?error=access_denied&state=y")
	say(w, "forged callback error")
	b.open(s.app+"/callback?error=access_denied&error_description=<b>call+123")
	say(w, "forged callback error")
	b.open(s.app+"/nowhere")
	say(w, "404")
	b.open(s.app)
	say(w, "home")
	for _, m := range []string{"GET /signin", "GET /signout", "POST /", "HEAD /", "POST /signout", "POST /signin"} {
		var meth, path string
		fmt.Sscan(m, &meth, &path)
		rq, _ := http.NewRequest(meth, s.app+path, nil)
		if meth == "POST" { rq.Header.Set("Origin", "http://evil.example"); rq.Header.Set("Sec-Fetch-Site", "cross-site") }
		rs, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(rq)
		fmt.Println(m, rs.Status, rs.Header, err)
	}
}
