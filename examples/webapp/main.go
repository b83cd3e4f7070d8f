// Webapp is a web application that people sign in to, an API that it calls for
// them, and the issuer of the tokens: three servers on loopback, in one program.
//
//	go run -C examples/webapp .
//
// Open the address that it prints in a browser and sign in as alice, with the
// password alice.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address of the web application; API and issuer take the next two ports, or any if it is 0")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *addr); err != nil {
		fmt.Fprintln(os.Stderr, "webapp:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to stop
	}
}

func run(ctx context.Context, addr string) error {
	s, err := start(ctx, addr)
	if err != nil {
		return err
	}
	defer s.stop()
	fmt.Fprintf(os.Stdout, "open    %s\nAPI     %s\nissuer  %s\n\n", s.webURL, s.apiURL, s.issuerURL)
	fmt.Fprintln(os.Stdout, "Sign in as alice, with the password alice. Interrupt to stop.")
	<-ctx.Done()
	return nil
}

// A system is the three servers.
type system struct {
	webURL, apiURL, issuerURL string

	stops []func() error
}

// start runs everything, the web application at addr.
func start(ctx context.Context, addr string) (*system, error) {
	listeners, err := listen(ctx, addr)
	if err != nil {
		return nil, err
	}
	url := func(n int) string { return "http://" + listeners[n].Addr().String() }
	s := &system{webURL: url(0), apiURL: url(1), issuerURL: url(2)}
	secret := newSecret() // known to the application and the issuer
	issuer, err := newIssuer(s.issuerURL, s.webURL, secret)
	if err != nil {
		return nil, err
	}
	api, keys, err := newAPI(s.issuerURL)
	if err != nil {
		return nil, err
	}
	web := newApp(s, secret)
	s.stops = append(s.stops, keys.Close)
	for n, handler := range []http.Handler{web, api, issuer} {
		server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, MaxHeaderBytes: 32 << 10}
		go func() { _ = server.Serve(listeners[n]) }() // until Close
		s.stops = append(s.stops, server.Close)
	}
	return s, nil
}

func (s *system) stop() {
	for _, stop := range s.stops {
		_ = stop()
	}
}

// listen opens addr and two more ports: the next ones, unless its port is 0.
func listen(ctx context.Context, addr string) ([]net.Listener, error) {
	at, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, err
	}
	if !at.IP.IsLoopback() {
		return nil, errors.New("-addr: must be on loopback, as in 127.0.0.1:8080: this is a demonstration without TLS")
	}
	listeners := make([]net.Listener, 3)
	for n := range listeners {
		one := *at
		if at.Port != 0 {
			one.Port += n
		}
		listeners[n], err = new(net.ListenConfig).Listen(ctx, "tcp", one.String())
		if err != nil {
			for _, l := range listeners[:n] {
				_ = l.Close()
			}
			return nil, err
		}
	}
	return listeners, nil
}
