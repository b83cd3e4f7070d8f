package rehearsal_test

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/rehearsal"
)

// A response is what a client without bounds of its own sees, but for its patience.
type response struct {
	*http.Response

	body []byte
	err  error // of the exchange, or of reading the body
}

func get(t *testing.T, i *rehearsal.Issuer, within time.Duration) response {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, i.KeysURL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	transport := i.Transport()
	defer transport.CloseIdleConnections()
	r, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return response{Response: new(http.Response), err: err}
	}
	defer r.Body.Close()
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	return response{r, body, err}
}

// Each fault is the one that its name says, and its end is the end of it.
func TestFaults_AreWhatTheyAreCalled(t *testing.T) {
	t.Parallel()
	late := func(r response) bool { return errors.Is(r.err, context.DeadlineExceeded) }
	unknown := func(notFound bool) func(response) bool {
		return func(r response) bool {
			e, ok := errors.AsType[*net.DNSError](r.err)
			return ok && e.IsNotFound == notFound
		}
	}
	says := func(status int, contentType string) func(response) bool {
		return func(r response) bool {
			return r.err == nil && r.StatusCode == status && strings.HasPrefix(r.Header.Get("Content-Type"), contentType)
		}
	}
	table := map[rehearsal.Fault]func(response) bool{
		rehearsal.Refused: func(r response) bool { return errors.Is(r.err, syscall.ECONNREFUSED) },
		rehearsal.Reset:   func(r response) bool { return errors.Is(r.err, syscall.ECONNRESET) },
		rehearsal.Silent:  func(r response) bool { return late(r) && r.StatusCode == 0 },
		rehearsal.ExpiredCert: func(r response) bool {
			e, ok := errors.AsType[x509.CertificateInvalidError](r.err)
			return ok && e.Reason == x509.Expired
		},
		rehearsal.ServerFailure: unknown(false),
		rehearsal.NoSuchName:    unknown(true),
		rehearsal.Hang:          func(r response) bool { return late(r) && r.StatusCode == 0 },
		rehearsal.SlowBody:      func(r response) bool { return late(r) && r.StatusCode == 200 && len(r.body) < 100 },
		rehearsal.InternalError: says(500, "application/json"),
		rehearsal.TooManyRequests: func(r response) bool {
			return says(429, "application/json")(r) && r.Header.Get("Retry-After") == "7"
		},
		rehearsal.HTML:      says(200, "text/html"),
		rehearsal.Truncated: func(r response) bool { return r.err != nil && r.StatusCode == 200 && string(r.body) == `{"keys":[]}` },
		rehearsal.Oversized: func(r response) bool { return says(200, "application/json")(r) && len(r.body) == 1<<20 },
		rehearsal.WrongType: func(r response) bool { return says(200, "text/plain")(r) && strings.Contains(string(r.body), `"kid"`) },
		rehearsal.RedirectLoop: func(r response) bool {
			return r.err != nil && strings.Contains(r.err.Error(), "stopped after 10 redirects")
		},
		rehearsal.Flapping: says(503, "application/json"),
	}
	for _, fault := range rehearsal.Faults() {
		t.Run(fault.String(), func(t *testing.T) {
			t.Parallel()
			i := start(t)
			defer i.Close()
			if err := i.Break(t.Context(), rehearsal.KeySet, fault); err != nil {
				t.Fatal(err)
			}
			within := patience
			if fault == rehearsal.Silent || fault == rehearsal.Hang || fault == rehearsal.SlowBody {
				within = 3 * time.Second
			}
			var r response
			if !eventually(patience, func() bool { // Flapping has turns; the others are what they are at once
				r = get(t, i, within)
				return table[fault](r) || fault != rehearsal.Flapping
			}) || !table[fault](r) {
				t.Errorf("%+v, %d bytes, %v", r.Response, len(r.body), r.err)
			}
			if err := i.Break(t.Context(), rehearsal.KeySet, rehearsal.None); err != nil {
				t.Fatal(err)
			}
			if r = get(t, i, patience); r.err != nil || r.StatusCode != 200 || !strings.Contains(string(r.body), `"kid"`) {
				t.Errorf("afterwards: %+v, %v", r.Response, r.err)
			}
		})
	}
}
