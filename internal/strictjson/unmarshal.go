package strictjson

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
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
	if err := Object(data, nil); err != nil {
		return err
	}
	m := matcher{known: known}
	if err := m.value(reflect.TypeOf(v), data, ""); err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		if te, ok := err.(*json.UnmarshalTypeError); ok { //nolint:errorlint // json returns it unwrapped
			return fmt.Errorf("JSON: member %q must be %s", te.Field, kindName(te.Type))
		}
		return &decodeError{err}
	}
	return nil
}

// decodeError stands for the error of a type that decodes itself, whose text may
// hold what it was given, as that of time.Time does.
type decodeError struct{ cause error }

func (e *decodeError) Error() string { return "JSON: a member is of the wrong form for its Go type" }

func (e *decodeError) Unwrap() error { return e.cause }

var (
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// matcher holds the member names of a document against the fields of a type.
type matcher struct{ known bool }

func (m matcher) value(t reflect.Type, v Value, path string) error {
	for t != nil && t.Kind() == reflect.Pointer && !decodesItself(t) {
		t = t.Elem()
	}
	if t == nil || decodesItself(t) || decodesItself(reflect.PointerTo(t)) {
		return nil
	}
	switch t.Kind() {
	case reflect.Struct:
		if !v.IsObject() {
			return nil
		}
		fields := fieldsOf(t)
		return Object(v, func(name []byte, v Value) error {
			return m.member(fields, string(name), v, path)
		})
	case reflect.Map:
		if !v.IsObject() {
			return nil
		}
		return Object(v, func(name []byte, v Value) error {
			return m.value(t.Elem(), v, join(path, string(name)))
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

// fieldsOf returns the member names that encoding/json knows for the struct t.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := make(map[string]reflect.Type)
	for _, f := range reflect.VisibleFields(t) {
		tag := f.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		if !f.IsExported() || tag == "-" || (f.Anonymous && name == "") {
			continue
		}
		if name == "" {
			name = f.Name
		}
		fields[name] = f.Type
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
