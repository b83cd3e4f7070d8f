package interop_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"
)

// runNode has node run a program of the folder node, which finds settings in its
// environment and consists of tests for Node's own runner: there are some, and each
// of them passes.
func runNode(t *testing.T, node, program string, settings any) {
	t.Helper()
	text, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, "--test-reporter=tap", program)
	cmd.Dir = "node"
	cmd.Env = append(os.Environ(), "SETTINGS="+string(text))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, &out)
	}
	for _, line := range []string{`# pass [1-9]\d*`, `# fail 0`, `# cancelled 0`, `# skipped 0`, `# todo 0`} {
		if !regexp.MustCompile(`(?m)^` + line + `$`).Match(out.Bytes()) {
			t.Fatalf("%s: no line %q\n%s", program, line, &out)
		}
	}
}

// findNode returns the Node.js of the machine, for programs that use packages.
func findNode(t *testing.T, packages ...string) string {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		missing(t, "node", "install Node.js 20 or later, with npm")
	}
	for _, name := range packages {
		if _, err := os.Stat(filepath.Join("node", "node_modules", name)); err != nil {
			missing(t, name, "run npm ci in internal/interop/node")
		}
	}
	return node
}

// findNode22 is findNode for what needs Node.js 22, which npm brings.
func findNode22(t *testing.T, packages ...string) string {
	t.Helper()
	findNode(t, packages...)
	arch := map[string]string{"amd64": "x64"}[runtime.GOARCH]
	node, err := filepath.Abs(filepath.Join("node", "node_modules", "node-"+runtime.GOOS+"-"+cmp.Or(arch, runtime.GOARCH), "bin", "node"))
	if err == nil {
		_, err = os.Stat(node)
	}
	if err != nil {
		missing(t, "Node.js 22", "run npm ci in internal/interop/node, on Linux")
	}
	return node
}
