package demo

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// A Step is one call of the API, and what must come of it.
type Step struct {
	Title  string
	Method string // empty means GET
	Path   string
	Token  func() (string, error) // shown as a bearer token; nil means none
	Client *http.Client           // makes the call; nil means one that adds nothing
	Want   int                    // the status
	Code   string                 // the error that the challenge must name; empty means any, or none
}

// Transcript makes the calls one after the other and writes what came of them.
// Its error says how many did not go as they should.
func Transcript(ctx context.Context, out io.Writer, api *API, steps []Step) error {
	failed := 0
	for i, step := range steps {
		token, err := "", error(nil)
		if step.Token != nil {
			token, err = step.Token()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", step.Title, err)
		}
		method := step.Method
		if method == "" {
			method = http.MethodGet
		}
		status, challenge, err := api.call(ctx, cmp.Or(step.Client, client), method, step.Path, token)
		if err != nil {
			return fmt.Errorf("%s: %w", step.Title, err)
		}
		verdict := "as it should"
		if status != step.Want || !strings.Contains(challenge, step.Code) {
			verdict = strings.TrimSpace(fmt.Sprintf("WRONG, it should be %d %s", step.Want, step.Code))
			failed++
		}
		fmt.Fprintf(out, "\n%d. %s\n   %s %s  %d %s, %s\n", i+1, step.Title, method, step.Path, status, http.StatusText(status), verdict)
		if challenge != "" {
			fmt.Fprintf(out, "   WWW-Authenticate: %s\n", challenge)
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d calls went wrong", failed, len(steps))
	}
	return nil
}
