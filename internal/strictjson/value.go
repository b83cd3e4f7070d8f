package strictjson

import "bytes"

// A Value is the text of a JSON value that Object found well-formed. Its capacity
// reaches to the end of the document: append nothing to it.
type Value []byte

// Text returns the string that v is; ok is false if v is anything else.
func (v Value) Text() (text string, ok bool) {
	if len(v) < 2 || v[0] != '"' {
		return "", false
	}
	inner := v[1 : len(v)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner), true
	}
	return string(unescape(inner)), true
}

// TextOf is Text, but of a string without escapes it makes no copy: it returns
// the part of doc, which is the document that Object found v in.
func (v Value) TextOf(doc string) (text string, ok bool) {
	start := len(doc) - cap(v)
	if len(v) < 2 || v[0] != '"' || start < 0 || bytes.IndexByte(v, '\\') >= 0 {
		return v.Text()
	}
	return doc[start+1 : start+len(v)-1], true
}

// Is reports whether v is the string text, without allocating for plain ones.
func (v Value) Is(text string) bool {
	if len(v) < 2 || v[0] != '"' {
		return false
	}
	inner := v[1 : len(v)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner) == text
	}
	return string(unescape(inner)) == text
}

// IsNumber reports whether v is a number. Its text is v itself.
func (v Value) IsNumber() bool { return len(v) > 0 && (v[0] == '-' || v[0]-'0' <= 9) }

// IsNull reports whether v is null.
func (v Value) IsNull() bool { return len(v) > 0 && v[0] == 'n' }

// IsObject reports whether v is an object.
func (v Value) IsObject() bool { return len(v) > 0 && v[0] == '{' }

// Texts returns the strings that v is an array of; ok is false if v is anything
// else, an array that holds anything else included.
func (v Value) Texts() (texts []string, ok bool) {
	ok = v.Elements(func(e Value) bool {
		text, isText := e.Text()
		texts = append(texts, text)
		return isText
	})
	if !ok {
		return nil, false
	}
	return texts, true
}

// Elements calls f for each element of the array that v is, until f returns
// false. It reports whether v is an array and f accepted every element.
func (v Value) Elements(f func(Value) bool) bool {
	if len(v) < 2 || v[0] != '[' {
		return false
	}
	s := scanner{data: v, pos: 1}
	for {
		s.space()
		if s.data[s.pos] == ']' {
			return true
		}
		start := s.pos
		if s.value(1, nil) != nil || !f(v[start:s.pos]) {
			return false
		}
		s.space()
		if s.data[s.pos] == ',' {
			s.pos++
		}
	}
}
