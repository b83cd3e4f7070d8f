package strictjson

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Unmarshal decodes data, one strict object, into what v points to. It works as
// [json.Unmarshal] does, but a member sets a field only if its name is the
// field's byte for byte; a name that differs from a field's by case alone is an
// error, since encoding/json would take it. Unknown members are ignored.
//
// The error names the place and never holds a value of the document.
func Unmarshal(data []byte, v any) error { return unmarshal(data, v, false) }

// UnmarshalKnown is Unmarshal, but a member that no field is named after is an
// error that says its path.
func UnmarshalKnown(data []byte, v any) error { return unmarshal(data, v, true) }

func unmarshal(data []byte, v any, known bool) error {
	doc := string(data)
	if err := Object(doc, nil); err != nil {
		return err
	}
	m := matcher{known: known}
	if err := m.value(reflect.TypeOf(v), Value(doc), ""); err != nil {
		return err
	}
	if json.Unmarshal(data, v) != nil {
		// Its error may hold what a type that decodes itself was given, as that
		// of time.Time does.
		return errors.New("JSON: a member is of the wrong form for its Go type")
	}
	return nil
}

var (
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	jsonNumber      = reflect.TypeFor[json.Number]()
)

// matcher holds the members of a document against the fields of a type: names,
// and the kinds of the values.
type matcher struct{ known bool }

func (m matcher) value(t reflect.Type, v Value, path string) error {
	for t != nil && t.Kind() == reflect.Pointer && !decodesItself(t) {
		t = t.Elem()
	}
	if t == nil || v.IsNull() || decodesItself(t) || decodesItself(reflect.PointerTo(t)) {
		return nil
	}
	if !fits(t, v) {
		if path == "" {
			return fmt.Errorf("JSON: an object cannot be read as %s", kindName(t))
		}
		return fmt.Errorf("JSON: member %q must be %s", path, kindName(t))
	}
	switch t.Kind() {
	case reflect.Struct:
		fields := fieldsOf(t)
		return Object(string(v), func(name string, v Value) error {
			return m.member(fields, name, v, path)
		})
	case reflect.Map:
		return Object(string(v), func(name string, v Value) error {
			key := "*" // it is a value, too, which an error of Unmarshal does not show
			if m.known {
				key = name
			}
			return m.value(t.Elem(), v, join(path, key))
		})
	case reflect.Slice, reflect.Array:
		var err error
		i := 0
		v.Elements(func(e Value) bool {
			err = m.value(t.Elem(), e, fmt.Sprintf("%s[%d]", path, i))
			i++
			return err == nil
		})
		return err
	default:
		return nil
	}
}

func (m matcher) member(fields map[string]reflect.Type, name string, v Value, path string) error {
	if t, ok := fields[name]; ok {
		if t == nil { // a number or boolean in a string
			return nil
		}
		return m.value(t, v, join(path, name))
	}
	for field := range fields {
		if strings.EqualFold(field, name) {
			return fmt.Errorf("JSON: a member differs from %q by case alone", join(path, field))
		}
	}
	if m.known {
		return fmt.Errorf("JSON: unknown field %q", join(path, name))
	}
	return nil
}

func decodesItself(t reflect.Type) bool {
	return t.Implements(jsonUnmarshaler) || t.Implements(textUnmarshaler)
}

// fits reports whether v is of the kind of JSON value that goes into a t, and a
// number within its range.
func fits(t reflect.Type, v Value) bool {
	var err error
	switch t.Kind() {
	case reflect.String:
		return len(v) > 0 && v[0] == '"' || t == jsonNumber && v.IsNumber()
	case reflect.Bool:
		return len(v) > 0 && (v[0] == 't' || v[0] == 'f')
	case reflect.Struct, reflect.Map:
		return v.IsObject()
	case reflect.Slice:
		return len(v) > 0 && (v[0] == '[' || v[0] == '"' && t.Elem().Kind() == reflect.Uint8) // base64
	case reflect.Array:
		return len(v) > 0 && v[0] == '['
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		_, err = strconv.ParseInt(string(v), 10, t.Bits())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		_, err = strconv.ParseUint(string(v), 10, t.Bits())
	case reflect.Float32, reflect.Float64:
		_, err = strconv.ParseFloat(string(v), t.Bits())
	default: // an interface takes anything; encoding/json refuses the rest
	}
	return err == nil
}

// fieldsOf returns the member names that encoding/json knows for the struct t,
// each with its type, nil for one with the option string.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := make(map[string]reflect.Type)
	for _, f := range reflect.VisibleFields(t) {
		tag := f.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		if !f.IsExported() || tag == "-" || (f.Anonymous && name == "") {
			continue
		}
		if name == "" {
			name = f.Name
		}
		fields[name] = f.Type
		if slices.Contains(strings.Split(options, ","), "string") {
			fields[name] = nil
		}
	}
	return fields
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "a boolean"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Struct, reflect.Map, reflect.Pointer:
		return "an object"
	default:
		return "a number in range"
	}
}
