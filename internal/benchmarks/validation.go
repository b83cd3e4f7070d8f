package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/countermark/countermark/validator"
)

// remembered is how many tokens a Validator remembers unless told otherwise.
const remembered = 10_000

// The bounds for ours, as multiples of the bare signature: with every token new,
// without a memory and with one that is full, and with a token that is remembered.
// That is to take half a microsecond on a machine where the signature takes 30.8, 70
// and 52.
var validationBounds = map[string]struct{ without, full, warm float64 }{
	"RS256": {1.06, 1.15, 0.0162},
	"ES256": {1.04, 1.10, 0.0071},
	"EdDSA": {1.06, 1.13, 0.0096},
}

const (
	moreAllocs    = 12 // beyond those of the bare signature, without memory
	rawName       = "the signature alone"
	withoutName   = "Countermark, memory off"
	fullName      = "Countermark, every token new"
	warmName      = "Countermark, token seen before"
	warmRepeating = 20 // times as often: it takes so little
)

// validation compares the libraries with each other and with the limit, for each
// algorithm.
func (b *bench) validation(ctx context.Context) error {
	all := make([][]result, len(algorithms))
	var size string
	var err error
	for i, alg := range algorithms {
		b.log.stepf("%s", alg)
		if all[i], size, err = b.validationRace(ctx, alg); err != nil {
			return err
		}
		b.report.add(part{
			title: "Validation: " + alg,
			text: fmt.Sprintf("Tokens of %s, new in every lap and the same for all; but for the row of the token seen before. ",
				size) + validationText(alg),
		})
	}
	// A memory that is full has a race of its own, after the others: with as many
	// tokens in the heap, garbage is collected less often for everybody.
	full, err := b.fullMemory(ctx)
	if err != nil {
		return err
	}
	parts := b.report.parts[len(b.report.parts)-len(algorithms):]
	for i, alg := range algorithms {
		b.log.stepf("%s, memory full", alg)
		crowded, err := b.crowdedRace(ctx, alg, full)
		if err != nil {
			return err
		}
		results := slices.Insert(all[i], slices.IndexFunc(all[i], isWarm), crowded)
		b.judgeValidation(alg, results)
		parts[i].head, parts[i].rows = resultTable(results)
		parts[i].head = append(parts[i].head, "flaws taken")
		for row, r := range results {
			parts[i].rows[row] = append(parts[i].rows[row], b.flawsTaken(r.name))
		}
	}
	return nil
}

func isWarm(r result) bool { return r.name == warmName }

// flawsTaken says how much a contender overlooks; of the bare signature it says
// nothing.
func (b *bench) flawsTaken(contender string) string {
	if strings.HasPrefix(contender, rawName) {
		return ""
	}
	return fmt.Sprintf("%d of %d", b.taken[contender], len(flaws())) // ours takes none, by any name
}

func validationText(alg string) string {
	limit := map[string]string{
		"RS256": "`rsa.VerifyPKCS1v15` with 2048 bits, and SHA-256 of what was signed",
		"ES256": "`ecdsa.Verify`, and SHA-256 of what was signed",
		"EdDSA": "`ed25519.Verify`, which hashes by itself",
	}
	return "The signature alone is " + limit[alg] + ", of parts that are already split and decoded. " +
		"Everybody checks issuer, audience and expiry, and has the scope at hand in the end. " +
		"Countermark is measured with no memory of tokens, with the usual memory, full of other tokens (in a race of its own), " +
		"and with a token that is in it. " +
		"The flaws are those of the table above."
}

// fullMemory returns a Validator with the default configuration that remembers as
// much as it can.
func (b *bench) fullMemory(ctx context.Context) (*validator.Validator, error) {
	v, err := b.issuer.validator(ctx)
	if err != nil {
		return nil, err
	}
	b.log.stepf("filling the memory with %d tokens", remembered)
	tokens, err := b.issuer.tokens("EdDSA", remembered)
	if err != nil {
		return nil, err
	}
	var group errgroup.Group
	group.SetLimit(8)
	for _, t := range tokens {
		group.Go(func() error {
			_, err := v.Validate(ctx, t.raw)
			return err
		})
	}
	return v, group.Wait()
}

