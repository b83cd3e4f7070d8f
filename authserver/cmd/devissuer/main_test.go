package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/issuertest"
)

var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "devissuer")
	if err != nil {
		log.Fatal(err)
	}
	if binary, err = issuertest.Build(dir, "."); err != nil {
		log.Fatal(err)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

type process struct{ *issuertest.Process }

func start(t *testing.T, args ...string) process {
	t.Helper()
	return process{issuertest.Start(t, binary, nil, args...)}
}

// paste runs the banner's curl line in a shell and returns what it printed.
func (p process) paste(t *testing.T) []byte {
	t.Helper()
	line := regexp.MustCompile(`(?m)^  (curl .*)$`).FindStringSubmatch(p.Banner)
	if line == nil {
		t.Fatalf("the banner has no curl line:\n%s", p.Banner)
	}
	if _, err := exec.LookPath("curl"); err == nil {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", line[1]).Output()
		if err != nil {
			t.Fatalf("%s: %v", line[1], err)
		}
		return out
	}
	return likeCurl(t, line[1])
}

// likeCurl does what curl would: the shell takes the line apart.
func likeCurl(t *testing.T, line string) []byte {
	t.Helper()
	words, err := exec.CommandContext(t.Context(), "sh", "-c", `printf '%s\n' `+line).Output()
	if err != nil {
		t.Fatal(err)
	}
	req := &http.Request{Method: http.MethodPost, Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}}
	var data []string
	args := strings.Split(strings.TrimSpace(string(words)), "\n")[1:]
	for len(args) > 0 {
		switch args[0] {
		case "-sS":
		case "-u":
			id, secret, _ := strings.Cut(args[1], ":")
			req.SetBasicAuth(id, secret)
			args = args[1:]
		case "-d":
			data = append(data, args[1])
			args = args[1:]
		default:
			if req.URL, err = url.Parse(args[0]); err != nil {
				t.Fatal(err)
			}
		}
		args = args[1:]
	}
	req.Body = io.NopCloser(strings.NewReader(strings.Join(data, "&")))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func token(t *testing.T, answer []byte) string {
	t.Helper()
	var a struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(answer, &a); err != nil || a.AccessToken == "" {
		t.Fatalf("no token: %s", answer)
	}
	return a.AccessToken
}

// active asks whether a token is active.
func (p process) active(t *testing.T, id, secret, token string) bool {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, p.Field(t, "Introspection"), strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(id, secret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var a struct{ Active bool }
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil || resp.StatusCode != 200 {
		t.Fatalf("%s, %v", resp.Status, err)
	}
	return a.Active
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestBanner_CurlLineWorks(t *testing.T) {
	t.Parallel()
	p := start(t)
	answer := p.paste(t)
	if !p.active(t, "orders-api", "orders-api-secret", token(t, answer)) {
		t.Errorf("the token is not active: %s", answer)
	}
	lines := regexp.MustCompile(`(?m)^  (curl .*)$`).FindAllStringSubmatch(p.Banner, -1)
	if len(lines) != 2 {
		t.Fatalf("curl lines: %q", lines)
	}
	if about := likeCurl(t, strings.ReplaceAll(lines[1][1], "$TOKEN", token(t, answer))); !strings.Contains(string(about), `"active":true`) {
		t.Errorf("the second curl line: %s", about)
	}
	line := lines[0][1]
	if !p.active(t, "orders-api", "orders-api-secret", token(t, likeCurl(t, line))) {
		t.Error("without curl it does not work")
	}
	p.Stop(t, os.Interrupt) // all of the log is there now
	if log := p.Stderr.String(); strings.Contains(log, token(t, answer)) || strings.Contains(log, "-secret") || !strings.Contains(log, "token issued") {
		t.Errorf("the log: %s", log)
	}
}

func TestBanner_AddressesAnswer(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "/tenant"} {
		port := freePort(t)
		p := start(t, "-addr", "localhost:"+port, "-issuer", "http://localhost:"+port+path)
		if p.Field(t, "Issuer") != "http://localhost:"+port+path {
			t.Errorf("issuer %s", p.Field(t, "Issuer"))
		}
		for name, status := range map[string]int{"Token": 405, "Introspection": 405, "Revocation": 405, "Key set": 200, "Metadata": 200} {
			resp, err := http.Get(p.Field(t, name))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != status {
				t.Errorf("%s: %s", p.Field(t, name), resp.Status)
			}
		}
		token(t, p.paste(t))
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func TestConfig_ClientsOfTheFile(t *testing.T) {
	t.Parallel()
	const api = `"audience": ["https://api.example"]`
	reader := `{"client_id": "api", "client_secret": "s3cret", ` + api + `}`
	for name, client := range map[string]string{
		"Basic":             `{"client_id": "shop", "client_secret": "s3cret", "grant_types": ["client_credentials"], "scope": "a b", ` + api + `}`,
		"post":              `{"client_id": "shop", "client_secret": "s3cret", "grant_types": ["client_credentials"], "token_endpoint_auth_method": "client_secret_post", ` + api + `}`,
		"opaque":            `{"client_id": "shop", "client_secret": "s3cret", "grant_types": ["client_credentials"], "access_token_strategy": "opaque", ` + api + `}`,
		"strange":           `{"client_id": "it's: a \"shop\" & $HOME", "client_secret": "!'\" \\ %zz+é#&=", "grant_types": ["client_credentials"], ` + api + `}`,
		"strange, by post":  `{"client_id": "it's: a \"shop\" & $HOME", "client_secret": "!'\" \\ %zz+é#&=", "grant_types": ["client_credentials"], "token_endpoint_auth_method": "client_secret_post", ` + api + `}`,
		"audience of all":   `{"client_id": "shop", "client_secret": "s3cret", "grant_types": ["client_credentials"]}`,
		"with what is idle": `{"client_id": "shop", "client_secret": "s3cret", "grant_types": ["client_credentials"], "redirect_uris": ["https://shop.example/cb"], "jwks": {"keys": []}, ` + api + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, "-config", write(t, "config.json", `{"clients": [`+reader+`, `+client+`], "resources": ["https://api.example"]}`))
			if answer := p.paste(t); !p.active(t, "api", "s3cret", token(t, answer)) {
				t.Errorf("the token is not active: %s", answer)
			}
			p.Stop(t, os.Interrupt)
			if idle := strings.Contains(p.Stderr.String(), "warning: clients[1]: no grant, nor its client authentication, uses redirect_uris, jwks"); idle != strings.Contains(client, "redirect_uris") {
				t.Errorf("the log: %s", &p.Stderr)
			}
		})
	}
}

func TestConfig_IssuerOfTheFile(t *testing.T) {
	t.Parallel()
	file := write(t, "config.json", `{"issuer": "https://issuer.example/dev", "users": [{"sub": "1", "username": "alice", "password": "wonderland"}]}`)
	p := start(t, "-config", file)
	if p.Field(t, "Issuer") != "https://issuer.example/dev" || p.Field(t, "Metadata") != "https://issuer.example/.well-known/oauth-authorization-server/dev" {
		t.Errorf("the banner:\n%s", p.Banner)
	}
	if strings.Contains(p.Banner, "curl") {
		t.Errorf("a curl line without a client:\n%s", p.Banner)
	}
	p.Stop(t, os.Interrupt)
	if log := p.Stderr.String(); !strings.Contains(log, "warning: the issuer is https://issuer.example/dev and it listens on 127.0.0.1:") {
		t.Errorf("the log: %s", log)
	}
	if strings.Contains(p.Banner+p.Stderr.String(), "wonderland") {
		t.Errorf("a password where others can reach the issuer:\n%s%s", p.Banner, &p.Stderr)
	}
	if p := start(t, "-config", file, "-issuer", "https://other.example"); p.Field(t, "Issuer") != "https://other.example" {
		t.Errorf("the flag has no precedence: %s", p.Field(t, "Issuer"))
	}
}

func TestKeys_OutliveARestart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keys.pem")
	port := freePort(t)
	p := start(t, "-keys", file, "-addr", "127.0.0.1:"+port)
	old := token(t, p.paste(t))
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if code := p.Stop(t, os.Interrupt); code != 0 {
		t.Fatalf("exit %d", code)
	}
	p = start(t, "-keys", file, "-addr", "127.0.0.1:"+port)
	if !p.active(t, "orders-api", "orders-api-secret", old) {
		t.Error("a token of the last run is void")
	}
	p.Stop(t, os.Interrupt)
	p = start(t, "-addr", "127.0.0.1:"+port)
	if p.active(t, "orders-api", "orders-api-secret", old) {
		t.Error("without -keys there is the same key")
	}
}

