package flood_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/countermark/countermark/internal/issuertest"
)

// An issuer is a real one on loopback, and counts what it is asked.
type issuer struct {
	web, kiosk, orders *issuertest.App
	client             *http.Client // leads there

	keySets, questions atomic.Int64 // requests
	asking, most       atomic.Int64 // questions at once: now, and ever

	mu   sync.Mutex
	gate chan struct{} // questions wait for it
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{gate: make(chan struct{})}
	close(i.gate)
	of := issuertest.New(t)
	auth := of.Server(t, nil, nil)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/jwks":
			i.keySets.Add(1)
		case "/introspect":
			i.questions.Add(1)
			highest(&i.most, i.asking.Add(1))
			defer i.asking.Add(-1)
			<-i.opening()
		}
		auth.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	way := issuertest.Dial(server.Listener.Addr().String())
	way.MaxIdleConnsPerHost = 256 // as introspection.Config.Client says
	t.Cleanup(way.CloseIdleConnections)
	i.client = &http.Client{Transport: way}
	i.web, i.kiosk, i.orders = of.Web.At(way), of.Kiosk.At(way), of.Orders.At(way)
	return i
}

// token gets a token for a client: a JWT for web, an opaque one for kiosk.
func (i *issuer) token(t *testing.T, app *issuertest.App) string {
	t.Helper()
	answer, err := app.Post(t.Context(), "/token", url.Values{"grant_type": {"client_credentials"}}, nil)
	if err != nil || answer.Text("access_token") == "" {
		t.Fatalf("no token: %v, %+v", err, answer)
	}
	return answer.Text("access_token")
}

func (i *issuer) opening() <-chan struct{} {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.gate
}

// hang makes questions wait for goOn.
func (i *issuer) hang() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.gate = make(chan struct{})
}

func (i *issuer) goOn() { close(i.gate) }

// highest raises most to n, unless it is higher.
func highest(most *atomic.Int64, n int64) {
	for {
		if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
			return
		}
	}
}
