// Package interop holds tests with clients that other people wrote. It is a module
// of its own so that theirs are nobody else's dependencies.
package interop
