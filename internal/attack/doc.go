// Package attack is a catalogue of what somebody without a right might show to an
// API, and of the reason for which each must be refused. It has no code but tests.
//
// A row speaks of no transport: it says what a client brings and what must come of
// it. Each is run straight at the validator and, over a real listener, through
// every transport of this module; with nothing remembered, and again after a good
// token was let in.
package attack
