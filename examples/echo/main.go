// Echo guards the routes of an Echo v4 server. For Echo v5, import echo/v5 in the
// place of echo/v4, and middleware/echoauth5 in the place of middleware/echoauth.
// Then echoauth is echoauth5, a handler's echo.Context is *echo.Context, and the
// rest stays.
//
//	go run ./authserver/cmd/devissuer     # an issuer first, in another terminal
//	go run ./examples/echo                # then, with a token that the issuer gave:
//	curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8081/orders
package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/countermark/countermark/jwks"
	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/middleware/echoauth"
	"github.com/countermark/countermark/validator"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8081", "address to listen on")
	issuer := flag.String("issuer", "http://127.0.0.1:9000", "issuer of the tokens")
	flag.Parse()
	if err := run(*addr, *issuer); err != nil {
		slog.Error("echo example", "error", err)
		os.Exit(1)
	}
}

func run(addr, issuer string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	handler, keys, err := newHandler(issuer)
	if err != nil {
		return err
	}
	defer func() { _ = keys.Close() }()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	slog.Info("listening", "url", "http://"+listener.Addr().String()+"/orders", "issuer", issuer)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, MaxHeaderBytes: 32 << 10}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func newHandler(issuer string) (http.Handler, *jwks.Cache, error) {
	e := echo.New()

	// snippet:guard
	keys, err := jwks.New(jwks.Config{Issuer: issuer})
	if err != nil {
		return nil, nil, err
	}
	v, err := validator.New(validator.Config{
		Issuer:    issuer,
		Audiences: []string{"https://api.example.com"},
		Keys:      keys,
	})
	if err != nil {
		return nil, nil, err
	}
	auth := middleware.New(v, &middleware.Options{Logger: slog.Default()})
	orders := e.Group("/orders", echoauth.Require(auth, "orders:read"))
	orders.GET("", listOrders)
	orders.DELETE("/:id", cancelOrder, echoauth.Require(auth, "orders:write")) // needs both
	// end snippet

	e.GET("/hello", hello, echoauth.Optional(auth))
	e.GET("/readyz", func(c echo.Context) error {
		if err := keys.Ready(); err != nil {
			return c.String(http.StatusServiceUnavailable, err.Error())
		}
		return c.NoContent(http.StatusOK)
	})
	return e, keys, nil
}

func listOrders(c echo.Context) error {
	token, _ := validator.TokenFromContext(c.Request().Context()) // there is one: Require saw to it
	return c.String(http.StatusOK, "orders of "+token.Subject()+"\n")
}

func cancelOrder(c echo.Context) error { return c.NoContent(http.StatusNoContent) }

func hello(c echo.Context) error {
	if token, ok := validator.TokenFromContext(c.Request().Context()); ok {
		return c.String(http.StatusOK, "hello, "+token.Subject()+"\n")
	}
	return c.String(http.StatusOK, "hello, whoever you are\n")
}
