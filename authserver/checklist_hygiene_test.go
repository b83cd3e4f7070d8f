package authserver_test

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/memhttp"
)

func TestPoint38_LogsHoldNoSecret(t *testing.T) {
	t.Parallel()
	broken := &faultyStore{Store: authserver.NewMemoryStore(nil)}
	i := start(t, "", withStore(broken))
	canaries := []string{stranger.secret, shop.secret, batch.secret, kiosk.secret, "canary"}
	everything := func() {
		for _, as := range []login{shop, batch, kiosk} {
			a := i.post("/token", as, form("grant_type", "client_credentials"))
			token := a.member("access_token")
			if token != "" {
				canaries = append(canaries, token, token[len(token)-40:])
			}
			for _, path := range endpoints {
				i.post(path, orders, form("token", token, "grant_type", "canary", "scope", "canary", "resource", "canary"))
				i.post(path, as, form("token", token, "grant_type", "client_credentials", "scope", "canary", "token_type_hint", "canary"))
				i.post(path, as, form("token", "canary", "grant_type", "client_credentials", "resource", "canary:x"))
				i.post(path, login{stranger.secret, stranger.secret}, form("token", "canary"))
				i.post(path, login{}, form("client_id", stranger.secret, "client_secret", "canary", "client_assertion", "canary"))
				i.post(path, login{}, form("client_id", "canary", "client_secret", "canary"))
				i.post(path, login{}, url.Values{"canary": {"canary", "canary"}})
				i.do(i.request(path+"?client_secret=canary", "%canary%zz"))
				i.do(i.request(path, "client_secret=canary&%zz"))
				req := i.request(path, "")
				req.Header.Set("Authorization", "Bearer canary")
				i.do(req)
			}
		}
	}
	everything()
	broken.fail.Store(true)
	everything()
	log := i.log.String()
	if strings.Count(log, "request refused") < 100 || !strings.Contains(log, "token issued") || !strings.Contains(log, "the store is broken") {
		t.Errorf("too little was logged: %s", log)
	}
	for _, canary := range canaries {
		for _, form := range []string{canary, url.QueryEscape(canary), base64.StdEncoding.EncodeToString([]byte(canary)), hex.EncodeToString([]byte(canary))} {
			if at := strings.Index(log, form); at >= 0 {
				t.Fatalf("the log holds %q: %.300s", form, log[max(0, at-200):])
			}
		}
	}
}

func TestPoint38_ErrorsEchoNothing(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	for _, path := range endpoints {
		for _, name := range []string{"grant_type", "scope", "resource", "client_id", "client_secret", "client_assertion", "token_type_hint", "canary"} {
			for _, as := range []login{shop, orders, {}} {
				params := form("grant_type", "client_credentials")
				params.Set(name, "canary")
				a := i.post(path, as, params)
				if strings.Contains(string(a.body)+fmt.Sprint(a.header), "canary") && a.status != 200 {
					t.Errorf("%s %s: %v %s", path, name, a.header, a.body)
				}
			}
		}
	}
}

