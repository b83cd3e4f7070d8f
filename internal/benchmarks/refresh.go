package main

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/countermark/countermark/jwks"
	"github.com/countermark/countermark/validator"
)

// refresh compares the slowest hundredth of validations while the key set is
// replaced with that of a time when nothing happens. Every core is busy with
// validations in both.
func (b *bench) refresh(ctx context.Context) error {
	rows := []struct {
		name  string
		edits []func(*validator.Config)
	}{
		{"memory off", []func(*validator.Config){withoutMemory}},
		{"token seen before", nil},
	}
	p := part{
		title: "A refresh under load",
		text: fmt.Sprintf("Every core validates RS256 tokens without a pause. For %v nothing happens; for as long again, "+
			"a set of 100 keys is fetched in the middle, and one of them is new. "+
			"Compared is the 99th percentile of what one validation takes.", b.window),
		head: []string{"", "p99 with a refresh", "µs at rest", "µs with a refresh"},
	}
	for _, row := range rows {
		var resting, refreshing []float64
		for range b.windows {
			quiet, busy, err := b.aroundRefresh(ctx, row.edits)
			if err != nil {
				return err
			}
			resting, refreshing = append(resting, quiet), append(refreshing, busy)
		}
		toRest := spreadOf(ratios(refreshing, resting))
		b.report.atMost("p99 during a refresh of the key set, "+row.name, toRest.median, 1.2, multiples)
		p.rows = append(p.rows, []string{row.name, toRest.times(), figure(median(resting)), figure(median(refreshing))})
	}
	b.report.add(p)
	return nil
}

// aroundRefresh returns the 99th percentiles, in microseconds, of a window at rest
// and of one with a refresh.
func (b *bench) aroundRefresh(ctx context.Context, edits []func(*validator.Config)) (quiet, busy float64, err error) {
	set, err := b.growingSet()
	if err != nil {
		return 0, 0, err
	}
	url, stop, err := serve(ctx, jsonHandler(set))
	if err != nil {
		return 0, 0, err
	}
	defer stop()
	cache, err := jwks.New(jwks.Config{URL: url, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = cache.Close() }()
	if err := cache.Refresh(ctx); err != nil {
		return 0, 0, err
	}
	fromCache := func(c *validator.Config) { c.Keys = cache }
	v, err := b.issuer.validator(ctx, append(edits, fromCache)...)
	if err != nil {
		return 0, 0, err
	}
	tokens, err := b.issuer.tokens("RS256", 16)
	if err != nil {
		return 0, 0, err
	}
	at := func(happens func() error) (float64, error) { return p99(ctx, v, tokens, b.window, happens) }
	if quiet, err = at(func() error { return nil }); err != nil {
		return 0, 0, err
	}
	busy, err = at(func() error { return cache.Refresh(ctx) })
	return quiet, busy, err
}

// growingSet returns a set of 100 keys, the issuer's among them, which is another
// one each time.
func (b *bench) growingSet() (func() []byte, error) {
	keys := []*key{b.issuer.keys["RS256"]}
	for i := range 98 {
		k, err := newKey("EdDSA", fmt.Sprintf("key-%02d", i))
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	var sets [2][]byte
	for i := range sets {
		latest, err := newKey("EdDSA", fmt.Sprintf("latest-%d", i))
		if err != nil {
			return nil, err
		}
		if sets[i], err = keySet(append(keys, latest)...); err != nil {
			return nil, err
		}
	}
	var asked atomic.Int64
	return func() []byte { return sets[asked.Add(1)%2] }, nil
}

// p99 has every core validate for a while, and something happen in the middle.
func p99(ctx context.Context, v *validator.Validator, tokens []token, window time.Duration, happens func() error) (float64, error) {
	for _, t := range tokens { // those to be remembered are, before
		if err := validating(ctx, v)(t.raw); err != nil {
			return 0, err
		}
	}
	cores := runtime.GOMAXPROCS(0)
	took := make([][]int64, cores)
	for i := range took {
		took[i] = make([]int64, 0, int(window/time.Microsecond)*4)
	}
	runtime.GC()
	var group errgroup.Group
	end := time.Now().Add(window)
	for core := range cores {
		group.Go(func() error {
			last := time.Now()
			for i := 0; last.Before(end); i++ {
				if _, err := v.Validate(ctx, tokens[i%len(tokens)].raw); err != nil {
					return err
				}
				now := time.Now()
				took[core] = append(took[core], int64(now.Sub(last)))
				last = now
			}
			return nil
		})
	}
	group.Go(func() error {
		select {
		case <-time.After(window / 2):
			return happens()
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	err := group.Wait()
	var all []int64
	for _, t := range took {
		all = append(all, t...)
	}
	return float64(percentile(all, 99)) / 1e3, err
}
