package interop_test

import (
	"cmp"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/countermark/countermark/internal/jose"
)

// A wycheproof is one of Google's files of JOSE vectors.
type wycheproof struct {
	NumberOfTests int
	TestGroups    []struct {
		Private, Public jsonText // a JWK or a JWK Set
		Tests           []struct {
			TCID     int `json:"tcId"`
			Comment  string
			JWS, JWE jsonText // a string, or an object in JSON serialization
			Result   string
		}
	}
}

// readWycheproof reads a file of the module that go.mod names.
func readWycheproof(t *testing.T, file string) *wycheproof {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", "github.com/c2sp/wycheproof").Output()
	if err != nil {
		missing(t, "the module github.com/c2sp/wycheproof", "go mod download: "+string(out))
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		t.Fatal(err)
	}
	w := new(wycheproof)
	readJSON(t, filepath.Join(module.Dir, "testvectors_v1", file), w)
	return w
}

// vectors returns all tests, each with the public keys of its group, or with the
// others where there are none.
func (w *wycheproof) vectors(t *testing.T) []vector {
	t.Helper()
	var vectors []vector
	for _, group := range w.TestGroups {
		keys := group.Public
		if keys == nil {
			keys = group.Private
		}
		for _, test := range group.Tests {
			token := textOf(append(test.JWS, test.JWE...))
			vectors = append(vectors, vector{strconv.Itoa(test.TCID), setOf(t, keysOf(t, keys)...), token, test.Result == "valid"})
		}
	}
	if len(vectors) != w.NumberOfTests {
		t.Fatalf("%d vectors, and the file says %d", len(vectors), w.NumberOfTests)
	}
	return vectors
}

// A table is disagreements by the number of their test.
type table map[string]disagreement

// because adds tests to the table, as "1 3-5".
func (d table) because(reason, at, numbers string) table {
	for part := range strings.FieldsSeq(numbers) {
		first, last, _ := strings.Cut(part, "-")
		from, _ := strconv.Atoi(first)
		to, _ := strconv.Atoi(cmp.Or(last, first))
		for n := from; n <= to; n++ {
			d[strconv.Itoa(n)] = disagreement{reason, at}
		}
	}
	return d
}

const (
	noHMAC = "a resource server that can verify an HMAC can make one: it is never accepted"
	noJWE  = "an access token is signed; what is encrypted as well is for nobody here"
	noROCA = "a key of a chip with a bad generator (CVE-2017-15361): nothing is wrong with its form and size, and for who makes its keys it is the issuer who answers"
)

func TestWycheproof_JWS(t *testing.T) {
	t.Parallel()
	judge(t, readWycheproof(t, "json_web_signature_test.json").vectors(t), table{}.
		because(noHMAC, "alg: not accepted", "1 348 352 357-359 376-377").
		because("a PS384 token under a key whose alg is PS256: RFC 7517 section 4.4, RFC 8725 section 3.1", "no key fits", "346 350").
		because("RFC 7518 has no alg ES521 for a key, and the token is of ES512", "no key fits", "347 351").
		because("a question mark is no base64url: RFC 7515 section 2", "header: not canonical base64url", "372").
		because("a question mark is no base64url: RFC 7515 section 2", "payload: not canonical base64url", "373"),
		tally{accepted: 32, refused: 355, explained: 14})
}

func TestWycheproof_JWK(t *testing.T) {
	t.Parallel()
	judge(t, readWycheproof(t, "json_web_key_test.json").vectors(t), table{}.
		because(noHMAC, "alg: not accepted", "2 13-15").
		because(noROCA, "accepted", "7"),
		tally{accepted: 1, refused: 20, explained: 5})
}

func TestWycheproof_JWE(t *testing.T) {
	t.Parallel()
	judge(t, readWycheproof(t, "json_web_encryption_test.json").vectors(t), table{}.
		because(noJWE, "not three parts", "1 23 28-35 52-62 66-93 100-105 112 121 128-135"),
		tally{refused: 74, explained: 65})
}