func TestSignals_StopItCleanly(t *testing.T) {
	t.Parallel()
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		p := start(t)
		token(t, p.paste(t))
		began := time.Now()
		if code := p.Stop(t, sig); code != 0 || time.Since(began) > 3*time.Second {
			t.Errorf("%v: exit %d after %v: %s", sig, code, time.Since(began), &p.Stderr)
		}
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"-h"}, 0, "-keys file"},
		{[]string{"-h"}, 0, `"client_id": "app"`},
		{[]string{"-nonsense"}, 2, "-nonsense"},
		{[]string{"nonsense"}, 2, `devissuer: unexpected argument "nonsense"`},
		{[]string{"-addr"}, 2, "-addr"},
		{[]string{"-addr", "nonsense"}, 1, "devissuer: listen tcp: address nonsense"},
		{[]string{"-addr", taken.Addr().String()}, 1, "address already in use; -addr 127.0.0.1:0 takes any port that is free"},
		{[]string{"-addr", "127.0.0.1:0", "-issuer", "http://issuer.example"}, 1, "devissuer: -issuer: must use https"},
		{[]string{"-addr", "127.0.0.1:0", "-config", write(t, "c.json", `{"issuer": "http://issuer.example"}`)}, 1, "c.json: issuer: must use https"},
		{[]string{"-config", filepath.Join(t.TempDir(), "none")}, 1, "none: no such file"},
		{[]string{"-config", write(t, "c.json", `{"client": []}`)}, 1, `c.json: JSON: unknown field "client"`},
		{[]string{"-config", write(t, "c.json", `{"clients": [{"client_id": "web", "client_secret": "x", "grant_types": ["implicit"]}]}`), "-addr", "127.0.0.1:0"}, 1, `c.json: clients[0] ("web"): grant_types: "implicit" is not supported`},
		{[]string{"-config", write(t, "c.json", `{"clients": [{"client_id": "web", "client_secret": "x", "grant_types": ["authorization_code"]}]}`), "-addr", "127.0.0.1:0"}, 1, `c.json: clients[0] ("web"): redirect_uris: required`},
		{[]string{"-config", write(t, "c.json", `{"clients": [{"client_id": "web", "client_secret": "x"}], "users": [{"sub": "web", "username": "a", "password": "x"}]}`), "-addr", "127.0.0.1:0"}, 1, `c.json: users[0].sub: is the client_id of a client`},
		{[]string{"-config", write(t, "c.json", `{"users": [{"sub": "1", "username": "a", "password_hash": "x"}]}`), "-addr", "127.0.0.1:0"}, 1, `c.json: users[0].password_hash: must be an Argon2id hash`},
		{[]string{"-config", write(t, "c.json", `{"clients": [{"client_id": "web", "token_endpoint_auth_method": "client_secret_post"}]}`), "-addr", "127.0.0.1:0"}, 1, `c.json: clients[0].client_secret: required`},
		{[]string{"-config", write(t, "c.json", `{"clients": [{"client_id": "spa", "token_endpoint_auth_method": "none", "client_secret": "x"}]}`), "-addr", "127.0.0.1:0"}, 1, `c.json: clients[0].client_secret: a client of none has none`},
		{[]string{"-config", write(t, "c.json", `{"clients": [{"client_id": "web", "token_endpoint_auth_method": "client_secret_jwt", "client_secret": "x"}]}`), "-addr", "127.0.0.1:0"}, 1, `c.json: clients[0] ("web"): client_secret: must have at least 32 bytes`},
		{[]string{"-config", write(t, "c.json", `{"clients": [{"client_id": "web", "client_secret": "x", "jwks": {"keys": []}, "jwks_uri": "https://web.example/jwks"}]}`), "-addr", "127.0.0.1:0"}, 1, `c.json: clients[0] ("web"): jwks_uri: must not be there beside jwks`},
		{[]string{"-register", "-addr", "127.0.0.1:0", "-config", write(t, "c.json", `{"resources": ["urn:x"]}`)}, 1, "-register: there are no users"},
		{[]string{"-register", "-addr", "127.0.0.1:0", "-config", write(t, "c.json", `{"users": [{"sub": "1", "username": "a", "password": "x"}]}`)}, 1, "-register: there are no resources"},
		{[]string{"-register", "-addr", ":0", "-issuer", "https://issuer.example"}, 1, "-register: is for a loopback address"},
		{[]string{"-keys", write(t, "k.pem", "nonsense")}, 1, "k.pem: authserver: ParseSigningKeys: neither PEM blocks"},
		{[]string{"-keys", filepath.Join(t.TempDir(), "no", "such", "folder")}, 1, "no such file"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // should it serve instead
		out, err := exec.CommandContext(ctx, binary, c.args...).CombinedOutput()
		cancel()
		code := 0
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			code = exit.ExitCode()
		}
		if code != c.code || !strings.Contains(string(out), c.says) {
			t.Errorf("%v: exit %d, want %d and %q: %s", c.args, code, c.code, c.says, out)
		}
	}
}

