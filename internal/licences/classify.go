package main

import "strings"

// licences are told apart by words that are in each text of one and in no other of
// these. Where unless is there too, it is another one.
var licences = []struct{ id, words, unless string }{
	{"Apache-2.0", "Apache License Version 2.0, January 2004", ""},
	{"BSD-2-Clause", "Redistributions in binary form must reproduce the above copyright notice", "used to endorse or promote products"},
	{"BSD-3-Clause", "used to endorse or promote products derived from this software without specific prior", ""},
	{"ISC", "Permission to use, copy, modify, and distribute this software for any purpose with or without fee", ""},
	{"MIT", "The above copyright notice and this permission notice shall be included", ""},
	{"MIT-0", "Permission is hereby granted, free of charge, to any person", "The above copyright notice and this permission notice"},
	{"MPL-2.0", "Mozilla Public License Version 2.0", ""},
	{"public domain", "dedicated to the public domain", ""},
}

// classify returns the SPDX identifiers of the licences that a text holds, in the
// order above.
func classify(text string) []string {
	text = strings.Join(strings.Fields(text), " ")
	var found []string
	for _, l := range licences {
		if strings.Contains(text, l.words) && (l.unless == "" || !strings.Contains(text, l.unless)) {
			found = append(found, l.id)
		}
	}
	return found
}
