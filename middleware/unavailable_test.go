package middleware_test

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

// later is what a KeySource says that is out of reach for a while.
type later time.Duration

func (l later) Error() string             { return "keys out of reach" }
func (l later) RetryAfter() time.Duration { return time.Duration(l) }

func (l later) Keys(context.Context, string, string) ([]crypto.PublicKey, error) { return nil, l }

func TestUnavailable_KeysOutOfReachAreA503(t *testing.T) {
	t.Parallel()
	s := serve(t, newValidator(t, func(c *validator.Config) { c.Keys = later(7 * time.Second) }), require())
	a := s.send(t, "GET /", "Authorization: Bearer "+token(t, nil))
	s.wantRefused(t, a, 503, "")
	if got := a.header.Get("Retry-After"); got != "7" {
		t.Errorf("Retry-After %q, want 7", got)
	}
}

func TestUnavailable_RetryAfterIsWholeSecondsRoundedUpAtLeastOne(t *testing.T) {
	t.Parallel()
	for wait, want := range map[time.Duration]string{
		-time.Hour:              "1",
		0:                       "1",
		1:                       "1",
		time.Second:             "1",
		time.Second + 1:         "2",
		1500 * time.Millisecond: "2",
		2 * time.Second:         "2",
		time.Hour:               "3600",
		math.MaxInt64:           "9223372037",
	} {
		t.Run(wait.String(), func(t *testing.T) {
			t.Parallel()
			e := validator.NewError(validator.ErrUnavailable, "")
			e.RetryAfter = wait
			s := serve(t, refusing(e), require())
			a := s.send(t, "GET /", "Authorization: Bearer abc")
			s.wantRefused(t, a, 503, "")
			if got := a.header.Get("Retry-After"); got != want {
				t.Errorf("Retry-After %q, want %q", got, want)
			}
		})
	}
}

// Whatever an Authorizer returns that is no refusal of package validator says
// nothing about the token.
func TestUnavailable_ForeignErrorsAreA503(t *testing.T) {
	t.Parallel()
	var none *validator.Error
	for name, err := range map[string]error{
		"an error of its own":     errors.New("disk full"),
		"a sentinel, bare":        validator.ErrExpired,
		"a context's error":       context.DeadlineExceeded,
		"a nil *Error":            none,
		"an empty *Error":         &validator.Error{},
		"a status of success":     &validator.Error{Status: 200},
		"a redirect":              &validator.Error{Status: 302},
		"an impossible status":    &validator.Error{Status: 1000},
		"a negative status":       &validator.Error{Status: -401},
		"joined from two of them": errors.Join(errors.New("disk full"), context.Canceled),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, refusing(err), require())
			s.wantRefused(t, s.send(t, "GET /", "Authorization: Bearer abc"), 503, "")
			if !strings.Contains(s.log.String(), `"level":"ERROR"`) {
				t.Errorf("logged %s", s.log.String())
			}
		})
	}
}

func TestUnavailable_AWrappedRefusalCounts(t *testing.T) {
	t.Parallel()
	s := serve(t, refusing(fmt.Errorf("tenant 7: %w", validator.NewError(validator.ErrExpired, ""))), require())
	s.wantRefused(t, s.send(t, "GET /", "Authorization: Bearer abc"), 401,
		`Bearer realm="api", error="invalid_token", error_description="expired"`)
}

func TestUnavailable_WhoCannotJudgeLetsNobodyIn(t *testing.T) {
	t.Parallel()
	var noValidator *validator.Validator
	var noIssuers *validator.Issuers
	silent := authorizer(func(context.Context, validator.Credentials, validator.Requirement) (*validator.Token, error) {
		return nil, nil // as a careless one would
	})
	guards := map[string]func(*middleware.Guard) wrapper{
		"Require":     require("a"),
		"RequireAny":  func(g *middleware.Guard) wrapper { return g.RequireAny("a") },
		"RequireWith": func(g *middleware.Guard) wrapper { return g.RequireWith(validator.Requirement{}) },
		"Optional":    func(g *middleware.Guard) wrapper { return g.Optional() },
		"another Guard's zero value": func(*middleware.Guard) wrapper {
			return new(middleware.Guard).Require()
		},
	}
	for name, a := range map[string]middleware.Authorizer{
		"no Authorizer":                 nil,
		"a nil Validator":               noValidator,
		"a Validator not made by New":   new(validator.Validator),
		"nil Issuers":                   noIssuers,
		"Issuers not made by New":       new(validator.Issuers),
		"neither a token nor an error":  silent,
		"a token and an error together": careless,
	} {
		for guard, of := range guards {
			t.Run(name+", "+guard, func(t *testing.T) {
				t.Parallel()
				s := serve(t, a, of)
				s.wantRefused(t, s.send(t, "GET /", "Authorization: Bearer "+token(t, nil)), 503, "")
				s.wantRefused(t, s.send(t, "GET /", "Authorization: DPoP "+token(t, nil)), 503, "")
				s.wantRefused(t, s.send(t, "GET /"), 503, "")
			})
		}
	}
}

// careless returns a token that it has an error about.
var careless = authorizer(func(context.Context, validator.Credentials, validator.Requirement) (*validator.Token, error) {
	return new(validator.Token), errors.New("disk full")
})

func TestUnavailable_AClientThatLeftIsNoError(t *testing.T) {
	t.Parallel()
	entered, logged := make(chan struct{}), make(chan struct{})
	s := serve(t, authorizer(func(ctx context.Context, _ validator.Credentials, _ validator.Requirement) (*validator.Token, error) {
		close(entered)
		<-ctx.Done()
		return nil, ctx.Err()
	}), func(g *middleware.Guard) wrapper {
		guarded := g.Require()
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				defer close(logged)
				guarded(next).ServeHTTP(w, req)
			})
		}
	})
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		<-entered
		leave()
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer abc")
	if _, err := s.Client().Do(req); !errors.Is(err, context.Canceled) {
		t.Errorf("the client got %v", err)
	}
	<-logged
	if log := s.log.String(); !strings.Contains(log, `"level":"INFO"`) || !strings.Contains(log, `"status":503`) {
		t.Errorf("logged %s", log)
	}
	if s.handled.Load() != 0 {
		t.Error("the handler was called")
	}
}