// newTokens returns a race with the bare signature, and the tokens of its current
// lap.
func (b *bench) newTokens(alg string) (*race, *[]token) {
	tokens := new([]token)
	raw := b.issuer.keys[alg].verifyRaw()
	bare := func(i int) error { return raw(&(*tokens)[i]) }
	return &race{
		contenders: []contender{oneByOne(rawName, bare), oneByOne(rawName+", again", bare)},
		prepare: func(n int) error {
			var err error
			*tokens, err = b.issuer.tokens(alg, n)
			return err
		},
	}, tokens
}

func (b *bench) validationRace(ctx context.Context, alg string) ([]result, string, error) {
	r, tokens := b.newTokens(alg)
	for i, l := range libraries() {
		v, err := l.open(ctx, b.issuer, alg)
		if err != nil {
			return nil, "", fmt.Errorf("%s: %w", l.name, err)
		}
		c := oneByOne(l.name, func(i int) error { return v((*tokens)[i].raw) })
		r.contenders = append(r.contenders, c)
		if i == 0 { // ours
			warm, err := b.warm(ctx, alg)
			if err != nil {
				return nil, "", err
			}
			r.contenders[len(r.contenders)-1].name = withoutName
			r.contenders = append(r.contenders, warm)
		}
	}
	results, err := b.race(ctx, r, b.effort)
	if err != nil {
		return nil, "", err
	}
	return results, (*tokens)[0].size(), nil
}

// crowdedRace measures the default configuration where the memory is full and every
// token new.
func (b *bench) crowdedRace(ctx context.Context, alg string, full *validator.Validator) (result, error) {
	r, tokens := b.newTokens(alg)
	v := validating(ctx, full)
	r.contenders = append(r.contenders, oneByOne(fullName, func(i int) error { return v((*tokens)[i].raw) }))
	longer := b.effort // until a collection is due in a round
	longer.rounds, longer.laps = 5, 3*longer.laps
	results, err := b.race(ctx, r, longer)
	if err != nil {
		return result{}, err
	}
	return results[2], nil
}

// warm is a contender that shows one token again and again, to a Validator with
// the default configuration.
func (b *bench) warm(ctx context.Context, alg string) (contender, error) {
	v, err := b.issuer.validator(ctx)
	if err != nil {
		return contender{}, err
	}
	seen, err := b.issuer.tokens(alg, 1)
	if err != nil {
		return contender{}, err
	}
	c := oneByOne(warmName, func(int) error {
		_, err := v.Validate(ctx, seen[0].raw)
		return err
	})
	c.repeat = warmRepeating
	return c, c.piece(0)
}

// judgeValidation holds our rows against their bounds, and draws the bars.
func (b *bench) judgeValidation(alg string, results []result) {
	bounds := validationBounds[alg]
	limit := results[0]
	for _, r := range results {
		switch r.name {
		case withoutName:
			b.report.atMost(alg+", memory off, token new", r.toFirst.median, bounds.without, multiples)
			b.report.atMost(alg+", memory off: allocations beyond the signature's", r.allocs-limit.allocs, moreAllocs, "")
		case fullName:
			b.report.atMost(alg+", default configuration, token new", r.toFirst.median, bounds.full, multiples)
		case warmName:
			b.report.atMost(alg+", token seen before", r.toFirst.median, bounds.warm, multiples)
			b.report.atMost(alg+", token seen before: allocations", r.allocs, 0, "")
		}
		if ours := strings.HasPrefix(r.name, "Countermark"); alg == "RS256" && r.name != rawName+", again" {
			b.report.bars = append(b.report.bars, bar{
				label: r.name, value: r.toFirst.median, ours: ours, note: count(r.allocs) + " allocations",
			})
		}
	}
}
