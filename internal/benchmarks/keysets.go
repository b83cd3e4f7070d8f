package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/countermark/countermark/jwks"
)

// keySets compares looking a key up in a small set and in the largest.
func (b *bench) keySets(ctx context.Context) error {
	const few, many = 2, 1000
	small, err := lookup(ctx, few)
	if err != nil {
		return err
	}
	large, err := lookup(ctx, many)
	if err != nil {
		return err
	}
	last := func(n int, find func(i int) error) func(int) error { return func(int) error { return find(n - 1) } }
	r := race{contenders: []contender{
		oneByOne("2 keys", last(few, small)), oneByOne("2 keys, again", last(few, small)),
		oneByOne("1,000 keys", last(many, large)), oneByOne("1,000 keys, all of them in turn", large),
	}}
	results, err := b.race(ctx, &r, b.effort)
	if err != nil {
		return err
	}
	b.report.atMost("a lookup among 1,000 keys, to one among 2", results[2].toFirst.median, 1.1, multiples)
	p := part{
		title: "Size of the key set",
		text: "Finding the key of a token by its `kid`: the last of the set, again and again. " +
			"(A Go map of up to eight entries need not hash its keys, which spares it some nanoseconds.) " +
			"Asking for all of 1,000 in turn, as no issuer's tokens do, makes the processor fetch each from farther away.",
	}
	p.head, p.rows = resultTable(results)
	b.report.add(p)
	return nil
}

// lookup returns what finds one of n keys, each in its turn.
func lookup(ctx context.Context, n int) (func(i int) error, error) {
	keys := make([]*key, n)
	names := make([]string, n)
	for i := range keys {
		names[i] = fmt.Sprintf("key-%04d", i)
		var err error
		if keys[i], err = newKey("EdDSA", names[i]); err != nil {
			return nil, err
		}
	}
	set, err := keySet(keys...)
	if err != nil {
		return nil, err
	}
	url, stop, err := serve(ctx, jsonHandler(func() []byte { return set }))
	if err != nil {
		return nil, err
	}
	defer stop()
	cache, err := jwks.New(jwks.Config{URL: url, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = cache.Close() })
	if err := cache.Refresh(ctx); err != nil {
		return nil, err
	}
	missing := errors.New("a key is missing")
	return func(i int) error {
		found, err := cache.Keys(ctx, names[i%n], "EdDSA")
		if err == nil && len(found) != 1 {
			err = missing
		}
		return err
	}, nil
}
