// Package jwks keeps an issuer's public keys at hand: a JSON Web Key Set
// (RFC 7517) that is fetched on first use, refreshed in the background and
// looked up by kid without a lock.
//
// A [Cache] answers three ways, and the difference matters to whoever asks:
//
//   - keys: the issuer has these for the kid and the algorithm;
//   - no keys and no error: the issuer has none, so the token is bad;
//   - an error: nobody could find out, so the token may well be good.
//
// # Rotation
//
// A kid that is not in the set makes the cache fetch the set again at once. A
// token bucket keeps invented kids from turning that into an attack on the
// issuer: at most 16 successful fetches in any minute, whatever their cause. So
// a new key is accepted with its first token, and within five seconds and a fetch
// if it was missed before it was published, or while invented kids arrive. Where the
// set is discovered, one that moved is found when the old address fails, or with the
// first fetch after ten minutes. A fetched set replaces the one before: a
// key that the issuer withdrew stops working then, also if no key is left.
//
// A token without a kid names no key to miss: an issuer that uses none is seen to
// rotate with the next refresh.
//
// # Outage
//
// A set whose refresh fails stays in use for [Config].MaxStale past the time it
// was due, and every lookup is an error after that. A fetch that failed is tried
// again after 250 ms, doubling to 2 s, for as long as lookups need it; in the
// background every 30 s while the set is still in use.
//
// The background is goroutines that end with Close.
package jwks
