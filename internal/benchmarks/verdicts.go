package main

import (
	"context"
	"fmt"
	"strings"
)

// verdicts shows every library the good token and the flawed ones.
func (b *bench) verdicts(ctx context.Context) error { return b.verdictsOf(ctx, libraries()) }

// verdictsOf fails if a library refuses the good token or takes a basic flaw. The
// first one, ours, has to refuse them all.
func (b *bench) verdictsOf(ctx context.Context, all []library) error {
	verifiers := make([]verify, len(all))
	for i, l := range all {
		var err error
		if verifiers[i], err = l.open(ctx, b.issuer, "RS256"); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		t, err := good(b.issuer)
		if err != nil {
			return err
		}
		if err := verifiers[i](t.raw); err != nil {
			return fmt.Errorf("%s refuses the good token: %w", l.name, err)
		}
	}

	heading := []string{"the token"}
	for _, l := range all {
		heading = append(heading, l.name)
	}
	var rows [][]string
	for _, f := range flaws() {
		t, err := f.make(b.issuer)
		if err != nil {
			return err
		}
		row := []string{f.name}
		for i, l := range all {
			taken := verifiers[i](t.raw) == nil
			if taken && (f.basic || i == 0) {
				return fmt.Errorf("%s takes a token: %s", l.name, f.name)
			}
			if taken {
				b.taken[l.name]++
			}
			row = append(row, verdict(taken))
		}
		rows = append(rows, row)
	}
	b.addVerdicts(heading, rows)
	return nil
}

func verdict(taken bool) string {
	if taken {
		return "**taken**"
	}
	return "refused"
}

func (b *bench) addVerdicts(heading []string, rows [][]string) {
	var versions strings.Builder
	for _, l := range libraries() {
		fmt.Fprintf(&versions, "- %s: `%s` %s", l.name, l.module, version(l.module))
		if l.note != "" {
			versions.WriteString("; " + l.note)
		}
		versions.WriteString("\n")
	}
	b.report.add(part{
		title: "What each library refuses",
		text: "Each library has every option on that refuses something and lets good access tokens pass, " +
			"and reads its keys from the same key set. " +
			"What a program could check by code of its own does not count. The token is an RS256 one, good but for the flaw. " +
			"These verdicts are tried anew in every run.\n\n" + versions.String(),
		head: heading, rows: rows,
	})
}
