package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// A client that the issuer has never heard of gets as far as the sign-in page, in
// either way, for what the clients of the file have.
func TestRegister_ClientsThatNobodyKnows(t *testing.T) {
	t.Parallel()
	p := start(t, "-register")
	const uri = "http://127.0.0.1:3000/callback"
	resp, err := http.Post(p.Field(t, "Registration"), "application/json", strings.NewReader(`{"redirect_uris":["`+uri+`"],"token_endpoint_auth_method":"none"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var registered struct {
		ClientID string `json:"client_id"`
		Scope    string
		Audience []string
	}
	if err := json.NewDecoder(resp.Body).Decode(&registered); err != nil || resp.StatusCode != http.StatusCreated ||
		registered.Scope != "email openid orders:read orders:write profile" || fmt.Sprint(registered.Audience) != "[https://api.example.com]" {
		t.Fatalf("%s %+v, %v", resp.Status, registered, err)
	}
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"client_id":"http://%s%s","redirect_uris":["%s"]}`, r.Host, r.URL, uri)
	}))
	t.Cleanup(host.Close)
	for _, id := range []string{registered.ClientID, host.URL + "/client.json"} {
		query := url.Values{
			"response_type": {"code"}, "client_id": {id}, "redirect_uri": {uri}, "code_challenge": {strings.Repeat("x", 43)}, "code_challenge_method": {"S256"},
		}
		if page := fetch(t)(http.Get(p.Field(t, "Authorization") + "?" + query.Encode())); page.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", id, page.Status)
		}
	}
}

func TestRegister_OffByDefault(t *testing.T) {
	t.Parallel()
	p := start(t)
	resp, err := http.Post(p.Field(t, "Issuer")+"/register", "application/json", strings.NewReader(`{"redirect_uris":["https://app.example/cb"]}`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Error(resp.Status)
	}
}
