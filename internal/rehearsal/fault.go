package rehearsal

import (
	"io"
	"net/http"
	"strconv"
	"time"
)

// A Fault is a way in which an endpoint is out of order.
type Fault int

// These are all faults. An answer that is none holds, where there is room for it,
// what would do harm if it were taken for one: a key set without keys, a token that
// is not active.
const (
	None            Fault = iota
	Refused               // nobody listens
	Reset                 // a connection is reset during the handshake
	Silent                // connections, old and new, swallow what is sent; those do so for good
	ExpiredCert           // the server's certificate is a day too old
	ServerFailure         // SERVFAIL: nobody can say where the host is
	NoSuchName            // NXDOMAIN: the host's name is gone
	Hang                  // a request gets no answer
	SlowBody              // a header, and then a byte now and then
	InternalError         // 500
	TooManyRequests       // 429, with a Retry-After of RetryAfter
	HTML                  // 200, with a page instead of an answer
	Truncated             // the connection ends before the body does
	Oversized             // a body without end
	WrongType             // the answer is right, its Content-Type is not
	RedirectLoop          // a redirect to itself
	Flapping              // requests fail for a while, then work for a while, and so on
	faults                // how many there are
)

// RetryAfter is what TooManyRequests asks for.
const RetryAfter = 7 * time.Second

var faultNames = [faults]string{
	"none", "refused", "reset", "silent", "expired certificate", "SERVFAIL", "NXDOMAIN", "hang", "slow body", "500", "429", "HTML",
	"truncated", "oversized", "wrong type", "redirect loop", "flapping",
}

func (f Fault) String() string { return faultNames[f] }

// Faults returns all faults but None.
func Faults() []Fault {
	all := make([]Fault, 0, faults-1)
	for f := None + 1; f < faults; f++ {
		all = append(all, f)
	}
	return all
}

// ofConnection reports whether f breaks connections, rather than what is said on
// them.
func (f Fault) ofConnection() bool { return None < f && f <= NoSuchName }

const (
	drip     = 200 * time.Millisecond  // between two bytes of SlowBody
	turn     = 1500 * time.Millisecond // of Flapping
	flood    = 64 << 20                // Oversized ends there, lest a client without a limit take all memory
	asJSON   = "application/json"
	tooMuch  = 4 << 10 // spaces at a time
	notWhole = 100     // bytes that are promised and do not come
)

// answer answers as f has it. Truth is what would be right, denial what would do
// harm, and age how long there has been f. It returns how many bytes of an Oversized body found a taker.
func (f Fault) answer(w http.ResponseWriter, r *http.Request, truth, denial []byte, age time.Duration) (taken int64) {
	header := w.Header()
	header.Set("Content-Type", asJSON)
	switch f {
	case Hang:
		<-r.Context().Done()
	case SlowBody:
		for _, b := range truth {
			_, _ = w.Write([]byte{b})
			_ = http.NewResponseController(w).Flush()
			select {
			case <-time.After(drip):
			case <-r.Context().Done():
				return 0
			}
		}
	case InternalError:
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write(denial)
	case TooManyRequests:
		header.Set("Retry-After", strconv.Itoa(int(RetryAfter.Seconds())))
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = w.Write(denial)
	case HTML:
		header.Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!doctype html><title>Log in to this network</title>")
	case Truncated:
		header.Set("Content-Length", strconv.Itoa(len(denial)+notWhole))
		_, _ = w.Write(denial)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case Oversized:
		return pour(w, denial)
	case WrongType:
		header.Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write(truth)
	case RedirectLoop:
		header.Set("Location", r.URL.Path)
		w.WriteHeader(http.StatusTemporaryRedirect)
	case Flapping:
		if age/turn%2 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write(denial)
			return 0
		}
		_, _ = w.Write(truth)
	default:
		_, _ = w.Write(truth)
	}
	return 0
}

// pour writes body, and then space until nobody reads on.
func pour(w io.Writer, body []byte) (taken int64) {
	space := make([]byte, tooMuch)
	for i := range space {
		space[i] = ' '
	}
	for taken < flood {
		n, err := w.Write(body)
		taken += int64(n)
		if err != nil {
			break
		}
		body = space
	}
	return taken
}
