package validator

// Remembers reports whether a token is found without its signature being verified.
func (v *Validator) Remembers(token string) bool {
	j, ok := parseJWS(token)
	if !ok {
		return false
	}
	at := v.memory.place(&j)
	return v.memory.find(&at) != nil
}

// Remembered returns how many are.
func (v *Validator) Remembered() int {
	v.memory.tokens.CleanUp()
	return v.memory.tokens.EstimatedSize()
}

// RememberedTexts returns what the memory keeps of a token.
func (v *Validator) RememberedTexts(token string) []string {
	j, _ := parseJWS(token)
	at := v.memory.place(&j)
	r := v.memory.find(&at)
	return []string{r.header.text, r.text, r.token.claims}
}

// Headers returns how many headers are known.
func (v *Validator) Headers() int {
	if known := v.headers.known.Load(); known != nil {
		return len(*known)
	}
	return 0
}
