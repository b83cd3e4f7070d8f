package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

// Who takes what is other people's affair and may change with their versions; but
// ours refuses all, and nobody takes what every library must refuse.
func TestVerdicts_OursRefusesEveryFlaw(t *testing.T) {
	t.Parallel()
	iss, err := startIssuer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(iss.stop)
	b := &bench{log: newLog(io.Discard), report: &report{}, issuer: iss, taken: map[string]int{}}
	if err := b.verdicts(t.Context()); err != nil {
		t.Fatal(err)
	}
	p := b.report.parts[0]
	if len(p.rows) != len(flaws()) || len(p.head) != 1+len(libraries()) {
		t.Errorf("%d rows of %d", len(p.rows), len(p.head))
	}
	for _, row := range p.rows {
		if row[1] != "refused" {
			t.Errorf("ours: %s", row)
		}
	}
	if b.taken["golang-jwt, static key"] == 0 {
		t.Error("golang-jwt knows nothing of typ and cnf, and yet took no flaw: were they made?")
	}
}

func TestVerdicts_FailForAWrongOne(t *testing.T) {
	t.Parallel()
	iss, err := startIssuer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(iss.stop)
	always := func(name string, verdict error) library {
		return library{name: name, open: func(context.Context, *issuer, string) (verify, error) {
			return func(string) error { return verdict }, nil
		}}
	}
	ours, lax, strict := libraries()[0], libraries()[1], always("strict", errors.New("no"))
	for name, row := range map[string]struct {
		all  []library
		want string
	}{
		"refuses the good token":       {[]library{ours, strict}, "strict refuses the good token"},
		"takes what all must refuse":   {[]library{ours, always("blind", nil)}, "blind takes a token: signature changed"},
		"ours takes what others may":   {[]library{lax, ours}, lax.name + " takes a token"},
		"another takes what it may":    {[]library{ours, lax}, ""},
		"ours alone, which is correct": {[]library{ours}, ""},
	} {
		b := &bench{report: &report{}, issuer: iss, taken: map[string]int{}}
		err := b.verdictsOf(t.Context(), row.all)
		if (err == nil) != (row.want == "") || err != nil && !strings.HasPrefix(err.Error(), row.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A flaw that spoils more than it says would make a strict library of a lax one: all
// but those of the signature are signed by a key of the issuer's.
func TestFlaws_AreSignedUnlessTheySayOtherwise(t *testing.T) {
	t.Parallel()
	iss, err := startIssuer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(iss.stop)
	unsigned := []string{"signature changed", "claims changed after signing", "`alg: none`", "HMAC with the public key as secret"}
	for _, f := range flaws() {
		made, err := f.make(iss)
		if err != nil {
			t.Fatal(f.name, err)
		}
		if strings.Count(made.raw, ".") != 2 {
			t.Errorf("%s: %q", f.name, made.raw)
		}
		k := iss.keys["RS256"]
		if strings.Contains(f.name, "encryption") {
			k = iss.cipher
		}
		signed := made.sig != nil && k.verifyRaw()(&made) == nil
		if want := !strings.Contains(strings.Join(unsigned, ";"), f.name); signed != want {
			t.Errorf("%s: signed: %v", f.name, signed)
		}
	}
}

func TestTokens_AreOfTheSizeOfThoseInUseAndAllDifferent(t *testing.T) {
	t.Parallel()
	iss, err := startIssuer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(iss.stop)
	seen := map[string]bool{}
	tokens, err := iss.tokens("RS256", 20)
	if err != nil {
		t.Fatal(err)
	}
	for _, made := range tokens {
		seen[made.raw] = true
		if len(made.raw) < 850 || len(made.raw) > 950 {
			t.Errorf("has %s", made.size())
		}
	}
	if len(seen) != len(tokens) {
		t.Errorf("%d of %d differ", len(seen), len(tokens))
	}
}
