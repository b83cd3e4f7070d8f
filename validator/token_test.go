package validator_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/countermark/countermark/validator"
)

// snapshot is all that a Token tells.
func snapshot(tb testing.TB, tok *validator.Token) string {
	tb.Helper()
	claims, err := validator.Claims[map[string]any](tok)
	if err != nil {
		tb.Fatal(err)
	}
	return fmt.Sprintf("%q", []any{
		tok.Issuer(), tok.Subject(), tok.ClientID(), tok.ID(), tok.ACR(), tok.Audiences(), tok.Scopes(),
		tok.HasScope("canary:read"), tok.HasScope("changed"), tok.Expiry(), tok.IssuedAt(), tok.AuthTime(), marshal(claims),
	})
}

func TestToken_NobodyCanChangeOne(t *testing.T) {
	t.Parallel()
	v := newValidator(t, nil)
	raw := minted(nil, edits{"aud": []string{audience, "other"}, "nested": edits{"list": []int{1, 2}}})
	tok := accept(t, v, raw)
	before := snapshot(t, tok)

	for _, list := range [][]string{tok.Scopes(), tok.Audiences()} {
		_ = append(list[:0:cap(list)], "changed", "changed")
	}
	clear(must(validator.Claims[map[string]any](tok))["nested"].(map[string]any))
	clear(must(validator.Claims[struct {
		Aud    []string        `json:"aud"`
		Nested json.RawMessage `json:"nested"`
	}](tok)).Nested)
	clear(must(validator.Claims[json.RawMessage](tok)))
	claims := must(validator.Claims[*struct {
		Aud []string `json:"aud"`
	}](tok))
	claims.Aud[0] = "changed"

	if after := snapshot(t, tok); after != before {
		t.Errorf("the Token changed\nfrom %s\nto   %s", before, after)
	}
	if after := snapshot(t, accept(t, v, raw)); after != before {
		t.Errorf("validated again, it changed\nfrom %s\nto   %s", before, after)
	}
}

// A token's text may stand in a buffer that is used again, or in a request's
// header block that should not be kept.
func TestToken_DoesNotAliasTheText(t *testing.T) {
	t.Parallel()
	buffer := []byte(minted(nil, nil))
	text := unsafe.String(&buffer[0], len(buffer))
	tok := accept(t, newValidator(t, nil), text)
	before := snapshot(t, tok)
	first, last := uintptr(unsafe.Pointer(&buffer[0])), uintptr(unsafe.Pointer(&buffer[len(buffer)-1]))
	for _, s := range slices.Concat(tok.Scopes(), tok.Audiences(), []string{tok.Issuer(), tok.Subject(), tok.ClientID(), tok.ID(), tok.ACR()}) {
		if at := uintptr(unsafe.Pointer(unsafe.StringData(s))); first <= at && at <= last {
			t.Errorf("%q is a part of the token's text", s)
		}
	}
	clear(buffer)
	if after := snapshot(t, tok); after != before {
		t.Errorf("changed with the text\nfrom %s\nto   %s", before, after)
	}
}

func TestToken_HasNoExportedField(t *testing.T) {
	t.Parallel()
	for f := range reflect.TypeFor[validator.Token]().Fields() {
		if f.IsExported() {
			t.Errorf("%s", f.Name)
		}
	}
}

// Nobody but a Validator makes a Token that satisfies anything.
func TestToken_ZeroAndNilSatisfyNothing(t *testing.T) {
	t.Parallel()
	for name, tok := range map[string]*validator.Token{"zero": {}, "nil": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tok.Issuer()+tok.Subject()+tok.ClientID()+tok.ID()+tok.ACR() != "" || tok.Audiences() != nil || tok.Scopes() != nil {
				t.Error("it says something")
			}
			if !tok.Expiry().IsZero() || !tok.IssuedAt().IsZero() || !tok.AuthTime().IsZero() {
				t.Error("it has a time")
			}
			if tok.HasScope("") || tok.HasScope("canary:read") {
				t.Error("it has a scope")
			}
			if s := tok.String() + tok.LogValue().String(); strings.Contains(s, "canary") {
				t.Error(s)
			}
		})
	}
}

