package interop_test

import (
	"bufio"
	"os"
	"os/exec"
	"testing"
)

// missing skips a test for want of a tool that remedy installs. Where every tool
// ought to be there, COUNTERMARK_INTEROP=1 has the test fail instead.
func missing(t *testing.T, tool, remedy string) {
	t.Helper()
	if os.Getenv("COUNTERMARK_INTEROP") == "1" {
		t.Fatalf("%s: missing; %s", tool, remedy)
	}
	t.Skipf("%s: missing; %s", tool, remedy)
}

// startProcess runs a command until the test ends, and returns the lines that it
// prints.
func startProcess(t *testing.T, cmd *exec.Cmd) *bufio.Scanner {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return bufio.NewScanner(out)
}
