package sqlstore_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/countermark/countermark/authserver"
	sqlstore "github.com/countermark/countermark/contrib/sql"
)

const clientSecret = "FSF3OIaZ9fYsXHVGJCUx9A"

// A replica is one of several servers that are one issuer, on one database.
type replica struct {
	*authserver.Server
	url string
}

const issuerID = "https://issuer.example.com"

func newReplica(t testing.TB, store *sqlstore.Store) *replica {
	t.Helper()
	s, err := authserver.New(authserver.Config{Issuer: issuerID, Store: store})
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewServer(s)
	t.Cleanup(ts.Close)
	return &replica{s, ts.URL}
}

// post sends a form as the client shop and returns the answer's members.
func (r *replica) post(t testing.TB, path string, form url.Values) map[string]any {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("shop", clientSecret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d, %v, %v", path, resp.StatusCode, answer, err)
	}
	return answer
}

func (r *replica) token(t testing.TB) string {
	t.Helper()
	token, _ := r.post(t, "/token", url.Values{"grant_type": {"client_credentials"}})["access_token"].(string)
	return token
}

func (r *replica) active(t testing.TB, token string) bool {
	t.Helper()
	return r.post(t, "/introspect", url.Values{"token": {token}})["active"] == true
}

func putShop(ctx context.Context, store *sqlstore.Store, strategy string) error {
	return store.PutClient(ctx, &authserver.Client{
		ClientID: "shop", SecretHash: authserver.HashOf(clientSecret), GrantTypes: []string{"client_credentials"},
		Scope: "orders:read", Audience: []string{"https://api.example.com"}, AccessTokenStrategy: strategy,
	})
}

// What one server issues, the other knows; what one revokes, the other refuses; and
// with which key one begins to sign, the other verifies.
func TestIssuer_TwoReplicasOnOneDatabase(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, create func(testing.TB) database) {
		t.Helper()
		for _, strategy := range []string{"jwt", "opaque"} {
			t.Run(strategy, func(t *testing.T) {
				t.Parallel()
				db := create(t)
				first := db.open(t, withKey)
				if err := putShop(t.Context(), first, strategy); err != nil {
					t.Fatal(err)
				}
				a, b := newReplica(t, first), newReplica(t, db.open(t, withKey))
				token, other := a.token(t), b.token(t)
				if !a.active(t, other) || !b.active(t, token) {
					t.Fatal("a token of one is unknown to the other")
				}
				a.post(t, "/revoke", url.Values{"token": {other}})
				if b.active(t, other) || !b.active(t, token) {
					t.Error("the other does not know what was revoked")
				}
				next, err := authserver.GenerateKey("EdDSA")
				if err != nil {
					t.Fatal(err)
				}
				if err := a.RotateKeys(t.Context(), next, authserver.RotateNow); err != nil {
					t.Fatal(err)
				}
				restarted := newReplica(t, db.open(t, withKey))
				if rotated := a.token(t); !restarted.active(t, rotated) || !restarted.active(t, token) {
					t.Error("a token is unknown after a restart")
				}
			})
		}
	})
}

// However many servers start at once on an empty database: one key signs for all.
func TestIssuer_ManyStartAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, create func(testing.TB) database) {
		t.Helper()
		db := create(t)
		if err := putShop(t.Context(), db.open(t, withKey), "jwt"); err != nil {
			t.Fatal(err)
		}
		replicas := make([]*replica, 8)
		for i := range replicas {
			replicas[i] = newReplica(t, db.open(t, withKey))
		}
		tokens := make([]string, len(replicas))
		var wg sync.WaitGroup
		for i, r := range replicas {
			wg.Go(func() { tokens[i] = r.token(t) })
		}
		wg.Wait()
		for i, r := range replicas {
			for j, token := range tokens {
				if !r.active(t, token) {
					t.Errorf("the token of %d is unknown to %d", j, i)
				}
			}
		}
	})
}
