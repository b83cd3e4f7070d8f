package tokentest

import "strings"

// LookAlikes returns texts, by what they are, that are not the URL s, though somebody
// might take them for it.
func LookAlikes(s string) map[string]string {
	return map[string]string{
		"another":                        "https://canary.example",
		"in upper case":                  strings.ToUpper(s),
		"a letter in upper case":         strings.Replace(s, "example", "Example", 1),
		"http":                           strings.Replace(s, "https", "http", 1),
		"with a slash":                   s + "/",
		"with a path":                    s + "/canary",
		"with a query":                   s + "?canary",
		"with a fragment":                s + "#",
		"with its port":                  s + ":443",
		"with a user":                    strings.Replace(s, "://", "://canary@", 1),
		"with a dot":                     s + ".",
		"longer":                         s + ".canary.example",
		"shorter":                        s[:len(s)-1],
		"a letter doubled":               strings.Replace(s, "example", "exxample", 1),
		"its host alone":                 strings.TrimPrefix(s, "https://"),
		"with a space":                   s + " ",
		"after a space":                  " " + s,
		"with a line feed":               s + "\n",
		"with NUL":                       s + "\x00",
		"escaped for a URL":              strings.Replace(s, "e", "%65", 1),
		"a letter of Cyrillic":           strings.Replace(s, "e", "\u0435", 1),
		"a letter of full width":         strings.Replace(s, "e", "\uff45", 1),
		"a long s":                       strings.Replace(s, "https", "http\u017f", 1),
		"with an accent":                 strings.Replace(s, "e", "e\u0301", 1),
		"with a zero-width space":        s + "\u200b",
		"with a byte order mark":         "\ufeff" + s,
		"with a full stop of full width": strings.Replace(s, ".", "\uff0e", 1),
		"without a scheme's slash":       strings.Replace(s, "://", ":/", 1),
		"scheme in upper case":           strings.Replace(s, "https", "HTTPS", 1),
	}
}
