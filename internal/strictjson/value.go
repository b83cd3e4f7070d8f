package strictjson

import "strings"

// A Value is the text of a JSON value that Object found well-formed.
type Value string

// Text returns the string that v is, without a copy of one that has no escapes;
// ok is false if v is anything else.
func (v Value) Text() (text string, ok bool) {
	if len(v) < 2 || v[0] != '"' {
		return "", false
	}
	text = string(v[1 : len(v)-1])
	if strings.IndexByte(text, '\\') >= 0 {
		text = unescape(text)
	}
	return text, true
}

// Is reports whether v is the string text.
func (v Value) Is(text string) bool {
	own, ok := v.Text()
	return ok && own == text
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
	texts = make([]string, 0, min(1+strings.Count(string(v), ","), 8)) // a guess, and no more than that
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
	s := scanner{doc: string(v), pos: 1}
	if s.next() == ']' {
		return true
	}
	for {
		start := s.pos
		if s.value(1, nil) != nil || !f(v[start:s.pos]) {
			return false
		}
		if s.next() != ',' {
			return true
		}
		s.pos++
		s.next()
	}
}
