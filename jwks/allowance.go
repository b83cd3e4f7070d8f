package jwks

import "time"

const (
	burst    = 2                       // fetches at once
	refill   = 4500 * time.Millisecond // then one per
	minDelay = 250 * time.Millisecond
	maxDelay = 2 * time.Second
)

// An allowance says when the next fetch may begin. Fetches that succeed spend
// the tokens of a bucket: at most burst + 60 s / refill = 15 in any minute. One
// that fails gives its token back, but makes the next one wait for a back-off.
// The zero value is a full bucket.
type allowance struct {
	full  time.Time     // when the bucket will be full again
	retry time.Time     // when the back-off ends
	delay time.Duration // its length
}

// wait returns how long it takes until a fetch may begin, 0 if it may now.
func (a *allowance) wait(now time.Time) time.Duration {
	token := a.full.Add(-(burst - 1) * refill) // when the bucket holds one
	return max(token.Sub(now), a.retry.Sub(now), 0)
}

// take spends a token, which wait said is there.
func (a *allowance) take(now time.Time) {
	if a.full.Before(now) {
		a.full = now
	}
	a.full = a.full.Add(refill)
}

func (a *allowance) succeeded() { a.retry, a.delay = time.Time{}, 0 }

func (a *allowance) failed(now time.Time) {
	a.full = a.full.Add(-refill)
	a.delay = min(max(2*a.delay, minDelay), maxDelay)
	a.retry = now.Add(a.delay)
}