func TestPoint39_CORS(t *testing.T) {
	t.Parallel()
	const app = "https://app.example"
	i := start(t, "", func(c *authserver.Config) { c.AllowedOrigins = []string{app} })
	ask := func(method, path, origin, requested string) answer {
		req := i.request(path, form("grant_type", "client_credentials").Encode())
		req.Method = method
		req.SetBasicAuth(shop.id, shop.secret)
		req.Header.Set("Origin", origin)
		if requested != "" {
			req.Header.Set("Access-Control-Request-Method", requested)
			req.Header.Set("Access-Control-Request-Headers", "authorization")
		}
		return i.do(req)
	}
	for path, method := range map[string]string{
		"/token": "POST", "/revoke": "POST", "/jwks": "GET",
		"/.well-known/oauth-authorization-server": "GET", "/.well-known/openid-configuration": "GET",
	} {
		a := ask(method, path, app, "")
		if a.header.Get("Access-Control-Allow-Origin") != app || a.header.Get("Vary") != "Origin" {
			t.Errorf("%s: %v", path, a.header)
		}
		pre := ask("OPTIONS", path, app, method)
		if pre.status != 204 || pre.header.Get("Access-Control-Allow-Origin") != app || !strings.Contains(pre.header.Get("Access-Control-Allow-Methods"), method) ||
			!strings.Contains(pre.header.Get("Access-Control-Allow-Headers"), "Authorization") || len(pre.body) != 0 {
			t.Errorf("preflight of %s: %d %v %s", path, pre.status, pre.header, pre.body)
		}
		for _, origin := range []string{"https://evil.example", "https://app.example.evil.example", "http://app.example", "null", ""} {
			for _, a := range []answer{ask(method, path, origin, ""), ask("OPTIONS", path, origin, method)} {
				if a.header.Get("Access-Control-Allow-Origin") != "" || a.header.Get("Vary") != "Origin" {
					t.Errorf("%s from %q: %v", path, origin, a.header)
				}
			}
		}
		for _, a := range []answer{a, pre} {
			if a.header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s: %v", path, a.header)
			}
		}
	}
	if a := ask("POST", "/introspect", app, ""); a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("introspection is for resource servers, not for pages")
	}
	if a := ask("POST", "/token", app, ""); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestPoint40_TheStoreHoldsNoSecret(t *testing.T) {
	t.Parallel()
	dump := &dumpingStore{Store: authserver.NewMemoryStore(nil)}
	i := start(t, "", withStore(dump))
	var secrets []string
	for _, as := range []login{shop, batch, kiosk} {
		token := i.token(as)
		i.introspect(as, token)
		i.post("/revoke", as, form("token", token))
		i.introspect(as, token)
		secrets = append(secrets, token, as.secret)
	}
	dump.mu.Lock()
	defer dump.mu.Unlock()
	if len(dump.seen) < 5 || !strings.Contains(string(dump.seen), `"client_id":"kiosk"`) {
		t.Fatalf("the dump is not what it should be: %q", dump.seen)
	}
	for _, secret := range secrets {
		raw, _ := base64.RawURLEncoding.DecodeString(secret)
		for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(secret)), string(raw)} {
			if form != "" && strings.Contains(string(dump.seen), form) {
				t.Errorf("the store was given %q", form)
			}
		}
	}
}

func TestPoint41_Limits(t *testing.T) {
	t.Parallel()
	short, long := strings.Repeat("x", 6000), strings.Repeat("x", 6200) // base64 makes 8 KiB of 6 KiB
	s := authserver.NewMemoryStore(nil)
	i := start(t, "", withStore(s))
	for secret, id := range map[string]string{short: "short", long: "long"} {
		if err := s.PutClient(t.Context(), &authserver.Client{
			ClientID: id, SecretHash: authserver.HashOf(secret), GrantTypes: []string{"client_credentials"}, Audience: []string{ordersAPI},
		}); err != nil {
			t.Fatal(err)
		}
	}
	const grant = "grant_type=client_credentials"
	pad := func(size int) string { return grant + "&pad=" + strings.Repeat("x", size-len(grant)-len("&pad=")) }
	var params strings.Builder
	for n := range 62 {
		fmt.Fprintf(&params, "&p%d=1", n)
	}
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"64 KiB":        {pad(64 << 10), 200},
		"a byte more":   {pad(64<<10 + 1), 413},
		"10 MiB":        {pad(10 << 20), 413},
		"64 parameters": {grant + "&x=1" + params.String(), 200},
		"one more":      {grant + "&x=1&y=1" + params.String(), 400},
		"only &":        {grant + strings.Repeat("&", 60000), 400},
	} {
		req := i.request("/token", c.body)
		req.SetBasicAuth(shop.id, shop.secret)
		if a := i.do(req); a.status != c.status {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		req = i.request("/token", c.body)
		req.SetBasicAuth(shop.id, shop.secret)
		req.ContentLength = -1 // chunked
		if a := i.do(req); a.status != c.status {
			t.Errorf("%s, chunked: %d %s", name, a.status, a.body)
		}
	}
	for id, status := range map[string]int{"short": 200, "long": 401} {
		secret := map[string]string{"short": short, "long": long}[id]
		req := i.request("/token", grant)
		req.SetBasicAuth(id, secret)
		if a := i.do(req); a.status != status {
			t.Errorf("right credentials of %d bytes: %d %s", len(secret), a.status, a.body)
		}
	}
}

