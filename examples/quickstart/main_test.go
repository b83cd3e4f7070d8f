package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestRun_EveryCallGoesAsItShould(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(&out, false); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if got := strings.Count(out.String(), "as it should"); got != 7 {
		t.Errorf("%d of 7 calls went as they should:\n%s", got, out.String())
	}
}
