package flood_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countermark/countermark/internal/issuertest"
)

const maxToken = 16 << 10 // README.md, Limits

// A giant is a request that is out of all proportion.
type giant struct {
	name    string
	request string
	want    int
	asks    int64 // the issuer
}

// giants are made with a token that is good, but for what is giant about it.
func giants(token string) []giant {
	get := func(fields ...string) string {
		return "GET / HTTP/1.1\r\nHost: api\r\n" + strings.Join(fields, "\r\n") + "\r\n\r\n"
	}
	show := func(token string) string { return get("Authorization: Bearer " + token) }
	padded := func(format string, unit string, n int) string { return fmt.Sprintf(format, strings.Repeat(unit, n)) }
	goodHeader, rest, _ := strings.Cut(token, ".")
	body, sig, _ := strings.Cut(rest, ".")
	longest := func(n int) string { // a JWT of n bytes
		return goodHeader + "." + strings.Repeat("e", n-len(goodHeader)-len(sig)-2) + "." + sig
	}
	deep := unsigned(padded(`{"alg":"ES256","typ":"at+jwt","x":%s}`, "[", 11<<10), claims(issuertest.URL))
	return []giant{
		{name: "a JWT as long as one may be", request: show(longest(maxToken)), want: 401},
		{name: "a JWT a byte longer", request: show(longest(maxToken + 1)), want: 401},
		{name: "a JWT of more than a server takes", request: show(longest(512 << 10)), want: 431},
		{name: "an opaque token as long as one may be", request: show(strings.Repeat("o", maxToken)), want: 401, asks: 1},
		{name: "an opaque token a byte longer", request: show(strings.Repeat("o", maxToken+1)), want: 401},
		{name: "a JOSE header that is deep", request: show(deep), want: 401},
		{name: "a JOSE header of many members", request: show(unsigned(manyMembers(1000), claims(issuertest.URL))), want: 401},
		{name: "a JOSE header with a long kid", request: show(unsigned(header(strings.Repeat("k", 11<<10)), claims(issuertest.URL))), want: 401},
		{name: "a payload of a good token that is longer", request: show(goodHeader + "." + body + strings.Repeat("e", 8<<10) + "." + sig), want: 401},
		{name: "hundreds of tokens", request: get(slices.Repeat([]string{"Authorization: Bearer " + token[:64]}, 300)...), want: 400},
		{name: "thousands of lines", request: get(lines(2000)...), want: 401, asks: 1},
		{name: "more than a server takes", request: show(strings.Repeat("x", 1<<20)), want: 431},
	}
}

// manyMembers is a JSON object.
func manyMembers(n int) string {
	var b strings.Builder
	b.WriteString(`{"alg":"ES256","typ":"at+jwt"`)
	for k := range n {
		fmt.Fprintf(&b, `,"m%d":%d`, k, k%10)
	}
	return b.String() + "}"
}

func lines(n int) []string {
	all := []string{"Authorization: Bearer none"}
	for k := range n {
		all = append(all, fmt.Sprintf("X-%d: y", k))
	}
	return all
}

// What is giant costs the reading of it, as a body of that length does.
func TestFlood_OfGiantHeaders(t *testing.T) {
	i := newIssuer(t)
	s := newStage(t, i, serve(t, newValidator(t, i)))
	all := giants(i.token(t, i.web))
	for _, g := range all {
		t.Run(g.name, func(t *testing.T) {
			l := s.dial()
			defer l.close()
			before := i.questions.Load()
			status, err := l.(*httpLine).send([]byte(g.request))
			if asks := i.questions.Load() - before; status != g.want || asks != g.asks {
				t.Errorf("answered %d, %v, after %d questions; want %d after %d", status, err, asks, g.want, g.asks)
			}
		})
	}
	const size, pace = 8, 64 * time.Millisecond // lines cost net/http ten times what a body of their length does
	pick := func(n int64) *giant { return &all[n%int64(len(all))] }
	base := harmless(size, pace)
	base.wants = []int{200}
	base.visit = func(l line, n int64) (int, error) { // as long
		body := pick(n).request
		return l.(*httpLine).send(fmt.Appendf(nil, "POST / HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s",
			s.tokens[n%int64(len(s.tokens))], len(body), body))
	}
	s.endure(base, &crowd{
		size: size, pace: slowly(pace), wants: []int{400, 401, 431},
		visit: func(l line, n int64) (int, error) { return l.(*httpLine).send([]byte(pick(n).request)) },
	}, 256<<10)
}
