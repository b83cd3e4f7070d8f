package authserver

import (
	"strings"
	"testing"
)

// RFC 8628 section 6.1: of 20 letters at 8 places each comes as often as the
// others. Bytes modulo 20, of which 12 are left over, would give some one in 13 less.
func TestRFC8628_6_1_TheLettersOfUserCodesAreEven(t *testing.T) {
	t.Parallel()
	const codes = 100_000
	var places [userCodeLength]map[rune]float64
	all := map[rune]float64{}
	for n := range places {
		places[n] = map[rune]float64{}
	}
	for range codes {
		for n, letter := range strings.Replace(newUserCode(), "-", "", 1) {
			places[n][letter]++
			all[letter]++
		}
	}
	uneven := func(count map[rune]float64, of float64) float64 {
		want, chi := of/float64(len(userCodeLetters)), 0.0
		for _, letter := range userCodeLetters {
			chi += (count[letter] - want) * (count[letter] - want) / want
		}
		return chi
	}
	const limit = 90 // chi-squared of 19 degrees of freedom: beyond it once in 10^10
	for n, count := range append(places[:], all) {
		of := float64(codes)
		if n == len(places) {
			of *= userCodeLength
		}
		if chi := uneven(count, of); chi > limit || len(count) != len(userCodeLetters) {
			t.Errorf("place %d: chi-squared %.0f, %v", n, chi, count)
		}
	}
}

func TestRFC8628_6_1_UserCodesAsPeopleTypeThem(t *testing.T) {
	t.Parallel()
	for _, typed := range []string{
		"BCDF-GHJK", "BCDFGHJK", "bcdf-ghjk", "bCdFgHjK", " BCDF GHJK\n", "B-C-D-F-G-H-J-K", "BCDF\u00a0GHJK", "BCDF\u2013GHJK", "bcdf \u2014 ghjk", "BCDF\u2011GHJK",
	} {
		if got := parseUserCode(typed); got != "BCDF-GHJK" {
			t.Errorf("%q: %q", typed, got)
		}
	}
	for _, typed := range []string{
		"", "-", "BCDF-GHJ", "BCDF-GHJKL", "ACDF-GHJK", "BCDF-GHJ1", "BCDF_GHJK", "BCDF.GHJK", "ВCDF-GHJK", "\u017fCDF-GHJK", "BCDF\u212aGHJ", "BCDF-GHJ\xff", "BCDF-GHJ\x00", "BCDFGHé",
	} {
		if got := parseUserCode(typed); got != "" {
			t.Errorf("%q: %q", typed, got)
		}
	}
}
