package jwks

import (
	"net/http"
	"testing"
	"time"
)

func TestLifetime_RFC9111Section4_2(t *testing.T) {
	t.Parallel()
	const fallback = 7 * time.Minute
	for name, row := range map[string]struct {
		cacheControl []string
		age          string
		want         time.Duration
	}{
		"none":                    {nil, "", fallback},
		"none, but an Age":        {nil, "60", fallback},
		"other directives":        {[]string{"public, must-revalidate, s-maxage=60"}, "", fallback},
		"max-age":                 {[]string{"max-age=600"}, "", 10 * time.Minute},
		"among others, any case":  {[]string{"public,Max-Age=600 , immutable"}, "", 10 * time.Minute},
		"quoted":                  {[]string{`max-age="600"`}, "", 10 * time.Minute},
		"two lines":               {[]string{"public", "max-age=600"}, "", 10 * time.Minute},
		"twice, the shorter":      {[]string{"max-age=600, max-age=300"}, "", 5 * time.Minute},
		"less its Age":            {[]string{"max-age=600"}, "240", 6 * time.Minute},
		"older than that":         {[]string{"max-age=600"}, "6000", time.Minute},
		"Age is no number":        {[]string{"max-age=600"}, "-3", 10 * time.Minute},
		"too short":               {[]string{"max-age=59"}, "", time.Minute},
		"too long":                {[]string{"max-age=86401"}, "", 24 * time.Hour},
		"too large a number":      {[]string{"max-age=99999999999999999999999"}, "", 24 * time.Hour},
		"negative":                {[]string{"max-age=-1"}, "", time.Minute},
		"not a number":            {[]string{"max-age=soon"}, "", time.Minute},
		"no value":                {[]string{"max-age"}, "", time.Minute},
		"no-store":                {[]string{"no-store"}, "", time.Minute},
		"no-cache and a max-age":  {[]string{"no-cache, max-age=600"}, "", time.Minute},
		"a max-age and no-cache":  {[]string{"max-age=600, no-cache"}, "", time.Minute},
		"no-cache with arguments": {[]string{`no-cache="Set-Cookie"`}, "", time.Minute},
	} {
		h := http.Header{}
		for _, v := range row.cacheControl {
			h.Add("Cache-Control", v)
		}
		h.Set("Age", row.age)
		if got := lifetime(h, fallback); got != row.want {
			t.Errorf("%s: %v, want %v", name, got, row.want)
		}
	}
}
