package authserver_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/authserver"
)

// A hangUpStore has the client go away just before something is spent, and fails,
// as a database does, when its context ended.
type hangUpStore struct {
	authserver.Store
	hangUp context.CancelFunc // nil: the client stays
}

func (s *hangUpStore) Consume(ctx context.Context, kind authserver.Kind, key authserver.Hash, now time.Time) (authserver.Record, authserver.Outcome, error) {
	if err := s.gone(ctx); err != nil {
		return authserver.Record{}, 0, err
	}
	return s.Store.Consume(ctx, kind, key, now)
}

func (s *hangUpStore) Rotate(ctx context.Context, old, next authserver.Hash, r authserver.Record, grace time.Duration, now time.Time) (authserver.Outcome, authserver.Record, error) {
	if err := s.gone(ctx); err != nil {
		return 0, authserver.Record{}, err
	}
	return s.Store.Rotate(ctx, old, next, r, grace, now)
}

func (s *hangUpStore) gone(ctx context.Context) error {
	if s.hangUp != nil {
		s.hangUp()
	}
	return ctx.Err()
}

// What is begun for a client that goes away is ended: otherwise a code or refresh
// token might be spent and what it stands for not be there.
func TestPoint24_AClientThatHangsUpBreaksNothingOff(t *testing.T) {
	t.Parallel()
	store := &hangUpStore{Store: authserver.NewMemoryStore(nil)}
	i := startRefresh(t, withStore(store))
	code := i.code(web)
	token, _ := i.signedUp()
	for name, pairs := range map[string][]string{"a code": codeForm(code, webURI), "a refresh token": {"grant_type", "refresh_token", "refresh_token", token}} {
		ctx, cancel := context.WithCancel(t.Context())
		store.hangUp = cancel
		req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/token", strings.NewReader(form(pairs...).Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth(web.id, web.secret)
		w := httptest.NewRecorder()
		i.ServeHTTP(w, req)
		if ctx.Err() == nil || w.Code != http.StatusOK {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}
