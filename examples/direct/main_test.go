package main

import (
	"bytes"
	"errors"
	"regexp"
	"testing"

	"github.com/countermark/countermark/examples/internal/demo"
	"github.com/countermark/countermark/validator"
)

const audience = "https://api.example.com"

func TestJudge(t *testing.T) {
	t.Parallel()
	issuer, err := demo.StartIssuer(t.Context(), demo.Client("worker", "orders:read orders:write", audience))
	if err != nil {
		t.Fatal(err)
	}
	defer issuer.Stop()
	good, err := issuer.Token(t.Context(), "worker")
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		audience, token string
		why             error // nil for good
	}{
		"good":                 {audience, good, nil},
		"for another audience": {"https://other.example.com", good, validator.ErrAudience},
		"made up":              {audience, "made-up", validator.ErrMalformed},
		"none":                 {audience, "", validator.ErrNoToken},
	} {
		var out bytes.Buffer
		err := judge(t.Context(), &out, issuer.URL, row.audience, row.token)
		if !errors.Is(err, row.why) {
			t.Errorf("%s: %v, want %v", name, err, row.why)
		}
		want := `^$`
		if row.why == nil {
			want = `^good here: subject "worker", scopes \["orders:read" "orders:write"\], tenant "", until \d{4}-\S+Z\n$`
		}
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("%s: said %q", name, out.String())
		}
	}
}

func TestJudge_WithoutTheIssuerNobodyKnows(t *testing.T) {
	t.Parallel()
	issuer, err := demo.StartIssuer(t.Context(), demo.Client("worker", "orders:read", audience))
	if err != nil {
		t.Fatal(err)
	}
	good, err := issuer.Token(t.Context(), "worker")
	if err != nil {
		t.Fatal(err)
	}
	issuer.Stop()
	var out bytes.Buffer
	if err := judge(t.Context(), &out, issuer.URL, audience, good); !errors.Is(err, validator.ErrUnavailable) || out.Len() > 0 {
		t.Errorf("%v, said %q", err, out.String())
	}
}
