package main

import (
	"bytes"
	"testing"
)

func TestRun_EveryCallGoesAsItShould(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
}