// Only what -addr says is listened on, and only under names of this machine or
// of the issuer: a page elsewhere that has its name resolve to 127.0.0.1 reads
// nothing.
func TestAddr_NothingElse(t *testing.T) {
	t.Parallel()
	p := start(t, "-issuer", "https://issuer.example")
	port, ok := strings.CutPrefix(p.Field(t, "Listening on"), "127.0.0.1:")
	if !ok || port == "0" {
		t.Fatalf("the banner:\n%s", p.Banner)
	}
	for name, status := range map[string]int{
		"127.0.0.1:" + port: 200, "localhost:" + port: 200, "[::1]": 200, "issuer.example": 200, "ISSUER.example:443": 200,
		"evil.example": 421, "evil.example:" + port: 421, "127.0.0.1.evil.example": 421, "localhost.evil.example": 421,
	} {
		req, _ := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+port+"/jwks", http.NoBody)
		req.Host = name
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != status {
			t.Errorf("Host %s: %s", name, resp.Status)
		}
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		ip, _, _ := net.ParseCIDR(a.String())
		if conn, err := net.DialTimeout("tcp", net.JoinHostPort(ip.String(), port), time.Second); err == nil && ip.String() != "127.0.0.1" {
			conn.Close()
			t.Errorf("it listens on %s too", ip)
		}
	}
}

// The fastest of some starts: the machine may be busy with other tests.
func TestStart_AnswersWithinATenthOfASecond(t *testing.T) {
	t.Parallel()
	best := time.Hour
	for range 20 {
		began := time.Now()
		p := start(t)
		resp, err := http.Get(p.Field(t, "Key set"))
		if err != nil {
			t.Fatal(err)
		}
		took := time.Since(began)
		resp.Body.Close()
		p.Stop(t, os.Interrupt)
		if best = min(best, took); best < 100*time.Millisecond {
			return
		}
	}
	t.Errorf("its first answer takes %v", best)
}
