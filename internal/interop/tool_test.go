package interop_test

import (
	"os"
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