func TestWycheproof_JWSAndJWE(t *testing.T) {
	t.Parallel()
	judge(t, readWycheproof(t, "json_web_crypto_test.json").vectors(t), table{}.
		because(noHMAC, "alg: not accepted", "1 48").
		because(noJWE, "not three parts", "50 67").
		because(noROCA, "accepted", "46"),
		tally{accepted: 2, refused: 76, explained: 5})
}

// HMAC hides what is wrong with a text, so it is told here: each is refused for
// its form, or would be good under another alg. 367 and 370 are the text of 357,
// which is good: the padding that they are about is not in them.
func TestWycheproof_TheFormOfHMACVectors(t *testing.T) {
	t.Parallel()
	want := table{}.
		because("good", "alg: not accepted", "357-359 367 370 376-377").
		because("not base64url", "header: not canonical base64url", "365-366 372").
		because("not base64url", "payload: not canonical base64url", "368-369 371 373-375").
		because("not base64url", "signature: not canonical base64url", "360-364")
	found := 0
	for _, v := range readWycheproof(t, "json_web_signature_test.json").vectors(t) {
		if w, ok := want[v.name]; ok {
			found++
			if err := verify(t, serveKeys(t, v.keys, nil), v.token); err == nil || !strings.HasPrefix(err.Error(), w.at) {
				t.Errorf("%s: %v, want %s: %s", v.name, err, w.reason, w.at)
			}
		}
	}
	if found != 21 || found != len(want) {
		t.Errorf("%d of %d", found, len(want))
	}
}

// No key that is for encryption, symmetric or private verifies a signature.
func TestWycheproof_KeysForOtherEnds(t *testing.T) {
	t.Parallel()
	sets := map[string]bool{}
	for _, group := range readWycheproof(t, "json_web_encryption_test.json").TestGroups {
		for _, keys := range []jsonText{group.Private, group.Public} {
			if keys != nil {
				sets[setOf(t, keysOf(t, keys)...)] = true
			}
		}
	}
	for _, group := range readWycheproof(t, "json_web_signature_test.json").TestGroups {
		sets[setOf(t, keysOf(t, group.Private)...)] = true
	}
	if len(sets) != 52 {
		t.Errorf("%d key sets", len(sets))
	}
	for set := range sets {
		keys := serveKeys(t, set, nil)
		for _, alg := range jose.Algorithms() {
			if found, err := keys.Keys(t.Context(), "", alg); err != nil || len(found) > 0 {
				t.Errorf("%d keys for %s, %v: %s", len(found), alg, err, set)
			}
		}
	}
}

// A validator accepts access tokens that are signed with the vectors' private keys,
// by the public ones. Groups go by the number of their first test.
func TestWycheproof_AccessTokensByItsKeys(t *testing.T) {
	t.Parallel()
	otherwise := table{}.
		because("RFC 7518 has no such alg", "alg: none of ours", "347 351").
		because("keys for encryption", "authserver: ParseSigningKeys: JWK: use or key_ops: not for signing", "353-356").
		because(`key_ops with the one member "sign, verify"`, "authserver: ParseSigningKeys: JWK: use or key_ops: not for signing", "349")
	var got tally
	for _, group := range readWycheproof(t, "json_web_signature_test.json").TestGroups {
		if group.Public == nil {
			continue // HMAC
		}
		first := strconv.Itoa(group.Tests[0].TCID)
		err := accessTokenBy(t, keysOf(t, group.Private)[0], setOf(t, keysOf(t, group.Public)...))
		switch other, explained := otherwise[first]; {
		case err == nil && !explained:
			got.accepted++
		case err != nil && explained && err.Error() == other.at:
			got.explained++
		default:
			t.Errorf("%s: %v", first, err)
		}
	}
	if want := (tally{accepted: 12, explained: 7}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