func TestPrinting_IsRedacted(t *testing.T) {
	t.Parallel()
	raw := minted(nil, nil)
	tok := accept(t, newValidator(t, nil), raw)
	credentials := validator.Credentials{Scheme: "DPoP", Token: raw, Proof: "canary.dpop.proof"}
	type holder struct {
		Token       validator.Token
		Pointer     *validator.Token
		Credentials validator.Credentials
		private     *validator.Token
	}
	for name, value := range map[string]any{
		"*Token":          tok,
		"Token":           *tok,
		"[]*Token":        []*validator.Token{tok},
		"Credentials":     credentials,
		"*Credentials":    &credentials,
		"[]Credentials":   []validator.Credentials{credentials},
		"map":             map[string]any{"token": tok, "copy": *tok, "credentials": credentials},
		"struct":          holder{*tok, tok, credentials, tok},
		"*struct":         &holder{*tok, tok, credentials, tok},
		"context":         validator.ContextWithToken(t.Context(), tok),
		"no Credentials":  validator.Credentials{},
		"nil *Token":      (*validator.Token)(nil),
		"zero Token":      validator.Token{},
		"Token in errors": fmt.Errorf("failed: %v", tok),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			texts := map[string]string{"slog": logged(value)}
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%e", "%g", "%c", "%U", "%b", "%o", "% x", "%#x", "%+q", "%#q", "%100v", "%-5.3s", "%z"} {
				texts[verb] = fmt.Sprintf(verb, value)
			}
			if b, err := json.Marshal(value); err == nil {
				texts["json"] = string(b)
			}
			for how, text := range texts {
				if secret := leak(text, raw, goodPayload()); secret != "" {
					t.Errorf("%s shows %q in %q", how, secret, text)
				}
			}
		})
	}
}

// logged is what slog makes of a value, as text and as JSON.
func logged(value any) string {
	var b bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
		slog.New(h).With("with", value).Info("message", "value", value, slog.Group("group", slog.Any("inside", value)))
	}
	return b.String()
}

type unrelated struct{}

func TestContext_CarriesTheToken(t *testing.T) {
	t.Parallel()
	if tok, ok := validator.TokenFromContext(context.Background()); tok != nil || ok {
		t.Errorf("an empty context has %v, %v", tok, ok)
	}
	tok := accept(t, newValidator(t, nil), minted(nil, nil))
	ctx := validator.ContextWithToken(t.Context(), tok)
	if got, ok := validator.TokenFromContext(ctx); got != tok || !ok {
		t.Error("the token is not found")
	}
	if got, ok := validator.TokenFromContext(context.WithValue(ctx, unrelated{}, nil)); got != tok || !ok {
		t.Error("the token is not found further down")
	}
	if got, ok := validator.TokenFromContext(validator.ContextWithToken(ctx, nil)); got != nil || ok {
		t.Errorf("a nil token is found as %v, %v", got, ok)
	}
}

// One Validator and one Token serve many goroutines; the race detector watches.
func TestValidator_ServesManyGoroutines(t *testing.T) {
	t.Parallel()
	v := newValidator(t, func(c *validator.Config) { c.Introspector = answers(goodAnswer(nil)) })
	shared := accept(t, v, minted(nil, nil))
	want := snapshot(t, shared)
	raw := minted(nil, nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				tok, err := v.Authorize(t.Context(), validator.Credentials{Token: raw}, validator.Requirement{Fresh: true, Scopes: []string{"canary:read"}})
				if err != nil || tok.Subject() != "canary-subject" {
					t.Errorf("%v", err)
				}
				if got := snapshot(t, shared); got != want {
					t.Errorf("got %s", got)
				}
				maps.DeleteFunc(must(validator.Claims[map[string]any](shared)), func(string, any) bool { return true })
			}
		})
	}
	wg.Wait()
}
