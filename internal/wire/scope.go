package wire

// IsScope reports whether s is a scope-token of RFC 6749 section 3.3.
func IsScope(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < '!' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return s != ""
}
