package main

import (
	"fmt"
	"net/http"

	"github.com/countermark/countermark/jwks"
	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/validator"
)

// newAPI returns an API that takes the issuer's tokens, and its key cache.
func newAPI(issuerURL string) (http.Handler, *jwks.Cache, error) {
	keys, err := jwks.New(jwks.Config{Issuer: issuerURL})
	if err != nil {
		return nil, nil, err
	}
	v, err := validator.New(validator.Config{Issuer: issuerURL, Audiences: []string{apiName}, Keys: keys})
	if err != nil {
		return nil, nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /orders", middleware.New(v, nil).Require("orders:read")(http.HandlerFunc(listOrders)))
	return mux, keys, nil
}

func listOrders(w http.ResponseWriter, r *http.Request) {
	token, _ := validator.TokenFromContext(r.Context()) // there is one: Require saw to it
	_, _ = fmt.Fprintf(w, "Two orders of %s, for %s.", token.Subject(), token.ClientID())
}
