package main

import (
	"context"
	"fmt"
	"net/http"
	"runtime"

	"github.com/labstack/echo/v4"
	echo5 "github.com/labstack/echo/v5"

	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/middleware/echoauth"
	"github.com/countermark/countermark/middleware/echoauth5"
	"github.com/countermark/countermark/validator"
)

// clients is how many connections are kept busy. They and the server share the
// cores, so that more of them would only wait.
func clients() int { return 4 * runtime.GOMAXPROCS(0) }

// The routes of each server: an open one, and the same behind the guard.
const (
	openPath    = "/open"
	guardedPath = "/guarded"
	answer      = "ok\n"
)

// doors compares what servers with trivial handlers get done with and without
// their guard, over connections that stay open.
func (b *bench) doors(ctx context.Context) error {
	v, err := b.issuer.validator(ctx)
	if err != nil {
		return err
	}
	tokens, err := b.issuer.tokens("RS256", 1)
	if err != nil {
		return err
	}
	bearer := "Bearer " + tokens[0].raw
	p := part{
		title: "Throughput over loopback",
		text: fmt.Sprintf("%d callers at once, over connections that stay open, a handler that answers at once, "+
			"and an RS256 token that was seen before. Every request carries the token; the open route does not look at it. "+
			"Client and server share the machine. The HTTP client does as little as it can; that of gRPC is the usual one.", clients()),
		head: []string{"", "throughput", "requests a second"},
	}
	for _, door := range []struct {
		name string
		open opener
	}{
		{"net/http", httpDoor(overHTTP)},
		{"Echo v4", httpDoor(overEcho)},
		{"Echo v5", httpDoor(overEcho5)},
		{"gRPC, unary", grpcDoor},
	} {
		b.log.stepf("%s", door.name)
		open, guarded, stop, err := door.open(ctx, v, bearer)
		if err != nil {
			return fmt.Errorf("%s: %w", door.name, err)
		}
		r := race{contenders: []contender{
			{name: door.name + ", open", work: open},
			{name: door.name + ", open", work: open},
			{name: door.name + ", guarded", work: guarded},
		}}
		longer := b.effort // a batch is shared by many connections
		longer.batch, longer.laps = 3*longer.batch, max(longer.laps/2, 1)
		results, err := b.race(ctx, &r, longer)
		stop()
		if err != nil {
			return err
		}
		for _, result := range results[1:] {
			p.rows = append(p.rows, []string{result.name, result.toFirst.inverse().times(), figure(1e6 / result.micros)})
		}
		b.report.atLeast("throughput of "+door.name+", guarded to open", results[2].toFirst.inverse().median, 0.95, multiples)
	}
	b.report.add(p)
	return nil
}

// An opener starts a server with both routes, and returns what makes n requests to
// either.
type opener func(ctx context.Context, v *validator.Validator, bearer string) (open, guarded func(n int) error, stop func(), err error)

func httpDoor(routes func(*middleware.Guard) http.Handler) opener {
	return func(ctx context.Context, v *validator.Validator, bearer string) (open, guarded func(n int) error, stop func(), err error) {
		url, stopServer, err := serve(ctx, routes(middleware.New(v, nil)))
		if err != nil {
			return nil, nil, nil, err
		}
		lines, err := dial(ctx, url, clients())
		if err != nil {
			stopServer()
			return nil, nil, nil, err
		}
		stop = func() {
			lines.close()
			stopServer()
		}
		return lines.get(openPath, bearer), lines.get(guardedPath, bearer), stop, nil
	}
}

func overHTTP(g *middleware.Guard) http.Handler {
	mux := http.NewServeMux()
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(answer)) })
	mux.Handle("GET "+openPath, handler)
	mux.Handle("GET "+guardedPath, g.Require("orders:read")(handler))
	return mux
}

func overEcho(g *middleware.Guard) http.Handler {
	e := echo.New()
	handler := func(c echo.Context) error { return c.String(http.StatusOK, answer) }
	e.GET(openPath, handler)
	e.GET(guardedPath, handler, echoauth.Require(g, "orders:read"))
	return e
}

func overEcho5(g *middleware.Guard) http.Handler {
	e := echo5.New()
	handler := func(c *echo5.Context) error { return c.String(http.StatusOK, answer) }
	e.GET(openPath, handler)
	e.GET(guardedPath, handler, echoauth5.Require(g, "orders:read"))
	return e
}
