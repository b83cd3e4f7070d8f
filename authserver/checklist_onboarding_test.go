package authserver_test

import "testing"

// Who is no client does not become one by a document of their own.
func TestPoint36_NoMetadataDocumentsByDefault(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	documents := startKeyHost(t, []byte(`{}`)) // on loopback, as the issuer is
	id := documents.URL + "/client.json"
	if s := i.browser().authorize(authParams(web, "client_id", id)); !s.isPage(400) {
		t.Errorf("%d %s", s.status, s.header.Get("Location"))
	}
	if a := i.post("/token", login{}, form("grant_type", "authorization_code", "code", "x", "client_id", id)); a.outcome() != "401 invalid_client" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if n := documents.fetched.Load(); n != 0 {
		t.Errorf("asked for %d times", n)
	}
	if about := i.get(i.url + "/.well-known/oauth-authorization-server").object(); about["client_id_metadata_document_supported"] != nil {
		t.Error("advertised")
	}
}

func TestPoint37_NoRegistrationByDefault(t *testing.T) {
	t.Parallel()
	i := startWeb(t, "")
	req := i.request("/register", `{"redirect_uris":["https://web.example/cb"]}`)
	req.Header.Set("Content-Type", "application/json")
	if a := i.do(req); a.status != 404 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if about := i.get(i.url + "/.well-known/oauth-authorization-server").object(); about["registration_endpoint"] != nil {
		t.Error("advertised")
	}
}
