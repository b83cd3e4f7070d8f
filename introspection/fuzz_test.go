package introspection_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/countermark/countermark/introspection"
)

// What passes for an answer says the same to encoding/json: active by that very
// name, and an exp that is a number if there is one.
func FuzzAnswer_AgreesWithEncodingJSON(f *testing.F) {
	for _, seed := range []string{
		active, inactive, typical, ``, `{}`, `{"active":1}`, `{"active":true,"exp":1}`, `{"active":true,"exp":-1.5e300}`, `{"active":true,"exp":null}`,
		`{"active":false,"active":true}`, `{"ACTIVE":true}`, `{"\u0061ctive":true}`, ` {"active" : true } `, `{"active":true}x`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c := newClient(t, introspection.Config{CacheSize: -1, Client: &http.Client{
			Transport: transport(func(r *http.Request) (*http.Response, error) { return jsonResponse(r, string(body)), nil }),
		}})
		answer, err := c.Introspect(t.Context(), token, false)
		if err != nil {
			if answer != nil {
				t.Fatalf("an answer with an error: %s", answer)
			}
			return
		}
		var theirs map[string]json.RawMessage
		if err := json.Unmarshal(body, &theirs); err != nil {
			t.Fatalf("accepted what encoding/json refuses: %v", err)
		}
		switch string(theirs["active"]) {
		case "true":
			var exp *float64
			if !bytes.Equal(answer, body) {
				t.Fatalf("answer %s", answer)
			}
			if raw, ok := theirs["exp"]; ok && (json.Unmarshal(raw, &exp) != nil || exp == nil) {
				t.Fatalf("accepted exp %s", raw)
			}
		case "false":
			if string(answer) != inactive {
				t.Fatalf("answer %s", answer)
			}
		default:
			t.Fatalf("accepted active %s", theirs["active"])
		}
	})
}
