package fetch_test

import (
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/fetch"
)

func get(t *testing.T, url string, limit int64) ([]byte, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	body, _, err := fetch.JSON(fetch.Client(nil), req, limit)
	return body, err
}

func TestJSON_TakesAndRefuses(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		status        int
		contentType   string
		body, wantErr string
	}{
		"JSON":                     {200, "application/json", `{}`, ""},
		"JSON with charset":        {200, "application/json; charset=utf-8", `{}`, ""},
		"a JSON suffix":            {200, "application/jwk-set+json", `{}`, ""},
		"as large as may be":       {200, "application/json", strings.Repeat(" ", 100), ""},
		"one byte more":            {200, "application/json", strings.Repeat(" ", 101), "more than 100 bytes"},
		"HTML":                     {200, "text/html", `{}`, "Content-Type"},
		"no type":                  {200, "", `{}`, "Content-Type"},
		"a type that is none":      {200, "json", `{}`, "Content-Type"},
		"JSON in another registry": {200, "text/json", `{}`, "Content-Type"},
		"201":                      {201, "application/json", `{}`, "answered 201"},
		"500":                      {500, "application/json", `{}`, "answered 500"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = []string{row.contentType}
				w.WriteHeader(row.status)
				_, _ = w.Write([]byte(row.body))
			}))
			defer srv.Close()
			body, err := get(t, srv.URL+"/keys?secret=1", 100)
			if row.wantErr == "" && (err != nil || string(body) != row.body) {
				t.Errorf("%q, %v", body, err)
			}
			if row.wantErr != "" && (err == nil || !strings.Contains(err.Error(), row.wantErr) || strings.Contains(err.Error(), "secret")) {
				t.Errorf("%v, want %q and no query", err, row.wantErr)
			}
		})
	}
}

func TestJSON_AnErrorOfTheConnectionHasNoQuery(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(nil)
	srv.Close()
	if _, err := get(t, srv.URL+"/keys?secret=1", 100); err == nil || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}

// Whoever is asked knows what it was asked with, and net/http quotes what it cannot
// read of an answer.
func TestJSON_AnErrorHasNothingOfTheAnswer(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"no HTTP":      "secret",
		"no field":     "HTTP/1.1 200 OK\r\nsecret\r\n\r\n",
		"a length":     "HTTP/1.1 200 OK\r\nContent-Length: secret\r\n\r\n",
		"a location":   "HTTP/1.1 302 Found\r\nLocation: http://%zz/secret\r\n\r\n",
		"no trailer":   "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nsecret\r\n\r\n",
		"not complete": "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\nsecret",
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = conn.Write([]byte(answer))
			_ = conn.Close()
		}))
		if _, err := get(t, srv.URL, 100); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
		srv.Close()
	}
}

func TestStatusError_RFC9110Section10_2_3_RetryAfter(t *testing.T) {
	t.Parallel()
	for value, want := range map[string][2]time.Duration{ // from, to
		"":         {0, 0},
		"7":        {7 * time.Second, 7 * time.Second},
		"-7":       {0, 0},
		"7.5":      {0, 0},
		"x":        {0, 0},
		"99999999": {time.Hour, time.Hour},
		time.Now().Add(time.Minute).UTC().Format(http.TimeFormat):  {50 * time.Second, time.Minute},
		time.Now().Add(-time.Minute).UTC().Format(http.TimeFormat): {0, 0},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", value)
			w.WriteHeader(http.StatusTooManyRequests)
		}))
		_, err := get(t, srv.URL, 100)
		srv.Close()
		status, ok := errors.AsType[*fetch.StatusError](err)
		if !ok || status.Code != http.StatusTooManyRequests || status.RetryAfter() < want[0] || status.RetryAfter() > want[1] {
			t.Errorf("%q: %+v, want %v", value, status, want)
		}
	}
}

func TestClient_FollowsRedirectsWithinOneHostOnly(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer other.Close()
	mux := http.NewServeMux()
	mux.HandleFunc("/end", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{}`))
	})
	mux.Handle("/here", http.RedirectHandler("/end", http.StatusFound))
	mux.Handle("/there", http.RedirectHandler(other.URL, http.StatusFound))
	mux.Handle("/round", http.RedirectHandler("/round", http.StatusFound))
	srv := httptest.NewServer(mux)
	defer srv.Close()
	if _, err := get(t, srv.URL+"/here", 100); err != nil {
		t.Error(err)
	}
	for _, path := range []string{"/there", "/round"} {
		if _, err := get(t, srv.URL+path, 100); err == nil || !strings.Contains(err.Error(), "answered 302") {
			t.Errorf("%s: %v", path, err)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/here", strings.NewReader("token=secret"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := fetch.JSON(fetch.Client(nil), req, 100); err == nil {
		t.Error("a POST was redirected")
	}
	if asked.Load() != 0 {
		t.Error("another host was asked")
	}
}

func TestClient_KeepsNoCookiesAndLeavesTheCallersAlone(t *testing.T) {
	t.Parallel()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	base := &http.Client{Jar: jar}
	if c := fetch.Client(base); c.Jar != nil || base.Jar == nil || base.CheckRedirect != nil {
		t.Error("a cookie jar is shared, or the caller's client was changed")
	}
}

func TestCheckURL(t *testing.T) {
	t.Parallel()
	for url, ok := range map[string]bool{
		"https://a.example/x?y": true, "http://localhost:1/x": true, "http://127.0.0.1/x": true, "http://[::1]/x": true, "http://a.localhost": true,
		"": false, "/x": false, "https:///x": false, "http://a.example": false, "https://a.example/#": false, "https://u:p@a.example": false,
		"ftp://a.example": false, "https://a b": false, "http://127.0.0.1.example": false, "HTTPS://a.example": true, "http://10.0.0.1": false,
		"https://b\u00fccher.example": false, "https://xn--bcher-kva.example": true, "https://a.example/a b": false, "https://a.example/a%20b": true, "https://a.example/\u00fc": false,
	} {
		if err := fetch.CheckURL(url); (err == nil) != ok {
			t.Errorf("%q: %v", url, err)
		}
	}
}
