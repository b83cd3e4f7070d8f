package canary_test

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	echov4 "github.com/labstack/echo/v4"
	echov5 "github.com/labstack/echo/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/countermark/countermark/grpcauth"
	"github.com/countermark/countermark/internal/tokentest"
	"github.com/countermark/countermark/middleware"
	"github.com/countermark/countermark/middleware/echoauth"
	"github.com/countermark/countermark/middleware/echoauth5"
	"github.com/countermark/countermark/validator"
)

// openClaims are those whose values are the API's own configuration, which it may
// tell, or a name that all proofs have.
var openClaims = []string{"iss", "aud", "typ", "alg", "htm"}

// needs is what the doors require: more than almost any token meets.
var needs = validator.Requirement{Scopes: []string{"orders:write"}, ACR: []string{"urn:needed"}, AuthMaxAge: time.Hour}

// A visit is what a client brings to a door.
type visit struct {
	authorization, proofs []string
	query                 string
	api                   *validator.Validator
}

// A mint makes what clients bring, and hides it.
type mint struct {
	w             *witness
	key, stranger *tokentest.Key
	api           *validator.Validator
}

func newMint(t *testing.T, w *witness) *mint {
	t.Helper()
	m := &mint{w: w, key: tokentest.NewKey(t, "key-1", "ES256"), stranger: tokentest.NewKey(t, w.secret("a kid"), "ES256")}
	m.api = m.validator(t, nil)
	return m
}

