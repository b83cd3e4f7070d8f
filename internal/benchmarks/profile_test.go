package main

import (
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

func TestShares_CountCryptographyBelowValidateAlone(t *testing.T) {
	t.Parallel()
	const validate = "github.com/countermark/countermark/validator.(*Validator).Validate"
	p := &profile.Profile{}
	for _, row := range []struct {
		took  int64
		stack []string
	}{
		{90, []string{"crypto/internal/fips140/bigmod.mul", "crypto/rsa.VerifyPKCS1v15", validate, "main.run"}},
		{6, []string{"strconv.ParseInt", validate, "main.run"}},
		{3, []string{"crypto/sha256.block", "main.other"}},
		{1, []string{"runtime.gcBgMarkWorker"}},
	} {
		sample := &profile.Sample{Value: []int64{1, row.took}}
		for _, name := range row.stack {
			sample.Location = append(sample.Location, &profile.Location{Line: []profile.Line{{Function: &profile.Function{Name: name}}}})
		}
		p.Sample = append(p.Sample, sample)
	}
	s := sharesOf(p)
	if s.total != 100 || s.validate != 96 || s.cryptography != 90 {
		t.Errorf("%+v", s)
	}
	want := " 90.0 %   90.0 %  crypto/internal/fips140/bigmod.mul\n  6.0 %    6.0 %  strconv.ParseInt\n"
	if got := s.top(2); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if s.cumulative[validate] != 96 {
		t.Errorf("%d below Validate", s.cumulative[validate])
	}
	if got := strings.Count(s.top(99), "\n"); got != 4 {
		t.Errorf("%d functions", got)
	}
}
