package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	permission = "Permission is hereby granted, free of charge, to any person\nobtaining a copy of this software and ..."
	inclusion  = "The above copyright notice and this permission notice shall be\n  included in all copies or substantial portions of the Software."
	binary     = "2. Redistributions in binary form must reproduce the above copyright notice, ..."
	promotion  = "may be used to endorse or promote products derived from this software without specific prior written permission."
)

func TestClassify_TellsLicencesApart(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ text, want string }{
		"MIT":               {permission + inclusion, "MIT"},
		"no attribution":    {permission, "MIT-0"},
		"BSD of two parts":  {binary, "BSD-2-Clause"},
		"BSD of three":      {binary + promotion, "BSD-3-Clause"},
		"two in one":        {binary + promotion + permission + inclusion, "BSD-3-Clause MIT"},
		"all rights":        {"Copyright. All rights reserved.", ""},
		"nothing":           {"", ""},
		"a mention of one":  {"See the MIT License.", ""},
		"its name in parts": {"Apache License\n   Version 2.0, January 2004\n", "Apache-2.0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := strings.Join(classify(row.text), " "); got != row.want {
				t.Errorf("%q, want %q", got, row.want)
			}
		})
	}
}

func TestLicenceIn_WhatIsUnknownIsAnError(t *testing.T) {
	t.Parallel()
	if got, err := licenceIn("../.."); got != "Apache-2.0" || err != nil {
		t.Errorf("our own: %q, %v", got, err)
	}
	dir := t.TempDir()
	if got, err := licenceIn(dir); err == nil {
		t.Errorf("no file: %q", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "LICENSE.txt"), []byte("Ask us."), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := licenceIn(dir); err == nil {
		t.Errorf("terms of its own: %q", got)
	}
}

func TestLeads_ThroughIndirectOnesAlone(t *testing.T) {
	t.Parallel()
	edges := map[string][]string{"a": {"x", "b"}, "x": {"y", "x"}, "b": {"z"}}
	indirect := map[string]bool{"a": false, "b": false, "x": true, "y": true, "z": true}
	for to, want := range map[string]bool{"x": true, "y": true, "z": false, "a": false} {
		if got := leads(edges, indirect, "a", to, map[string]bool{}); got != want {
			t.Errorf("a to %s: %v", to, got)
		}
	}
}
