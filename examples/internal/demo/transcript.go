package demo

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// A Step is one call of the API, and what must come of it.
type Step struct {
	Title  string
	Method string // empty means GET
	Path   string
	Token  func() (string, error) // nil means no token
	Want   int                    // the status
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
		status, challenge, err := api.Call(ctx, method, step.Path, token)
		if err != nil {
			return fmt.Errorf("%s: %w", step.Title, err)
		}
		verdict := "as it should"
		if status != step.Want {
			verdict = fmt.Sprintf("WRONG, it should be %d", step.Want)
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
