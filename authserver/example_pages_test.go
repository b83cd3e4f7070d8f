package authserver_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing/fstest"

	"github.com/countermark/countermark/authserver"
)

// One page in words of one's own, in the frame of the others. A program has such
// files in a directory that it embeds.
func ExamplePages() {
	templates := fstest.MapFS{"device.html": {Data: []byte(`{{template "head" .}}
<p>What does {{.Name}} show on your television?</p>
{{with .Problem}}<p class="problem" role="alert">{{.}}</p>{{end}}
<form method="post" action="{{.Form.Action}}">
{{template "carried" .Form}}
<label for="user_code">Code</label>
<input id="user_code" class="code" name="user_code" value="{{.UserCode}}" required autofocus>
<button class="button">Connect</button>
</form>
{{template "foot" .}}`)}}

	server, err := authserver.New(authserver.Config{
		Issuer: "https://issuer.example",
		Users:  []authserver.User{{Subject: "1", Username: "alice", PasswordHash: authserver.HashPassword("wonderland")}},
		Pages:  authserver.Pages{Name: "Acme", Templates: templates},
	})
	if err != nil {
		fmt.Println(err) // of a template as well
		return
	}

	w := httptest.NewRecorder()
	server.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/device", http.NoBody))
	for _, line := range regexp.MustCompile(`<title>.*|<p>What.*`).FindAllString(w.Body.String(), -1) {
		fmt.Println(line)
	}
	// Output:
	// <title>Connect a device · Acme</title>
	// <p>What does Acme show on your television?</p>
}