// validator is one that lets nobody in: the requirement of the doors is more than
// any token meets.
func (m *mint) validator(t *testing.T, edit func(*validator.Config)) *validator.Validator {
	t.Helper()
	cfg := validator.Config{
		Issuer: tokentest.Issuer, Audiences: []string{tokentest.Audience}, Keys: tokentest.Keys{m.key},
		Introspector: answering(`{"active":true,"sub":"` + m.w.secret("an answer's sub") + `","exp":"` + m.w.secret("an answer's exp") + `"}`),
	}
	if edit != nil {
		edit(&cfg)
	}
	v, err := validator.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// answering is who answers so. What a program plugs in prints itself: this does not.
func answering(text string) validator.Introspector {
	return answerer(func() string { return text })
}

type answerer func() string

func (a answerer) Introspect(context.Context, string, bool) ([]byte, error) { return []byte(a()), nil }

// down is who cannot be asked.
type down struct{}

var errDown = errors.New("connection refused")

func (down) Keys(context.Context, string, string) ([]crypto.PublicKey, error) { return nil, errDown }
func (down) Introspect(context.Context, string, bool) ([]byte, error)         { return nil, errDown }
func (down) Add(context.Context, [32]byte, time.Time) (fresh bool, err error) { return false, errDown }

// claims are those of a good token, every one that is not the API's own a secret.
func (m *mint) claims(edits map[string]any) map[string]any {
	all := map[string]any{"exp": time.Now().Add(time.Hour).Unix(), "n": 314159265358979323, "deep": map[string]any{"list": []string{m.w.secret("a value deep inside")}}}
	for _, name := range []string{"sub", "client_id", "jti", "email", "scope", "acr"} {
		all[name] = m.w.secret("the claim " + name)
	}
	maps.Copy(all, edits)
	return tokentest.Claims(time.Now(), all)
}

func (m *mint) token(t *testing.T, by *tokentest.Key, header, edits map[string]any) string {
	t.Helper()
	token := by.Token(t, header, m.claims(edits))
	m.w.hideToken("an access token", token, openClaims...)
	return token
}

// meeting is a token that meets what the doors require, and tell.
func (m *mint) meeting(t *testing.T) string {
	t.Helper()
	token := m.key.Token(t, nil, m.claims(map[string]any{"scope": needs.Scopes[0], "acr": needs.ACR[0], "auth_time": time.Now().Unix()}))
	m.w.hideToken("an access token", token, append([]string{"scope", "acr"}, openClaims...)...)
	return token
}

func (m *mint) proof(t *testing.T, header, claims map[string]any) string {
	t.Helper()
	proof := m.stranger.Proof(t, header, claims)
	m.w.hideToken("a DPoP proof", proof, openClaims...)
	return proof
}

// visits are all that a client is refused for, by what it is.
func (m *mint) visits(t *testing.T) map[string]visit {
	t.Helper()
	good := m.token(t, m.key, nil, nil)
	bound := m.token(t, m.key, nil, map[string]any{"cnf": map[string]any{"jkt": m.stranger.Thumbprint(t)}})
	text := m.w.secret("a text for a token")
	parts := strings.Split(good, ".")
	all := map[string]visit{
		"no good scheme":   {authorization: []string{"Basic " + text}},
		"no scheme":        {authorization: []string{text}},
		"two tokens":       {authorization: []string{"Bearer " + text, "Bearer " + good}},
		"two words":        {authorization: []string{"Bearer " + text + " " + good}},
		"not token68":      {authorization: []string{`Bearer ` + text + `"\` + good}},
		"DPoP as Bearer":   {authorization: []string{"Bearer " + bound}},
		"Bearer as DPoP":   {authorization: []string{"DPoP " + good}},
		"in the query":     {query: "access_token=" + good + "&" + text + "=" + text},
		"opaque":           {authorization: []string{"Bearer " + text}},
		"keys are down":    {authorization: []string{"Bearer " + good}, api: m.validator(t, func(c *validator.Config) { c.Keys = down{} })},
		"issuer is down":   {authorization: []string{"Bearer " + text}, api: m.validator(t, func(c *validator.Config) { c.Introspector = down{} })},
		"no introspection": {authorization: []string{"Bearer " + text}, api: m.validator(t, func(c *validator.Config) { c.Introspector = nil })},
		"answer malformed": {authorization: []string{"Bearer " + text}, api: m.validator(t, func(c *validator.Config) {
			c.Introspector = answering(`{"active":true,"` + m.w.secret("a member's name") + `":1,"sub":"` + m.w.secret("an answer's sub") + `"`)
		})},
		"scope": {authorization: []string{"Bearer " + good}},
		"check": {authorization: []string{"Bearer " + m.meeting(t)}, api: m.validator(t, func(c *validator.Config) {
			c.Check = func(context.Context, *validator.Token) error { return errors.New("not today") }
		})},
		"another payload": {authorization: []string{"Bearer " + parts[0] + "." + parts[1] + "AA." + parts[2]}},
		"too long":        {authorization: []string{"Bearer " + good + strings.Repeat("A", 17<<10)}},
		"replay is down": {authorization: []string{"DPoP " + bound}, proofs: []string{"good"}, api: m.validator(t, func(c *validator.Config) {
			c.Replay = down{}
		})},
		"nonce": {authorization: []string{"DPoP " + bound}, proofs: []string{"good"}, api: m.validator(t, func(c *validator.Config) {
			c.NonceKey = []byte(m.w.secret("a nonce key") + "0123456789abcdef")
		})},
		"two proofs": {authorization: []string{"DPoP " + bound}, proofs: []string{"good", "good"}},
		"no proof":   {authorization: []string{"DPoP " + bound}, proofs: []string{text}},
	}
	for name, edits := range map[string]map[string]any{
		"expired": {"exp": 1000000007}, "not yet valid": {"nbf": 9000000007}, "audience": {"aud": []string{m.w.secret("an aud")}},
		"issuer": {"iss": "https://" + m.w.secret("an iss") + "@example.com"}, "exp's type": {"exp": text}, "sub's type": {"sub": []string{text}},
		"cnf": {"cnf": map[string]any{text: text}}, "scope's type": {"scope": map[string]any{text: text}}, "no sub": {"sub": nil}, "acr's type": {"acr": []string{text}},
		"auth_time": {"auth_time": text}, "aud's type": {"aud": []any{text, 314159265358979323}}, "iat": {"iat": 9000000007}, "jti's type": {"jti": 314159265358979323},
	} {
		all["claim "+name] = visit{authorization: []string{"Bearer " + m.token(t, m.key, nil, edits)}}
	}
	for name, header := range map[string]map[string]any{
		"typ": {"typ": text}, "alg": {"alg": text}, "crit": {"crit": []string{text}, text: text}, "kid": {"kid": text}, "kid's type": {"kid": []string{text}},
		"jku": {"jku": "https://" + text + ".example", "kid": text}, "no alg": {"alg": nil},
	} {
		all["header "+name] = visit{authorization: []string{"Bearer " + m.token(t, m.key, header, nil)}}
	}
	all["signature"] = visit{authorization: []string{"Bearer " + m.token(t, m.stranger, map[string]any{"kid": "key-1"}, nil)}}
	for name, payload := range map[string]string{
		"duplicate": `{"` + text + `":1,"` + text + `":2}`, "case": `{"iss":"x","ISS":"` + text + `"}`, "trailing": `{} ` + text, "no object": `"` + text + `"`,
		"unclosed": `{"sub":"` + text, "UTF-8": "{\"sub\":\"" + text + "\xff\"}",
	} {
		token := m.key.Sign(t, `{"alg":"ES256","kid":"key-1","typ":"at+jwt"}`, payload)
		m.w.hideToken("an access token", token, openClaims...)
		all["payload "+name] = visit{authorization: []string{"Bearer " + token}}
	}
	for name, edit := range map[string]map[string]any{
		"htu": {"htu": "https://" + text + ".example/?" + text}, "htm": {"htm": text}, "jti": {"jti": []string{text}}, "ath": {"ath": text}, "iat": {"iat": 1000000007},
		"htu's type": {"htu": 314159265358979323}, "nonce": {"nonce": text},
	} {
		claims := tokentest.ProofClaims(time.Now(), "GET", "https://"+text+".example", bound, edit)
		all["proof "+name] = visit{authorization: []string{"DPoP " + bound}, proofs: []string{m.proof(t, nil, claims)}}
	}
	for name, header := range map[string]map[string]any{"jwk": {"jwk": map[string]any{"kty": "EC", "d": text}}, "typ": {"typ": text}, "kid": {"kid": text}, "crit": {"crit": []string{text}}} {
		all["proof's "+name] = visit{authorization: []string{"DPoP " + bound}, proofs: []string{m.proof(t, header, tokentest.ProofClaims(time.Now(), "GET", "https://"+text, bound, nil))}}
	}
	return all
}

// visitDoors has every client refused at every door.
func visitDoors(t *testing.T, w *witness) {
	t.Helper()
	m := newMint(t, w)
	asked := &switchboard{}
	guard := middleware.New(asked, &middleware.Options{Logger: w.logger("the log of middleware")})
	grpcDoor := openGRPC(t, w, asked)
	doors := map[string]func(*testing.T, visit){}
	for name, handler := range map[string]http.Handler{
		"net/http": traced(w, guard.RequireWith(needs)(http.NotFoundHandler())), "Echo v4": echo4(w, guard), "Echo v5": echo5(w, guard),
	} {
		server := httptest.NewUnstartedServer(handler)
		server.Config.ErrorLog = w.errorLog("the ErrorLog of " + name)
		server.Start()
		t.Cleanup(server.Close)
		doors[name] = func(t *testing.T, v visit) { t.Helper(); knock(t, w, m, name, server, v) }
	}
	doors["gRPC"] = func(t *testing.T, v visit) { t.Helper(); grpcDoor(t, m, v) }
	for name, v := range m.visits(t) {
		asked.now.Store(m.api)
		if v.api != nil {
			asked.now.Store(v.api)
		}
		for _, door := range doors {
			door(t, v)
		}
		if len(v.authorization) > 0 {
			scheme, token, _ := strings.Cut(v.authorization[0], " ")
			c := validator.Credentials{Scheme: scheme, Token: token, Method: "GET", URL: "https://api.example.com/" + w.secret("a path")}
			if len(v.proofs) > 0 {
				c.Proof = m.signed(t, v, "GET", c.URL)[0]
			}
			_, err := asked.Authorize(t.Context(), c, needs)
			w.failed(t, "Authorize: "+name, err)
		}
	}
}

// signed returns the proofs of v: those that are to be good are made now.
func (m *mint) signed(t *testing.T, v visit, method, url string) []string {
	t.Helper()
	proofs := append([]string(nil), v.proofs...)
	for i := range proofs {
		if proofs[i] == "good" {
			_, token, _ := strings.Cut(v.authorization[0], " ")
			proofs[i] = m.stranger.Proof(t, nil, tokentest.ProofClaims(time.Now(), method, url, token, nil))
			m.w.hideToken("a DPoP proof", proofs[i], append([]string{"htu"}, openClaims...)...)
		}
	}
	return proofs
}

// A switchboard is the validator of the visit.
type switchboard struct{ now atomic.Pointer[validator.Validator] }

func (s *switchboard) Authorize(ctx context.Context, c validator.Credentials, r validator.Requirement) (*validator.Token, error) {
	return s.now.Load().Authorize(ctx, c, r)
}

func knock(t *testing.T, w *witness, m *mint, name string, server *httptest.Server, v visit) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/orders/7?"+v.query, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header["Authorization"] = v.authorization
	req.Header["Dpop"] = m.signed(t, v, http.MethodGet, server.URL+"/orders/7")
	req.Header.Set("Cookie", "session="+w.secret("a cookie of the API's"))
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := httputil.DumpResponse(resp, true)
	if err != nil || resp.StatusCode < 400 || resp.StatusCode == http.StatusNotFound {
		t.Errorf("%s: %s, %v", name, resp.Status, err)
	}
	w.tell("the answer of "+name, string(answer))
}

// traced is a handler with what a program has before it: something that knows of the
// answer.
func traced(w *witness, next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		next.ServeHTTP(rw, req)
		w.tell("a span around net/http", fmt.Sprintf("%s %v", req.Method, rw.Header()))
	})
}

func echo4(w *witness, g *middleware.Guard) http.Handler {
	e := echov4.New()
	e.Logger.SetOutput(mouth{w, "the log of Echo v4"})
	e.Use(func(next echov4.HandlerFunc) echov4.HandlerFunc {
		return func(c echov4.Context) error {
			err := next(c)
			w.print("a span around Echo v4", err)
			c.Logger().Error(err)
			return err
		}
	})
	e.GET("/orders/:id", func(c echov4.Context) error { return c.NoContent(http.StatusOK) }, echoauth.RequireWith(g, needs))
	return e
}

func echo5(w *witness, g *middleware.Guard) http.Handler {
	e := echov5.New()
	e.Logger = w.logger("the log of Echo v5")
	e.Use(func(next echov5.HandlerFunc) echov5.HandlerFunc {
		return func(c *echov5.Context) error {
			err := next(c)
			w.print("a span around Echo v5", err)
			c.Logger().Error("failed", "error", err)
			return err
		}
	})
	e.GET("/orders/:id", func(c *echov5.Context) error { return c.NoContent(http.StatusOK) }, echoauth5.RequireWith(g, needs))
	return e
}

// span is a stats.Handler, which hears of the end of every call.
type span struct{ w *witness }

func (s span) HandleRPC(_ context.Context, e stats.RPCStats) {
	if end, ok := e.(*stats.End); ok {
		s.w.print("a span around gRPC", end.Error)
	}
}
func (span) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (span) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (span) HandleConn(context.Context, stats.ConnStats)                       {}

// openGRPC serves a service, and returns what makes a call of each kind.
func openGRPC(t *testing.T, w *witness, a grpcauth.Authorizer) func(*testing.T, *mint, visit) {
	t.Helper()
	g, err := grpcauth.New(a, &grpcauth.Options{
		Default: &needs, Logger: w.logger("the log of grpcauth"), URL: func(context.Context, string) string { return "https://api.example.com/orders" },
	})
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(g.Unary), grpc.StreamInterceptor(g.Stream), grpc.StatsHandler(span{w}))
	pb.RegisterTestServiceServer(server, pb.UnimplementedTestServiceServer{})
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	client := pb.NewTestServiceClient(conn)
	tell := func(t *testing.T, err error, trailer metadata.MD) {
		t.Helper()
		if err == nil || status.Code(err).String() == "Unimplemented" {
			t.Errorf("gRPC: %v", err)
		}
		w.print("the status of gRPC", err)
		w.tell("the answer of gRPC", fmt.Sprint(status.Convert(err).Message(), status.Convert(err).Details(), trailer))
	}
	return func(t *testing.T, m *mint, v visit) {
		t.Helper()
		md := metadata.MD{"authorization": v.authorization, "x-secret": {w.secret("a metadatum")}}
		call := func() context.Context {
			md["dpop"] = m.signed(t, v, http.MethodPost, "https://api.example.com/orders")
			return metadata.NewOutgoingContext(t.Context(), md)
		}
		var trailer metadata.MD
		_, err := client.UnaryCall(call(), new(pb.SimpleRequest), grpc.Trailer(&trailer))
		tell(t, err, trailer)
		stream, err := client.FullDuplexCall(call())
		if err == nil {
			_, err = stream.Recv()
			trailer = stream.Trailer()
		}
		tell(t, err, trailer)
	}
}
