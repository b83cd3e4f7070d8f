package strictjson

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"testing"
)

// inner and outer have a field of every kind that the module reads documents into.
type inner struct {
	Text string `json:"text"`
	N    uint8  `json:"n"`
}

type outer struct {
	Text  string                     `json:"text"`
	Texts []string                   `json:"texts"`
	N     int64                      `json:"n"`
	F     float64                    `json:"f"`
	Is    *bool                      `json:"is"`
	In    inner                      `json:"in"`
	List  []inner                    `json:"list"`
	Map   map[string]json.RawMessage `json:"map"`
	Raw   json.RawMessage            `json:"raw"`
	Any   any                        `json:"any"`
}

// byName reads data member by member, where encoding/json cannot take one name for
// another.
func (i *inner) byName(data []byte) error {
	var m map[string]json.RawMessage
	err := json.Unmarshal(data, &m)
	return firstError(err, set(m, "text", &i.Text), set(m, "n", &i.N))
}

func (o *outer) byName(data []byte) error {
	var m map[string]json.RawMessage
	err := firstError(json.Unmarshal(data, &m),
		set(m, "text", &o.Text), set(m, "texts", &o.Texts), set(m, "n", &o.N), set(m, "f", &o.F), set(m, "is", &o.Is),
		set(m, "map", &o.Map), set(m, "raw", &o.Raw), set(m, "any", &o.Any))
	if raw, ok := m["in"]; ok {
		err = firstError(err, o.In.byName(raw))
	}
	var list []json.RawMessage
	if raw, ok := m["list"]; ok {
		err = firstError(err, json.Unmarshal(raw, &list))
	}
	if list != nil {
		o.List = make([]inner, len(list))
	}
	for i, raw := range list {
		err = firstError(err, o.List[i].byName(raw))
	}
	return err
}

func set(m map[string]json.RawMessage, name string, field any) error {
	raw, ok := m[name]
	if !ok {
		return nil
	}
	return json.Unmarshal(raw, field)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// What Unmarshal reads into a struct is what encoding/json reads by the exact names
// alone, nothing of it by another; it reads itself again when it is written; and
// UnmarshalKnown differs by refusing what has no field.
func FuzzUnmarshal_AgreesWithEncodingJSON(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"text":"a","texts":["b","\u00e9"],"n":-1,"f":1.5e3,"is":true,"in":{"text":"c","n":255},"list":[{"n":1},{},null],"map":{"x":[1]},"raw":{"y":null},"any":[1,"a",{}]}`,
		`{"Text":"a"}`, `{"in":{"TEXT":"a"}}`, `{"list":[{"N":1}]}`, `{"te\u0078t":"a"}`, "{\"te\u017ft\":\"a\"}", `{"n":1e2}`, `{"n":9223372036854775808}`, `{"in":{"n":256}}`,
		`{"f":1e999}`, `{"texts":null,"is":null,"in":null}`, `{"texts":"YQ=="}`, `{"any":1e999}`, `{"unknown":{"text":1}}`, `{"map":{"A":1,"a":2}}`, `{"text":"\ud800"}`, `{"is":"true"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got, known, want outer
		err := Unmarshal(data, &got)
		if errKnown := UnmarshalKnown(data, &known); err != nil {
			if errKnown == nil {
				t.Fatalf("UnmarshalKnown takes what Unmarshal does not: %v", err)
			}
			return
		} else if errKnown == nil && !reflect.DeepEqual(known, got) {
			t.Fatalf("UnmarshalKnown reads %+v, Unmarshal %+v", known, got)
		} else if (errKnown == nil) != knows(t, data) {
			t.Fatalf("UnmarshalKnown: %v", errKnown)
		}
		if err := want.byName(data); err != nil {
			t.Fatalf("accepted what encoding/json refuses: %v", err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("read %+v, encoding/json reads %+v", got, want)
		}
		once, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		var again outer
		if err := UnmarshalKnown(once, &again); err != nil {
			t.Fatalf("%s is not read again: %v", once, err)
		}
		if twice, err := json.Marshal(again); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%s, then %s, %v", once, twice, err)
		}
	})
}

// knows reports whether every member of data has a field.
func knows(t *testing.T, data []byte) bool {
	t.Helper()
	var m map[string]json.RawMessage
	var list []json.RawMessage
	if err := firstError(json.Unmarshal(data, &m), set(m, "list", &list)); err != nil {
		t.Fatal(err)
	}
	of := func(fields ...string) func(string) bool {
		return func(name string) bool { return !slices.Contains(fields, name) }
	}
	if slices.ContainsFunc(slices.Collect(maps.Keys(m)), of("text", "texts", "n", "f", "is", "in", "list", "map", "raw", "any")) {
		return false
	}
	return !slices.ContainsFunc(append(list, m["in"]), func(raw json.RawMessage) bool {
		var in map[string]json.RawMessage
		return raw != nil && json.Unmarshal(raw, &in) == nil && slices.ContainsFunc(slices.Collect(maps.Keys(in)), of("text", "n"))
	})
}

// A Value says of itself what encoding/json says of the same text: of what kind it
// is, which elements it has, and which strings.
func FuzzValue_AgreesWithEncodingJSON(f *testing.F) {
	for _, seed := range []string{
		`[]`, `[ ]`, `["a","b"]`, ` [ 1 , [2,[3]] , {"a":[]} ] `, `["\u0041",""]`, `["a",null]`, `"a,b"`, `-0.0e-1`, `null`, `true`, `{}`, `[[[[]]]]`, `["]"]`, `["\"]"]`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var v Value
		if Object(`{"v":`+text+`}`, func(name string, value Value) error {
			if name == "v" {
				v = value
			}
			return nil
		}) != nil {
			return
		}
		var own string
		_, isText := v.Text()
		kinds := map[byte]bool{'"': isText, 'n': v.IsNull(), '{': v.IsObject(), '[': v.Elements(func(Value) bool { return true }), 't': false, 'f': false}
		for first, is := range kinds {
			if is != (v[0] == first && first != 't' && first != 'f') {
				t.Errorf("%s: a kind of its own is wrong: %q", v, first)
			}
		}
		if _, other := kinds[v[0]]; v.IsNumber() == other {
			t.Errorf("%s: IsNumber is %v", v, v.IsNumber())
		}
		if isText && (json.Unmarshal([]byte(v), &own) != nil || !v.Is(own)) {
			t.Errorf("%s is not the string that encoding/json reads", v)
		}

		var list []json.RawMessage
		if json.Unmarshal([]byte(v), &list) != nil {
			list = nil
		}
		var elements []string
		v.Elements(func(e Value) bool { elements = append(elements, string(e)); return true })
		if !slices.EqualFunc(elements, list, func(mine string, theirs json.RawMessage) bool { return mine == string(theirs) }) {
			t.Errorf("%s: elements %q, encoding/json has %q", v, elements, list)
		}
		var want []string
		allText := list != nil && json.Unmarshal([]byte(v), &want) == nil && !slices.ContainsFunc(list, func(e json.RawMessage) bool { return e[0] != '"' })
		if got, ok := v.Texts(); ok != allText || ok && !slices.Equal(got, want) {
			t.Errorf("%s: texts %q, %v, encoding/json has %q", v, got, ok, want)
		}
	})
}
