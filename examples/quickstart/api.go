package main

import (
	"fmt"
	"net/http"

	"github.com/countermark/countermark/jwks"
	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

// newAPI returns an orders service that only tokens of one issuer open, and the
// keys of that issuer, to be closed.
func newAPI(issuer string) (http.Handler, *jwks.Cache, error) {
	keys, err := jwks.New(jwks.Config{Issuer: issuer})
	if err != nil {
		return nil, nil, err
	}
	v, err := validator.New(validator.Config{Issuer: issuer, Audiences: []string{apiName}, Keys: keys})
	if err != nil {
		return nil, nil, err
	}
	auth := middleware.New(v, nil)
	mux := http.NewServeMux()
	mux.Handle("GET /orders", auth.Require("orders:read")(http.HandlerFunc(orders)))
	return mux, keys, nil
}

func orders(w http.ResponseWriter, r *http.Request) {
	token, _ := validator.TokenFromContext(r.Context()) // there is one: Require saw to it
	_, _ = fmt.Fprintf(w, "orders of %s: 3 espressos, 1 cortado\n", token.Subject())
}
