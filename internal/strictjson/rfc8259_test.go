package strictjson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestObject_Refuses(t *testing.T) {
	t.Parallel()
	for name, doc := range map[string]string{
		"nothing":                    ``,
		"an array":                   `[]`,
		"a string":                   `"a"`,
		"a byte order mark":          "\xef\xbb\xbf{}",
		"bytes after":                `{}x`,
		"a second object":            `{}{}`,
		"a NUL after":                "{}\x00",
		"a duplicate":                `{"a":1,"a":2}`,
		"a duplicate, escaped":       `{"a":1,"\u0061":2}`,
		"a duplicate, nested":        `{"x":{"a":1,"a":2}}`,
		"a duplicate in an array":    `{"x":[{"a":1,"a":2}]}`,
		"names that differ by case":  `{"iss":1,"ISS":2}`,
		"the Kelvin sign":            "{\"kid\":1,\"\u212aid\":2}",
		"the long s":                 "{\"iss\":1,\"i\u017fs\":2}",
		"the long s, escaped":        `{"iss":1,"i\u017fs":2}`,
		"non-ASCII case":             `{"é":1,"É":2}`,
		"invalid UTF-8 in a value":   "{\"a\":\"\xff\"}",
		"invalid UTF-8 in a name":    "{\"\xff\":1}",
		"an overlong encoding":       "{\"a\":\"\xc0\xaf\"}",
		"half a surrogate pair":      `{"a":"\ud800"}`,
		"a low surrogate alone":      `{"a":"\udc00"}`,
		"two high surrogates":        `{"a":"\ud800\ud800"}`,
		"a control character":        "{\"a\":\"\x01\"}",
		"a raw line feed":            "{\"a\":\"\n\"}",
		"an unknown escape":          `{"a":"\x"}`,
		"a trailing comma":           `{"a":1,}`,
		"a leading comma":            `{,"a":1}`,
		"a trailing comma, array":    `{"a":[1,]}`,
		"a missing colon":            `{"a" 1}`,
		"a missing value":            `{"a":}`,
		"a leading zero":             `{"a":01}`,
		"a plus sign":                `{"a":+1}`,
		"a bare fraction":            `{"a":.5}`,
		"a fraction without digits":  `{"a":1.}`,
		"an exponent without digits": `{"a":1e}`,
		"NaN":                        `{"a":NaN}`,
		"a hexadecimal number":       `{"a":0x1}`,
		"single quotes":              `{'a':1}`,
		"an unquoted name":           `{a:1}`,
		"a comment":                  `{"a":1/**/}`,
		"a misspelt literal":         `{"a":tru}`,
		"a literal of another case":  `{"a":True}`,
		"an unfinished object":       `{"a":1`,
		"an unfinished string":       `{"a":"`,
		"an unfinished escape":       `{"a":"\`,
		"an unfinished array":        `{"a":[1`,
		"a non-breaking space":       "{\u00a0}",
		"an object too deep":         strings.Repeat(`{"a":`, MaxDepth+1) + `1` + strings.Repeat(`}`, MaxDepth+1),
		"an array too deep":          `{"a":` + strings.Repeat(`[`, MaxDepth) + strings.Repeat(`]`, MaxDepth) + `}`,
		"one duplicate among many":   many(500, `"K7":1`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := Object(doc, nil); err == nil {
				t.Errorf("accepted %.60q", doc)
			}
		})
	}
}

func TestObject_Reports(t *testing.T) {
	t.Parallel()
	doc := ` { "a" : 1 , "\u0062" : "x\n\u00e9\ud83d\ude00" , "c":{"a":[1,{"b":2}]}, "d":["x","y"], "e":-0.5e+3, "f":null, "":true } `
	got := map[string]string{}
	if err := Object(doc, func(name string, v Value) error {
		got[name] = string(v)
		if text, ok := v.Text(); ok && text != "x\né😀" {
			t.Errorf("Text of %s is %q", name, text)
		}
		if texts, ok := v.Texts(); ok && strings.Join(texts, " ") != "x y" {
			t.Errorf("Texts of %s is %q", name, texts)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"a": "1", "b": `"x\n\u00e9\ud83d\ude00"`, "c": `{"a":[1,{"b":2}]}`, "d": `["x","y"]`, "e": "-0.5e+3", "f": "null", "": "true"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

func TestObject_TakesManyMembers(t *testing.T) {
	t.Parallel()
	if err := Object(many(2000, `"other":1`), nil); err != nil {
		t.Error(err)
	}
}

// Names that differ by case alone are one, however long they are and however many
// stand before them; others are not.
func TestObject_NamesFoldAtAnyLength(t *testing.T) {
	t.Parallel()
	for n := range 40 {
		for before := range 3 {
			name := strings.Repeat("k", n) + "s"
			doc := func(second string) string {
				return many(before*20, fmt.Sprintf("%q:1,%q:2", name, second))
			}
			for _, same := range []string{strings.ToUpper(name), strings.Repeat("k", n) + "\u017f", name} {
				if Object(doc(same), nil) == nil {
					t.Errorf("%d before: %q and %q accepted", before*20, name, same)
				}
			}
			for _, other := range []string{name + "s", strings.Repeat("k", n) + "t", "r" + name[1:] + "s"} {
				if err := Object(doc(other), nil); err != nil {
					t.Errorf("%d before: %q and %q: %v", before*20, name, other, err)
				}
			}
		}
	}
}

// many returns an object with members k0 to kn-1 and one more.
func many(n int, more string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := range n {
		fmt.Fprintf(&b, `"k%d":%d,`, i, i)
	}
	return b.String() + more + "}"
}

func TestObject_DoesNotAllocate(t *testing.T) {
	doc := `{"iss":"https://issuer.example","aud":["a","b"],"exp":1,"x":{"y":{"z":[1,2,{}]}}}`
	if got := testing.AllocsPerRun(100, func() {
		n := 0
		_ = Object(doc, func(string, Value) error { n++; return nil })
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// A document that Object accepts is one that encoding/json reads to the same
// members: same names, same values, none lost.
func FuzzObject_AgreesWithEncodingJSON(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":1,"b":[true,null,"x"]}`, `{"a":{"b":{"c":"\u00e9\ud83d\ude00"}}}`, `{"\u0061":1,"A":2}`, `{"é":1e9}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got := map[string]string{}
		err := Object(string(data), func(name string, v Value) error {
			got[name] = string(v)
			return nil
		})
		if err != nil {
			return
		}
		want := map[string]json.RawMessage{}
		dec := json.NewDecoder(bytes.NewReader(data))
		if err := dec.Decode(&want); err != nil {
			t.Fatalf("accepted what encoding/json refuses: %v", err)
		}
		if len(got) != len(want) {
			t.Fatalf("%d members, encoding/json reads %d", len(got), len(want))
		}
		for name, raw := range want {
			if got[name] != string(raw) {
				t.Fatalf("%q is %s, encoding/json reads %s", name, got[name], raw)
			}
			var text string
			if mine, ok := Value(raw).Text(); ok && (json.Unmarshal(raw, &text) != nil || text != mine) {
				t.Fatalf("text %q, encoding/json reads %q", mine, text)
			}
		}
	})
}