// Whatever is asked for, a body that never ends holds nothing for longer than a
// form does.
func TestPoint41_SlowBodiesAreLeftAtEveryPath(t *testing.T) {
	t.Parallel()
	const length, chunked = "Content-Length: 1000\r\n", "Transfer-Encoding: chunked\r\n"
	for _, head := range []string{
		"POST /token HTTP/1.1\r\nContent-Type: text/plain\r\n" + length,
		"POST /token?x HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n" + length,
		"PUT /token HTTP/1.1\r\n" + length,
		"OPTIONS /token HTTP/1.1\r\n" + chunked,
		"GET /jwks HTTP/1.1\r\n" + length,
		"GET /.well-known/oauth-authorization-server HTTP/1.1\r\n" + chunked,
		"POST /nowhere HTTP/1.1\r\n" + chunked,
	} {
		synctest.Test(t, func(t *testing.T) {
			s, err := authserver.New(authserver.Config{Issuer: "https://issuer.example", Clients: clients(), Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			m := memhttp.New(s)
			defer m.Close()
			conn, err := m.Client().Transport.(*http.Transport).DialContext(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			began := time.Now()
			if err := conn.SetDeadline(began.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, head+"Host: issuer.example\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, conn); err != nil || time.Since(began) > 11*time.Second {
				t.Errorf("%.30q: open for %v, %v", head, time.Since(began), err)
			}
		})
	}
}

func TestPoint41_SlowClientsAreLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, err := authserver.New(authserver.Config{Issuer: "https://issuer.example", Clients: clients(), Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		m := memhttp.New(s)
		defer m.Close()
		conn, err := m.Client().Transport.(*http.Transport).DialContext(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		var writer sync.WaitGroup
		writer.Go(func() { slowly(conn) })
		defer writer.Wait()
		defer conn.Close()
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != 408 || time.Since(began) != 10*time.Second {
			t.Errorf("%d after %v", resp.StatusCode, time.Since(began))
		}
		if _, err := io.ReadAll(resp.Body); err != nil {
			t.Error(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("the connection is still open")
		}
	})
}

// slowly sends a request a byte a second, as long as somebody reads it.
func slowly(conn net.Conn) {
	_, _ = io.WriteString(conn, "POST /token HTTP/1.1\r\nHost: issuer.example\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\n")
	for range 1000 {
		time.Sleep(time.Second)
		if _, err := io.WriteString(conn, "x"); err != nil {
			return
		}
	}
}

func TestPoint42_TokensAreUnguessable(t *testing.T) {
	t.Parallel()
	i := start(t, "")
	seen := map[string]bool{}
	for range 100 {
		opaque, err := base64.RawURLEncoding.DecodeString(i.token(kiosk))
		if err != nil || len(opaque) < 16 {
			t.Fatalf("an opaque token of %d bytes, %v", len(opaque), err)
		}
		_, payload := parts(t, i.token(shop))
		jti, _ := payload["jti"].(string)
		if len(jti) < 26 { // 5 bits each
			t.Fatalf("a jti of %d characters", len(jti))
		}
		if seen[string(opaque)] || seen[jti] {
			t.Fatal("a token came twice")
		}
		seen[string(opaque)], seen[jti] = true, true
	}
}

// Of the grants that bring something along, neither the log nor an event says what.
func TestPoint38_NobodyIsToldWhatAGrantBrought(t *testing.T) {
	t.Parallel()
	var tr trail
	s := newSigner(t, "ES256", "k1")
	i := startRefresh(t, tr.attach, trusting(t, s, nil), func(c *authserver.Config) { c.Clients = append(c.Clients, exchanger(false)) })
	first, access := i.signedUp()
	second, _ := i.rotated(web, first)
	third, _ := i.rotated(web, second)
	i.refresh(twin, third)
	i.refresh(web, third, "scope", "canary")
	i.refresh(web, "canary")
	i.introspect(web, third)
	exchanged := i.exchange(gateway, access).member("access_token")
	i.exchange(gateway, exchanged)
	i.exchange(gateway, "canary", "actor_token", "canary", "actor_token_type", "canary")
	i.refresh(web, first) // and so the end of the grant
	i.exchange(gateway, access)
	i.post("/revoke", web, form("token", third))
	secrets := []string{first, second, third, access, exchanged, "canary"}
	for _, change := range []members{nil, {"exp": 1}, {"aud": "canary"}, {"iss": "canary"}, {"sub": "canary"}, {"scope": "canary"}} {
		text := s.sign(t, members{"x5u": "canary"}, i.assertion().with(change))
		for range 2 {
			i.post("/token", shop, form("grant_type", jwtBearer, "assertion", text))
		}
		secrets = append(secrets, strings.Split(text, ".")[1:]...)
	}
	told := i.log.String()
	for _, e := range tr.take() {
		told += fmt.Sprintf("%+v %v\n", e, e.Cause)
	}
	for _, want := range []string{jwtBearer, tokenExchange, "refresh token reused", "assertion was used before", "subject_token is not"} {
		if !strings.Contains(told, want) {
			t.Errorf("nothing was told of %q", want)
		}
	}
	for _, secret := range secrets {
		for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(secret))} {
			if secret == "" || strings.Contains(told, form) {
				t.Errorf("told: %q", secret)
			}
		}
	}
}
