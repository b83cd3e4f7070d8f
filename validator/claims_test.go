package validator_test

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/validator"
)

// tokenOf is the Token of a good token with more claims.
func tokenOf(tb testing.TB, e edits) *validator.Token {
	tb.Helper()
	return accept(tb, newValidator(tb, nil), minted(nil, e))
}

func TestClaims_IntoAnyType(t *testing.T) {
	t.Parallel()
	tok := tokenOf(t, edits{
		"tenant_id": "canary-tenant", "level": 7, "ratio": 0.5, "admin": true, "tags": []string{"a", "b"},
		"address": edits{"city": "canary-city", "lines": []edits{{"n": 1}, {"n": 2}}},
		"big":     json.RawMessage("9007199254740993"), "nothing": null, "when": "2026-03-20T12:00:00Z",
	})

	type line struct {
		N int `json:"n"`
	}
	type all struct {
		Tenant  string   `json:"tenant_id"`
		Level   int8     `json:"level"`
		Ratio   float64  `json:"ratio"`
		Admin   bool     `json:"admin"`
		Tags    []string `json:"tags"`
		Address struct {
			City  string `json:"city"`
			Lines []line `json:"lines"`
		} `json:"address"`
		Big     json.Number `json:"big"`
		Nothing *string     `json:"nothing"`
		Absent  *string     `json:"absent"`
		When    time.Time   `json:"when"`
		Skipped string      `json:"-"`
	}
	want := all{Tenant: "canary-tenant", Level: 7, Ratio: 0.5, Admin: true, Tags: []string{"a", "b"}, Big: "9007199254740993", When: noon}
	want.Address.City, want.Address.Lines = "canary-city", []line{{1}, {2}}
	got, err := validator.Claims[all](tok)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("a struct: %+v, %v", got, err)
	}
	pointer, err := validator.Claims[*all](tok)
	if err != nil || !reflect.DeepEqual(*pointer, want) {
		t.Errorf("a pointer: %+v, %v", pointer, err)
	}
	m, err := validator.Claims[map[string]any](tok)
	if err != nil || m["level"] != 7.0 || m["iss"] != issuer || m["nothing"] != nil || len(m) != len(goodClaims(nil))+9 {
		t.Errorf("a map: %v, %v", m, err)
	}
	raw, err := validator.Claims[map[string]json.RawMessage](tok)
	if err != nil || string(raw["big"]) != "9007199254740993" {
		t.Errorf("a map of raw values: %s, %v", raw, err)
	}
	whole, err := validator.Claims[json.RawMessage](tok)
	if err != nil || !strings.Contains(string(whole), `"tenant_id":"canary-tenant"`) {
		t.Errorf("raw: %s, %v", whole, err)
	}
	untyped, err := validator.Claims[any](tok)
	if err != nil || !reflect.DeepEqual(untyped, any(m)) {
		t.Errorf("any: %v, %v", untyped, err)
	}
}

func TestClaims_NamesAreExact(t *testing.T) {
	t.Parallel()
	type plain struct{ Role string } // its member is named Role
	type tagged struct {
		Role string `json:"role"`
	}
	type nested struct {
		X struct {
			Role string `json:"role"`
		} `json:"x"`
	}
	if got, err := validator.Claims[plain](tokenOf(t, edits{"Role": "user"})); err != nil || got.Role != "user" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := validator.Claims[tagged](tokenOf(t, edits{"role": "user"})); err != nil || got.Role != "user" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, name := range []string{"Role", "ROLE", "rolE"} {
		if got, err := validator.Claims[tagged](tokenOf(t, edits{name: "admin"})); err == nil || got.Role != "" {
			t.Errorf("%s is taken for role: %+v, %v", name, got, err)
		}
		if got, err := validator.Claims[nested](tokenOf(t, edits{"x": edits{name: "admin"}})); err == nil || got.X.Role != "" {
			t.Errorf("x.%s is taken for x.role: %+v, %v", name, got, err)
		}
	}
	if got, err := validator.Claims[plain](tokenOf(t, edits{"role": "admin"})); err == nil {
		t.Errorf("role is taken for Role: %+v", got)
	}
	type kelvin struct {
		Kind string `json:"kind"`
	}
	if got, err := validator.Claims[kelvin](tokenOf(t, edits{"\u212aind": "admin"})); err == nil {
		t.Errorf("the Kelvin sign is taken for a k: %+v", got)
	}
}

// A claim of another type is an error, which does not say its value, and no
// half-filled T is returned.
func TestClaims_OfAnotherType(t *testing.T) {
	t.Parallel()
	type number struct {
		Sub string `json:"sub"`
		X   int8   `json:"x"`
	}
	for name, value := range map[string]any{"text": "canary", "too large": 1000, "fraction": 1.5, "object": edits{"canary": 1}, "array": []int{1}, "huge": math.MaxFloat64} {
		got, err := validator.Claims[number](tokenOf(t, edits{"x": value}))
		if err == nil || got != (number{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		} else if strings.Contains(err.Error(), "canary") || !strings.HasPrefix(err.Error(), "validator: claims: ") || !strings.Contains(err.Error(), `"x"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A type that decodes itself may quote what it was given; the error does not.
func TestClaims_OfAnotherFormSayNoValue(t *testing.T) {
	t.Parallel()
	tok := tokenOf(t, edits{"x": "canary"})
	_, asTime := validator.Claims[struct {
		X time.Time `json:"x"`
	}](tok)
	_, asNumber := validator.Claims[struct {
		X json.Number `json:"x"`
	}](tok)
	_, asQuoted := validator.Claims[struct {
		X int `json:"x,string"`
	}](tok)
	_, asBytes := validator.Claims[struct {
		X []byte `json:"x"`
	}](tok)
	_, asMap := validator.Claims[map[string]int](tok)
	for name, err := range map[string]error{"time.Time": asTime, "json.Number": asNumber, "string option": asQuoted, "map": asMap} {
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if asBytes != nil && strings.Contains(asBytes.Error(), "canary") {
		t.Errorf("bytes: %v", asBytes)
	}
	if pe := new(time.ParseError); errorsAs(asTime, &pe) {
		t.Errorf("a cause that holds the value can be reached: %v", asTime)
	}
}

func TestClaims_OfNoToken(t *testing.T) {
	t.Parallel()
	for name, tok := range map[string]*validator.Token{"zero": {}, "nil": nil} {
		if m, err := validator.Claims[map[string]any](tok); err != nil || len(m) != 0 {
			t.Errorf("%s: %v, %v", name, m, err)
		}
		if s, err := validator.Claims[struct{ Sub string }](tok); err != nil || s.Sub != "" {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
}
