package issuertest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// Build builds the devissuer of a package and returns its file, which is in dir.
func Build(dir, pkg string) (string, error) {
	file := filepath.Join(dir, "devissuer")
	if out, err := exec.Command("go", "build", "-o", file, pkg).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return file, nil
}

// A Process is a devissuer that printed its banner.
type Process struct {
	Banner string
	Stderr Log

	cmd *exec.Cmd
}

// Start runs a devissuer on some free port, with further variables in its
// environment, until the test ends at the latest.
func Start(t testing.TB, file string, env []string, args ...string) *Process {
	t.Helper()
	p := &Process{cmd: exec.CommandContext(t.Context(), file, append([]string{"-addr", "127.0.0.1:0"}, args...)...)}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = &p.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // if it has not ended
		_ = p.cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		p.Banner += lines.Text() + "\n"
		if strings.HasPrefix(lines.Text(), "Ctrl-C") {
			return p
		}
	}
	t.Fatalf("no banner: %s%s", p.Banner, &p.Stderr)
	return nil
}

// Field returns what the banner says about a word.
func (p *Process) Field(t testing.TB, name string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^  ` + name + ` +(.*)$`).FindStringSubmatch(p.Banner)
	if m == nil {
		t.Fatalf("the banner has no %q:\n%s", name, p.Banner)
	}
	return m[1]
}

// Stop sends a signal and returns the exit code, -1 if the signal killed it.
func (p *Process) Stop(t testing.TB, sig os.Signal) int {
	t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	if _, exited := errors.AsType[*exec.ExitError](p.cmd.Wait()); !exited && !p.cmd.ProcessState.Success() {
		t.Fatal("it has not ended")
	}
	return p.cmd.ProcessState.ExitCode()
}

// A Log is what a process writes, and can be read meanwhile.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements [io.Writer].
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String returns what was written so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
