// Package countermark holds no code: it is the root of a module that decides
// whether an OAuth 2.0 access token is good here, and this is its map.
//
// An API needs three packages:
//
//   - [github.com/countermark/countermark/validator] decides whether an access
//     token is good here
//   - [github.com/countermark/countermark/jwks] finds an issuer's keys and keeps
//     them fresh in the background
//   - [github.com/countermark/countermark/middleware] guards the handlers of
//     net/http with a validator
//
// Other frameworks have the same guard:
//
//   - [github.com/countermark/countermark/middleware/echoauth] in Echo v4
//   - [github.com/countermark/countermark/middleware/echoauth5] in Echo v5
//   - [github.com/countermark/countermark/grpcauth] in gRPC
//
// A validator that judges opaque tokens asks their issuer through
//
//   - [github.com/countermark/countermark/introspection]
//
// An issuer is there too, for development, for tests and for small systems:
//
//   - [github.com/countermark/countermark/authserver] is a compact authorization
//     server, an http.Handler
//   - [github.com/countermark/countermark/authserver/storetest] tests an
//     implementation of its Store
//   - [github.com/countermark/countermark/authserver/cmd/devissuer] runs it on a
//     developer's machine
package countermark
