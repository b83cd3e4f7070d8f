// Package flood has tests alone: they flood an API that is guarded as users guard
// theirs, over real HTTP, and hold that nobody else waits much longer, that the memory
// stays bounded, and that the issuer is spared. Each prints its figures:
//
//	COUNTERMARK_MEASURE=1 go test -v ./internal/flood
//
// They measure the process and the machine, so they must not run in parallel with each
// other. Without the variable they take it that other tests run at the same time, and
// hold the wait to a looser bound.
//
// Here those who flood, the API, its issuer and its regular clients share one machine,
// and twice the work takes longer, whatever the work is. So a flood is held against a
// crowd that does no harm: as many requests, at the same pace, that have no token, or
// what else costs the same. Windows of the one and of the other take turns, with the
// same requests of the regulars in each, of whose waits the 99th percentile is taken.
//
// What else the machine does only adds to that, in some windows more and in some less;
// what a flood adds is in every window of the flood. So of either kind the lower
// quartile is compared (the median is printed too), and a machine that is busy is given
// more windows.
package flood
