package interop_test

import (
	"bufio"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
	"github.com/countermark/countermark/internal/devissuer"
)

// The conformance suite of the Model Context Protocol finds nothing wrong with the
// devissuer command as the authorization server of a server. The client is a public
// one: where the metadata has none among the authentication methods, the suite
// authenticates by no other, even if it is given a secret.
func TestMCP_Conformance(t *testing.T) {
	t.Parallel()
	const resource = "https://mcp.example.com/mcp"
	node := findNode22(t, "@modelcontextprotocol/conformance")
	p := &Parties{config: devissuer.Config{
		Users: []devissuer.User{{Sub: "1", Username: "alice", Password: "wonderland"}},
		Clients: []devissuer.Client{{Client: authserver.Client{
			ClientID: "assistant", TokenEndpointAuthMethod: "none", GrantTypes: []string{"authorization_code"},
			RedirectURIs: []string{"http://127.0.0.1/callback"}, Scope: "tools:read", Audience: []string{resource},
		}}},
	}}
	p.runDevissuer(t)
	checks := conform(t, node, p.Issuer, map[string]any{"clientId": "assistant", "resource": resource})
	want := map[string]string{
		"authorization-server-metadata": "SUCCESS", "authorization-code-grant": "SUCCESS",
		"authorization-server-metadata-cimd": "WARNING", // without -register it takes none
	}
	if !maps.Equal(checks, want) {
		t.Errorf("%v, want %v", checks, want)
	}
}

// conforming is held by who runs the suite: runs at once share a callback port.
var conforming sync.Mutex

// conform runs the suite, with alice at the browser, and returns what came of each
// check.
func conform(t *testing.T, node, issuer string, settings map[string]any) map[string]string {
	t.Helper()
	conforming.Lock()
	defer conforming.Unlock()
	dir := t.TempDir()
	settings["url"], settings["port"] = issuer, freePort(t)
	text, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "settings.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	suite, err := filepath.Abs("node/node_modules/@modelcontextprotocol/conformance/dist/index.js")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, suite, "authorization", "--file", file, "--output-dir", dir)
	cmd.Dir, cmd.WaitDelay = dir, time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	link, log := "", ""
	for lines := bufio.NewScanner(out); lines.Scan(); {
		line := lines.Text()
		log += line + "\n"
		switch {
		case strings.HasPrefix(line, issuer+"/authorize?"):
			link = line
		case strings.HasPrefix(line, "Callback server started"):
			visit(t, link, signIn, consent)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, log)
	}
	return results(t, dir)
}

// results reads what the suite wrote.
func results(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "checks.json"))
	if err != nil {
		t.Fatal(err)
	}
	status := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var checks []struct{ ID, Status, ErrorMessage string }
		if err := json.Unmarshal(text, &checks); err != nil {
			t.Fatal(err)
		}
		for _, c := range checks {
			status[c.ID] = c.Status
			if c.Status == "FAILURE" {
				t.Errorf("%s: %s", c.ID, c.ErrorMessage)
			}
		}
	}
	return status
}

// freePort returns a port that nothing listens on, and that no connection is given
// by chance before something does: it is below those that systems give away.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 20000 + rand.IntN(10000)
		if l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}
