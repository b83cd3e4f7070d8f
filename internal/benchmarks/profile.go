package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/google/pprof/profile"
)

// profile shows where the time of the cold path goes, for each algorithm: one
// goroutine validates tokens, and nothing is remembered.
func (b *bench) profile(ctx context.Context) error {
	window := 30 * b.window // with a sample every 10 ms
	p := part{
		title: "Where the time goes",
		text: fmt.Sprintf("CPU profiles of `Validate` without memory, %v each. "+
			"Cryptography is what runs in packages of `crypto`, with all they call. "+
			"The rest of the whole process is mostly the garbage collector's.", window),
		head: []string{"", "cryptography, of Validate", "cryptography, of the whole process"},
	}
	var tops strings.Builder
	for _, alg := range algorithms {
		b.log.stepf("%s", alg)
		found, err := b.cpuProfile(ctx, alg, window)
		if err != nil {
			return err
		}
		shares := sharesOf(found)
		p.rows = append(p.rows, []string{alg, percent(shares.cryptography, shares.validate), percent(shares.cryptography, shares.total)})
		of := 100 * float64(shares.cryptography) / float64(max(shares.validate, 1))
		b.report.atLeast("cryptography in the profile of the cold path, "+alg, of, 94, " %")
		if alg == algorithms[0] {
			fmt.Fprintf(&tops, "The top of the profile of %s, by the time in a function itself; behind it, that with what it calls:\n\n"+
				"```text\n%s```\n", alg, shares.top(20))
		}
	}
	p.note = tops.String()
	b.report.add(p)
	return nil
}

func (b *bench) cpuProfile(ctx context.Context, alg string, window time.Duration) (*profile.Profile, error) {
	v, err := b.issuer.validator(ctx, withoutMemory)
	if err != nil {
		return nil, err
	}
	tokens, err := b.issuer.tokens(alg, 256)
	if err != nil {
		return nil, err
	}
	runtime.GC()
	var data bytes.Buffer
	if err := pprof.StartCPUProfile(&data); err != nil {
		return nil, err
	}
	for end := time.Now().Add(window); time.Now().Before(end); {
		for i := range tokens {
			if _, err = v.Validate(ctx, tokens[i].raw); err != nil {
				break
			}
		}
	}
	pprof.StopCPUProfile()
	if err != nil {
		return nil, err
	}
	return profile.Parse(&data)
}

// shares are times of a profile, in its own unit.
type shares struct {
	total, validate, cryptography int64
	flat, cumulative              map[string]int64 // by function: itself, and with what it calls
}

// sharesOf adds up a profile. A stack counts once, however often a function is on
// it.
func sharesOf(p *profile.Profile) shares {
	s := shares{flat: map[string]int64{}, cumulative: map[string]int64{}}
	for _, sample := range p.Sample {
		took := sample.Value[len(sample.Value)-1]
		s.total += took
		stack := functions(sample)
		if len(stack) == 0 {
			continue
		}
		s.flat[stack[0]] += took
		for _, name := range slices.Compact(slices.Sorted(slices.Values(stack))) {
			s.cumulative[name] += took
		}
		if !slices.ContainsFunc(stack, isValidate) {
			continue
		}
		s.validate += took
		if slices.ContainsFunc(stack, isCryptography) {
			s.cryptography += took
		}
	}
	return s
}

// functions returns the names on a sample's stack, the one that ran first.
func functions(sample *profile.Sample) []string {
	var names []string
	for _, location := range sample.Location {
		for _, line := range location.Line {
			if line.Function != nil {
				names = append(names, line.Function.Name)
			}
		}
	}
	return names
}

func isValidate(name string) bool { return strings.HasSuffix(name, "validator.(*Validator).Validate") }

func isCryptography(name string) bool { return strings.HasPrefix(name, "crypto/") }

// top lists the n functions in which most of the time was spent.
func (s shares) top(n int) string {
	names := slices.SortedFunc(maps.Keys(s.flat), func(a, b string) int {
		return cmp.Or(cmp.Compare(s.flat[b], s.flat[a]), cmp.Compare(a, b))
	})
	var text strings.Builder
	for _, name := range names[:min(n, len(names))] {
		fmt.Fprintf(&text, "%7s %8s  %s\n", percent(s.flat[name], s.total), percent(s.cumulative[name], s.total), name)
	}
	return text.String()
}

func percent(part, whole int64) string {
	return fmt.Sprintf("%.1f %%", 100*float64(part)/float64(max(whole, 1)))
}
