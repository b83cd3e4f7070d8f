package strictjson

import (
	"encoding/json"
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
		"another type":             {doc: `{"name":1}`, wantErr: `"name" must be a string`, strict: true},
		"another type, in an item": {doc: `{"list":[{"inner":7}]}`, wantErr: `must be a string`, strict: true},
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

// A type that decodes itself may quote what it was given.
func TestUnmarshal_ErrorsHoldNoValue(t *testing.T) {
	t.Parallel()
	for _, target := range []any{
		new(struct{ X time.Time }), new(struct{ X json.Number }), new(struct{ X netip.Addr }), new(struct {
			X int `json:",string"`
		}),
	} {
		err := Unmarshal([]byte(`{"X":"canary"}`), target)
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%T: %v", target, err)
		}
	}
}
