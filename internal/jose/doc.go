// Package jose holds the parts of JOSE that an issuer and a resource server
// share: the compact serialisation (RFC 7515 section 7.1) and what counts of its
// header, public keys (RFC 7517), and the asymmetric signature algorithms (RFC
// 7518 section 3, RFC 8037 section 3.1, RFC 9864).
//
// There is no "none", no HMAC and no encryption here, so nothing that uses this
// package can be talked into them.
package jose
