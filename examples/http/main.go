// Http guards the handlers of net/http.
//
//	go run ./authserver/cmd/devissuer     # an issuer first, in another terminal
//	go run ./examples/http                # then, with a token that the issuer gave:
//	curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8080/orders
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/countermark/countermark/jwks"
	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to listen on")
	issuer := flag.String("issuer", "http://127.0.0.1:9000", "issuer of the tokens")
	flag.Parse()
	if err := run(*addr, *issuer); err != nil {
		slog.Error("http example", "error", err)
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
	mux := http.NewServeMux()
	orders := http.HandlerFunc(listOrders)

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
	mux.Handle("GET /orders", auth.Require("orders:read")(orders))
	// end snippet

	mux.Handle("GET /hello", auth.Optional()(http.HandlerFunc(hello)))
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := keys.Ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	return mux, keys, nil
}

func listOrders(w http.ResponseWriter, r *http.Request) {
	token, _ := validator.TokenFromContext(r.Context()) // there is one: Require saw to it
	_, _ = fmt.Fprintf(w, "orders of %s\n", token.Subject())
}

func hello(w http.ResponseWriter, r *http.Request) {
	if token, ok := validator.TokenFromContext(r.Context()); ok {
		_, _ = fmt.Fprintf(w, "hello, %s\n", token.Subject())
		return
	}
	_, _ = fmt.Fprintln(w, "hello, whoever you are")
}
