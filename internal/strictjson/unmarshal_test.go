package strictjson

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

type embedded struct {
	Inner string `json:"inner"`
}

type sample struct {
	Name string              `json:"name"`
	Deep struct{ X int }     `json:"deep"`
	List []*embedded         `json:"list"`
	Map  map[string]embedded `json:"map"`
	Any  any                 `json:"any"`
	Raw  json.RawMessage     `json:"raw"`
	Skip string              `json:"-"`

	Flag   bool        `json:"flag"`
	Byte   uint8       `json:"byte"`
	Float  *float32    `json:"float"`
	Text   int         `json:"text,string"`
	Bytes  []byte      `json:"bytes"`
	Number json.Number `json:"number"`
	embedded
}

func TestUnmarshal(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		doc, wantErr string // in UnmarshalKnown; "" for none
		strict       bool   // Unmarshal refuses it too
	}{
		"all known":                {doc: `{"name":"n","deep":{"X":1},"list":[{"inner":"a"}],"map":{"Any":{"inner":"b"}},"any":{"Name":1},"raw":{"NAME":2},"inner":"c"}`},
		"unknown":                  {doc: `{"nam":1}`, wantErr: `unknown field "nam"`},
		"unknown, in a list":       {doc: `{"list":[{"inner":"a"},{"outer":"b"}]}`, wantErr: `unknown field "list[1].outer"`},
		"unknown, in a map":        {doc: `{"map":{"k":{"outer":"b"}}}`, wantErr: `unknown field "map.k.outer"`},
		"another case":             {doc: `{"Name":"n"}`, wantErr: `differs from "name"`, strict: true},
		"another case, nested":     {doc: `{"deep":{"x":1}}`, wantErr: `differs from "deep.X"`, strict: true},
		"another case, in a list":  {doc: `{"list":[{"INNER":"n"}]}`, wantErr: `differs from "list[0].inner"`, strict: true},
		"another case, embedded":   {doc: `{"Inner":"n"}`, wantErr: `differs from "inner"`, strict: true},
		"a duplicate":              {doc: `{"name":"a","name":"b"}`, wantErr: `a second member`, strict: true},
		"another type":             {doc: `{"name":1}`, wantErr: `member "name" must be a string`, strict: true},
		"another type, in an item": {doc: `{"list":[{},{"inner":7}]}`, wantErr: `member "list[1].inner" must be a string`, strict: true},
		"another type, embedded":   {doc: `{"inner":[]}`, wantErr: `member "inner" must be a string`, strict: true},
		"another type of an item":  {doc: `{"list":[7]}`, wantErr: `member "list[0]" must be an object`, strict: true},
		"no array":                 {doc: `{"list":{}}`, wantErr: `member "list" must be an array`, strict: true},
		"no object":                {doc: `{"map":[]}`, wantErr: `member "map" must be an object`, strict: true},
		"no boolean":               {doc: `{"flag":"true"}`, wantErr: `member "flag" must be a boolean`, strict: true},
		"no whole number":          {doc: `{"byte":1.5}`, wantErr: `member "byte" must be a number in range`, strict: true},
		"too large a number":       {doc: `{"byte":256}`, wantErr: `member "byte" must be a number in range`, strict: true},
		"a number in a string":     {doc: `{"float":"1"}`, wantErr: `member "float" must be a number in range`, strict: true},
		"null everywhere":          {doc: `{"name":null,"list":[null],"map":{"a":null},"flag":null,"byte":null,"text":null,"inner":null}`},
		"every kind":               {doc: `{"flag":false,"byte":255,"float":-1e3,"text":"8","bytes":"AAEC","number":1.50}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s sample
			err := UnmarshalKnown([]byte(row.doc), &s)
			if (err == nil) != (row.wantErr == "") || err != nil && !strings.Contains(err.Error(), row.wantErr) {
				t.Errorf("UnmarshalKnown: %v, want %q", err, row.wantErr)
			}
			if err := Unmarshal([]byte(row.doc), &s); (err != nil) != row.strict {
				t.Errorf("Unmarshal: %v", err)
			}
		})
	}
}

// A map's key is a value of the document: only who wrote it gets to see it.
func TestUnmarshal_ErrorsHoldNoKeyOfAMap(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{`{"map":{"canary":{"INNER":"n"}}}`, `{"map":{"canary":{"inner":1}}}`} {
		err := Unmarshal([]byte(doc), new(sample))
		if err == nil || !strings.Contains(err.Error(), `"map.*.inner"`) || strings.Contains(err.Error(), "canary") {
			t.Error(err)
		}
		if err := UnmarshalKnown([]byte(doc), new(sample)); err == nil || !strings.Contains(err.Error(), `"map.canary.inner"`) {
			t.Error(err)
		}
	}
}

func TestUnmarshal_IntoWhatIsNoObject(t *testing.T) {
	t.Parallel()
	for want, target := range map[string]any{
		"JSON: an object cannot be read as a string":          new(string),
		"JSON: an object cannot be read as an array":          new([]any),
		"JSON: an object cannot be read as a number in range": new(int),
	} {
		if err := Unmarshal([]byte(`{"a":1}`), target); err == nil || err.Error() != want {
			t.Errorf("%T: %v", target, err)
		}
	}
}

// A type that decodes itself may quote what it was given.
func TestUnmarshal_ErrorsHoldNoValue(t *testing.T) {
	t.Parallel()
	for _, target := range []any{
		new(struct{ X time.Time }), new(struct{ X json.Number }), new(struct{ X netip.Addr }), new(struct {
			X int `json:",string"`
		}),
	} {
		err := Unmarshal([]byte(`{"X":"canary"}`), target)
		if err == nil || strings.Contains(err.Error(), "canary") || errors.Unwrap(err) != nil {
			t.Errorf("%T: %v", target, err)
		}
	}
}
